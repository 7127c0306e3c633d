package storage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// Format is the format of an export's files.
type Format string

// The formats.
const (
	FormatParquet Format = "parquet" // zstd, as in the data folder
	FormatArrow   Format = "arrow"   // Arrow IPC file
	FormatCSV     Format = "csv"     // RFC 4180 with a header; moments as RFC 3339, nulls and missing texts empty
)

// markerName is the file that marks a folder as an export; readers of hive folders pass over names with an underscore.
const markerName = "_quadrat_export.json"

// marker is the content of that file.
type marker struct {
	Version int    `json:"version"`
	Format  Format `json:"format"`
}

// Export says what is exported and where.
type Export struct {
	Dir        string // target, made when it does not exist
	What       Kind   // KindReports, KindResults, KindStrata or KindShuffled
	Format     Format
	Kappa, Ref string // name and reference of the kappa; when empty, those that the rows carry
	Force      bool   // write into a folder that holds something else, too
	FS         FS     // Disk when nil
}

// Summary is what an export wrote.
type Summary struct {
	Rows  int64 `json:"rows"`
	Files int   `json:"files"`
	Bytes int64 `json:"bytes"`
	// GoneBefore is the UTC date before which retention has removed rows that were asked for; empty when it has not. Whoever
	// has the rows fills it in.
	GoneBefore string `json:"gone_before,omitempty"`
}

// WriteFolder writes records as <what>/kappa=<ref>/date=<date>/part-<n>.<format> below a folder. It streams: memory is
// bounded by a record and a row group. The files appear together when all are written, in place of those that an earlier
// export of the same kind and kappa left; until then, and when it fails, the target stays as it was. Reports, results
// and strata of any kappas may share a target. One that is not empty and not an export of the same format is refused with the code
// Occupied, unless forced.
func WriteFolder(e Export, records Records) (Summary, error) {
	if e.FS == nil {
		e.FS = Disk{}
	}
	dir, err := filepath.Abs(e.Dir)
	if err != nil {
		return Summary{}, fmt.Errorf("export: %w", err)
	}
	e.Dir = dir
	if err := e.check(); err != nil {
		return Summary{}, err
	}
	rows := newPuller(records)
	defer rows.stop()
	if rows.rec != nil {
		e.identify(rows.rec)
	}
	if rows.err == nil && !validRef(e.Ref) {
		rows.err = &Error{Code: Malformed, Detail: "neither the export nor its rows name the kappa"}
	}
	if rows.err != nil {
		return Summary{}, fmt.Errorf("export: %w", rows.err)
	}
	w := &folderWriter{export: e, partial: ".partial-" + string(e.What) + "-" + e.Ref}
	err = w.begin()
	if err == nil {
		err = w.all(rows)
	}
	if err == nil {
		err = w.publish()
	}
	if err != nil {
		return Summary{}, fmt.Errorf("export: %w", errors.Join(err, w.abandon()))
	}
	return w.summary, nil
}

// check says whether the target may be written to.
func (e *Export) check() error {
	if !slices.Contains(append(kinds(), KindShuffled), e.What) {
		return &Error{Code: Malformed, Detail: "an export is of reports, results, strata or shuffled reports"}
	}
	if e.Format != FormatParquet && e.Format != FormatArrow && e.Format != FormatCSV {
		return &Error{Code: Malformed, Detail: "an export's format is parquet, arrow or csv"}
	}
	entries, err := e.FS.List(e.Dir)
	if err != nil {
		return fmt.Errorf("export: %w", err)
	}
	if e.Force || len(entries) == 0 {
		return nil
	}
	held, err := readMarker(e.FS, filepath.Join(e.Dir, markerName))
	if err != nil || held != (marker{Version: 1, Format: e.Format}) {
		return &Error{Code: Occupied, Detail: fmt.Sprintf(
			"the folder %s holds something else than an export as %s; choose another, or say --force", e.Dir, e.Format)}
	}
	return nil
}

func readMarker(f FS, path string) (m marker, err error) {
	file, err := f.Open(path)
	if err != nil {
		return m, err
	}
	defer func() { _ = file.Close() }() // only read
	b, err := io.ReadAll(io.NewSectionReader(file, 0, 1<<12))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(b, &m)
}

// folderWriter writes one export below a hidden folder of the target, to move it in place at the end.
type folderWriter struct {
	export  Export
	partial string // name of the hidden folder
	summary Summary
	dates   []string // folders written, in order
}

func (w *folderWriter) path(parts ...string) string {
	return filepath.Join(append([]string{w.export.Dir}, parts...)...)
}

