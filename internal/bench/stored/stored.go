// Package stored makes the data folder of a kappa that has run for long, for measurements of questions about stored reports: a seeded
// panel of devices in each window, by region, written by the store itself in the layout of compacted files.
//
// It stands behind `quadrat bench` and the module bench/; no program keeps what it makes.
//
//	folder, err := stored.Make(dir, stored.Config{Windows: 20, Panel: 1_000_000, Seed: 1})
//	answer, err := folder.Ask(ctx, "SELECT mean(temperature) FROM kappa.indoor GROUP BY region")
package stored

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"time"

	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/tabular"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/reanalysis"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/storage"
)

const (
	kappa, ref = "indoor", "bench0000stored"
	statistic  = "mean(temperature)"
	windowMs   = 60_000
	firstMs    = 1_795_000_020_000 // a whole minute, and no midnight within the next hours
	fileRows   = 4_000_000         // of one commit: a file about as large as compaction makes them
	batchRows  = 50_000            // of one record
	noise      = 9.0               // variance of a score's noise
)

// Config says how much is stored. All are required.
type Config struct {
	Windows int
	Panel   int // reports of each window; every device of the panel answers
	Seed    uint64
}

// region is a stratum: its share of the panel, one device in so many, and the readings.
type region struct {
	name            string
	share, oneIn    float64
	mean, deviation float64
}

func regions() []region {
	return []region{
		{"continental", 0.34, 5, 20.1, 3.1},
		{"mediterranean", 0.22, 4, 23.4, 2.6},
		{"oceanic", 0.19, 6, 19.2, 2.2},
		{"nordic", 0.13, 3, 18.7, 2.9},
		{"alpine", 0.09, 2, 17.5, 3.8},
		{"island", 0.03, 2, 24.6, 1.9},
	}
}

// Folder is a data folder with stored reports. It is safe for use by many goroutines.
type Folder struct {
	store  *storage.Store
	strata []reanalysis.Stratum
	rows   int64
}

// Make opens the folder, and fills it when it is empty: about a minute for twenty million reports on two cores. Another Config needs
// another folder.
func Make(dir string, config Config) (*Folder, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("stored reports: %w", err)
	}
	store, err := storage.Open(dir, storage.Config{RowsPending: 2 * fileRows})
	if err != nil {
		return nil, fmt.Errorf("stored reports: %w", err)
	}
	f := &Folder{store: store}
	f.plan(config)
	if len(entries) == 0 {
		if err := f.fill(config); err != nil {
			return nil, fmt.Errorf("stored reports: %w", err)
		}
	}
	return f, nil
}

// Rows is how many reports are stored.
func (f *Folder) Rows() int64 { return f.rows }

// plan is the strata of all windows.
func (f *Folder) plan(config Config) {
	for w := range config.Windows {
		for _, r := range regions() {
			n := r.panel(config.Panel)
			f.rows += n
			f.strata = append(f.strata, reanalysis.Stratum{
				WindowStartMs: firstMs + int64(w)*windowMs, Statistic: statistic, Stratum: r.name, Population: int64(r.oneIn * float64(n)), Panel: n,
			})
		}
	}
}

func (r region) panel(all int) int64 { return int64(math.Round(r.share * float64(all))) }

// fill writes the reports of all windows, some windows to a commit.
func (f *Folder) fill(config Config) error {
	rng := rand.New(rand.NewPCG(config.Seed, 1))
	reports := column.NewReports(memory.DefaultAllocator, kappa, ref)
	defer reports.Release()
	sequence, pending := uint64(0), 0
	flush := func() error {
		rec := reports.NewRecord()
		defer rec.Release()
		return f.store.Reports(rec)
	}
	for _, s := range f.strata {
		r := regionOf(s.Stratum)
		for i := range s.Panel {
			sequence++
			score := r.mean + r.deviation*rng.NormFloat64() + math.Sqrt(noise)*rng.NormFloat64()
			reports.Append(&column.Report{
				WindowStartMs: s.WindowStartMs, WindowEndMs: s.WindowStartMs + windowMs, Device: rng.Uint64(), Statistic: statistic, Stratum: s.Stratum,
				Cell: "{}", Pi: 1 / r.oneIn, StratumPopulation: s.Population, Score: score, NoiseVariance: noise, Mechanism: "hybrid", Epsilon: 1,
				PlanRevision: 1, Sequence: sequence,
			})
			if pending++; pending%batchRows == 0 || i == s.Panel-1 {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if pending >= fileRows && s.Stratum == regions()[len(regions())-1].name {
			if err := f.store.Commit(sequence); err != nil {
				return err
			}
			pending = 0
		}
	}
	return f.store.Commit(sequence)
}

func regionOf(name string) region {
	for _, r := range regions() {
		if r.name == name {
			return r
		}
	}
	return region{}
}

// End is the moment at which the first windows of a folder are over, for an UNTIL behind a question.
func End(windows int) time.Time { return time.UnixMilli(firstMs + int64(windows)*windowMs).UTC() }

// Paths are the files with reports.
func (f *Folder) Paths() []string {
	paths, done := f.store.Files(storage.KindReports, ref, time.Time{}, time.Time{})
	done()
	return paths
}

// ReportFiles gives the files to a question.
func (f *Folder) ReportFiles(_ context.Context, _ string, since, until time.Time) ([]tabular.File, func(), error) {
	paths, done := f.store.Files(storage.KindReports, ref, since, until)
	files, err := tabular.AtPaths(paths...)
	return files, done, err
}

// Strata gives the strata to a question.
func (f *Folder) Strata(context.Context, string, time.Time, time.Time) iter.Seq2[reanalysis.Stratum, error] {
	return func(yield func(reanalysis.Stratum, error) bool) {
		for _, s := range f.strata {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// Export writes the reports of the first windows as the server does: one Arrow IPC stream.
func (f *Folder) Export(ctx context.Context, w io.Writer, windows int) error {
	return storage.WriteStream(w, storage.Schema(storage.KindReports, kappa, ref), f.Scan(ctx, windows))
}

// Scan reads what Export writes.
func (f *Folder) Scan(ctx context.Context, windows int) storage.Records {
	return f.store.ScanWeighted(ctx, ref, time.Time{}, End(windows))
}

// Ask answers a question as the server does, without its checkpoint and without the way there and back.
func (f *Folder) Ask(ctx context.Context, question string) (*reanalysis.Answered, error) {
	q, err := script.ParseStored(question)
	if err != nil {
		return nil, err
	}
	return reanalysis.Answer(ctx, f, record(), q, reanalysis.Config{Now: time.UnixMilli(firstMs)})
}

func record() *quadratv1.KappaRecord {
	plan := &quadratv1.DevicePlan{
		Ref: ref, WindowMs: windowMs, Confidence: 0.95, StratifiedBy: []string{"region"},
		Statistics: []*quadratv1.StatisticPlan{{Name: statistic, Kind: "mean", Reading: "temperature", Summary: "avg"}},
	}
	for _, r := range regions() {
		plan.Strata = append(plan.Strata, &quadratv1.StratumPlan{Name: r.name, Members: []*quadratv1.AttributeValues{{Values: []string{r.name}}}})
	}
	return &quadratv1.KappaRecord{
		Kappa:     &quadratv1.Kappa{Ref: ref, Name: kappa},
		Revisions: []*quadratv1.PlanRevision{{Device: plan, Plan: &quadratv1.Plan{Rotation: "rotating"}}},
	}
}
