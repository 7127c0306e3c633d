package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/query/client"
	"github.com/quadrat-dev/quadrat/storage"
)

// exportCmd is `quadrat export`. Its --format is that of the files; what it prints is told by --print.
type exportCmd struct {
	span

	Server    string `help:"URL of the server." default:"http://127.0.0.1:8080" env:"QUADRAT_SERVER" placeholder:"URL"`
	TokenFile string `help:"File with the bearer token." env:"QUADRAT_TOKEN_FILE" type:"path" placeholder:"FILE"`
	Print     string `help:"How to print the summary: table or json." enum:"table,json" default:"table"`
	Ref       string `arg:"" help:"Reference or name of the kappa; of a deleted one its reference."`
	What      string `help:"What to write: reports, results, strata, or reports that are shuffled." enum:"reports,results,strata,shuffled" required:""`
	Format    string `help:"Format of the files: parquet, arrow or csv." enum:"parquet,arrow,csv" default:"parquet"`
	Out       string `help:"Folder to write; made when it is missing." type:"path" required:"" placeholder:"DIR"`
	Force     bool   `help:"Write into a folder that holds something else, too."`
}

// Help shows an example.
func (*exportCmd) Help() string {
	return `Example:

    quadrat export indoor --what reports --format parquet --out ./export

Writes <out>/reports/kappa=<ref>/date=<date>/part-….parquet, which DuckDB, pandas and Spark read as one table. Reports
hold the weights that the estimates used; of a kappa with EVERY they keep the strata that were drawn, and those are written
beside them as <out>/strata, so that quadrat estimate can put panes together. Shuffled ones lack device, cluster, weight and position; those of one window,
statistic, stratum and cell stand together in an order that is drawn anew. Who makes that export sees the reports before, and
is the shuffler for its readers.`
}

// Run streams the rows from the server into files.
func (c *exportCmd) Run(ctx context.Context, t *terminal) error {
	api, err := (&remote{Server: c.Server, TokenFile: c.TokenFile}).client()
	if err != nil {
		return err
	}
	var bytes atomic.Int64
	stop := t.progressOf("exporting", &bytes)
	strata, summary := storage.Summary{}, storage.Summary{}
	if storage.Kind(c.What) == storage.KindReports {
		// First, so that every pane that they tell has its reports in what follows.
		strata, err = c.fetch(ctx, api, storage.KindStrata, &bytes)
	}
	if err == nil {
		summary, err = c.fetch(ctx, api, storage.Kind(c.What), &bytes)
	}
	stop()
	if err != nil {
		return err
	}
	if c.Print == formatJSON {
		out := map[string]storage.Summary{"summary": summary}
		if strata.Rows > 0 {
			out["strata"] = strata
		}
		return json.NewEncoder(t.out).Encode(out)
	}
	_, err = fmt.Fprintf(t.out, "%d rows in %d files, %d bytes\n", summary.Rows, summary.Files, summary.Bytes)
	if err == nil && strata.Rows > 0 {
		_, err = fmt.Fprintf(t.out, "%d rows of strata in %d files, %d bytes\n", strata.Rows, strata.Files, strata.Bytes)
	}
	if err == nil && summary.GoneBefore != "" {
		_, err = fmt.Fprintf(t.out, "rows of windows before %s are gone by the server's retention\n", summary.GoneBefore)
	}
	return err
}

// fetch streams one table of the server into files; strata beside reports only where results are about several panes.
func (c *exportCmd) fetch(ctx context.Context, api *client.Client, kind storage.Kind, bytes *atomic.Int64) (storage.Summary, error) {
	what := kind
	if kind == storage.KindShuffled {
		what = storage.KindReports
	}
	body, err := api.Export(ctx, c.Ref, string(what), client.Span{Since: c.Since, Until: c.Until})
	if err != nil {
		return storage.Summary{}, err
	}
	defer body.Close()
	return c.write(counting{Reader: body, bytes: bytes}, kind)
}

func (c *exportCmd) write(from io.Reader, kind storage.Kind) (storage.Summary, error) {
	// The reader of Arrow may take a stream that broke off for one that ended.
	whole := &truthful{from: from}
	in, err := ipc.NewReader(whole)
	if err != nil {
		return storage.Summary{}, fmt.Errorf("export: %w", errors.Join(err, whole.err))
	}
	defer in.Release()
	kappa, ref := column.Ref(in.Schema())
	rows := records(in, whole)
	switch {
	case kind == storage.KindStrata && kind != storage.Kind(c.What):
		first, err := hopping(rows)
		if err != nil || first == nil {
			return storage.Summary{}, err
		}
		defer first.Release()
		rows = after(first, rows)
	case kind == storage.KindShuffled:
		if rows, err = storage.Shuffle(rows, kappa, ref, rand.Reader); err != nil {
			return storage.Summary{}, fmt.Errorf("export: %w", err)
		}
	}
	summary, err := storage.WriteFolder(storage.Export{
		Dir: c.Out, What: kind, Format: storage.Format(c.Format), Kappa: kappa, Ref: ref, Force: c.Force,
	}, rows)
	meta := in.Schema().Metadata()
	summary.GoneBefore, _ = meta.GetValue(column.MetaGoneBefore)
	return summary, err
}

// hopping gives the first record of strata that tells whether results are about several panes, if they are; nil if not. The caller
// releases it; the following records are still to come.
func hopping(strata storage.Records) (arrow.Record, error) {
	for record, err := range strata {
		if err != nil {
			return nil, fmt.Errorf("export: %w", err)
		}
		for _, at := range record.Schema().FieldIndices("window_panes") {
			panes, known := record.Column(at).(*array.Int64)
			for i := 0; known && i < panes.Len(); i++ {
				switch {
				case panes.IsNull(i):
				case panes.Value(i) > 1:
					record.Retain()
					return record, nil
				default:
					return nil, nil //nolint:nilnil // no such windows is no fault
				}
			}
		}
	}
	return nil, nil //nolint:nilnil // so is no stratum
}

// after puts a record before others.
func after(first arrow.Record, others storage.Records) storage.Records {
	return func(yield func(arrow.Record, error) bool) {
		if yield(first, nil) {
			others(yield)
		}
	}
}

func records(in *ipc.Reader, whole *truthful) storage.Records {
	return func(yield func(arrow.Record, error) bool) {
		for in.Next() {
			if !yield(in.Record(), nil) {
				return
			}
		}
		if err := errors.Join(in.Err(), whole.err); err != nil {
			yield(nil, fmt.Errorf("stream: %w", err))
		}
	}
}

// truthful remembers the error that a stream ended with, when it was not its end.
type truthful struct {
	from io.Reader
	err  error
}

// Read passes on and remembers.
func (r *truthful) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err //nolint:wrapcheck // a reader passes errors on
}