func (w *folderWriter) begin() error {
	if err := mkdirPath(w.export.FS, w.export.Dir); err != nil {
		return err
	}
	if err := w.abandon(); err != nil { // of an export that crashed
		return err
	}
	return w.export.FS.Mkdir(w.path(w.partial))
}

// all writes runs of rows of one date as files.
func (w *folderWriter) all(rows *puller) error {
	for date, ok := rows.date(); ok; date, ok = rows.date() {
		folder := w.path(w.partial, "date="+date)
		if len(w.dates) == 0 || w.dates[len(w.dates)-1] != date {
			if err := w.export.FS.Mkdir(folder); err != nil {
				return err
			}
			w.dates = append(w.dates, date)
		}
		name := fmt.Sprintf("part-%06d.%s", w.summary.Files+1, w.export.Format)
		bytes, err := writeWhole(w.export.FS, folder, name, func(to io.Writer) error { return w.file(to, date, rows) })
		if err != nil {
			return err
		}
		w.summary.Files++
		w.summary.Bytes += bytes
	}
	return rows.err
}

// file writes the next rows of one date as one file.
func (w *folderWriter) file(to io.Writer, date string, rows *puller) error {
	e := &w.export
	schema := Schema(e.What, e.Kappa, e.Ref)
	var write func(arrow.Record) error
	var finish func() error
	switch e.Format {
	case FormatParquet:
		out, err := newTableWriter(to, tableSpec{kind: e.What, kappa: e.Kappa, ref: e.Ref, zst: newCodec()})
		if err != nil {
			return err
		}
		write, finish = out.write, out.close
	case FormatArrow:
		out, err := ipc.NewFileWriter(&positioned{to: to}, ipc.WithSchema(schema))
		if err != nil {
			return err
		}
		write, finish = out.Write, out.Close
	case FormatCSV:
		out := newCSVWriter(to)
		write, finish = out.write, out.finish
		if err := out.header(schema); err != nil {
			return err
		}
	}
	err := rows.run(date, func(rec arrow.Record) error {
		w.summary.Rows += rec.NumRows()
		return write(rec)
	})
	return errors.Join(err, finish())
}

// publish moves the finished files in place of those of an earlier export.
func (w *folderWriter) publish() error {
	f := w.export.FS
	b, err := json.Marshal(marker{Version: 1, Format: w.export.Format})
	if err != nil {
		return err
	}
	_, err = writeWhole(f, w.export.Dir, markerName, func(to io.Writer) error {
		_, err := to.Write(append(b, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	if err := mkdirAll(f, w.export.Dir, string(w.export.What)); err != nil {
		return err
	}
	target := w.path(string(w.export.What), "kappa="+w.export.Ref)
	if err := removeAll(f, target); err != nil {
		return err
	}
	if err := f.Rename(w.path(w.partial), target); err != nil {
		return err
	}
	return f.SyncDir(w.path(string(w.export.What)))
}

// abandon removes what is unfinished.
func (w *folderWriter) abandon() error { return removeAll(w.export.FS, w.path(w.partial)) }

func removeAll(f FS, folder string) error {
	entries, err := f.List(folder)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(folder, e.Name())
		if e.IsDir() {
			err = removeAll(f, path)
		} else {
			err = f.Remove(path)
		}
		if err != nil {
			return err
		}
	}
	return f.Remove(folder)
}

// positioned gives a stream the Seek that the Arrow file writer asks for the position with; it can't go anywhere.
type positioned struct {
	to io.Writer
	at int64
}

// Write passes p on.
func (p *positioned) Write(b []byte) (int, error) {
	n, err := p.to.Write(b)
	p.at += int64(n)
	return n, err
}

// Seek tells the position.
func (p *positioned) Seek(offset int64, whence int) (int64, error) {
	if offset != 0 || whence != io.SeekCurrent {
		return 0, errors.New("storage: an export can't be written out of order")
	}
	return p.at, nil
}

// identify fills in a name and a reference that the caller left empty with those that a record carries.
func (e *Export) identify(rec arrow.Record) {
	kappa, ref := column.Ref(rec.Schema())
	if ref == "" {
		kappa, ref = firstText(rec, colKappa), firstText(rec, column.MetaRef)
	}
	if e.Kappa == "" {
		e.Kappa = kappa
	}
	if e.Ref == "" {
		e.Ref = ref
	}
}

// firstText is the first value of a column of text, or empty.
func firstText(rec arrow.Record, name string) string {
	if at := rec.Schema().FieldIndices(name); len(at) == 1 && rec.NumRows() > 0 {
		if texts, ok := rec.Column(at[0]).(*array.String); ok {
			return strings.Clone(texts.Value(0))
		}
	}
	return ""
}
