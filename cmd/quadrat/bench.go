package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/quadrat-dev/quadrat/internal/bench"
)

// benchCmd is `quadrat bench`.
type benchCmd struct {
	Only    string        `help:"Measure only what matches this expression." default:"" placeholder:"REGEXP"`
	Full    bool          `help:"Go up to ten million devices, which takes about 6 GiB of memory."`
	Devices int           `help:"Simulated devices of the run from a query to its first estimate." default:"100000" placeholder:"N"`
	Turn    time.Duration `help:"How long one turn of a throughput takes." default:"2s" placeholder:"D"`
	Curves  string        `help:"Draw each curve that was measured as DIR/NAME.svg." type:"path" placeholder:"DIR"`
	Dir     string        `help:"Folder to work in; a temporary one by default. What is measured is the disk that it is on." type:"existingdir" placeholder:"DIR"`
	Strict  bool          `help:"Exit with 1 when a goal is missed."`
	Format  string        `help:"How to show figures: table or json." enum:"table,json" default:"table"`
}

// Help shows an example.
func (*benchCmd) Help() string {
	return `Example:

    quadrat bench
    quadrat bench --only 'intake|dispatch' --format json
    quadrat bench --full --only 'growth|panel' --curves pictures

Starts brokers, engines and servers of its own in a folder of its own, and measures them beside a reference of the same
run. Each row has a goal, the figure that was reached, the reference's, the ratio of the two and whether the goal is met;
with --format json each line is a row. What can be measured: ` + strings.Join(bench.Names(), ", ") + `.

With --curves, what was measured at several sizes is drawn too, with its reference and its goal: ` + strings.Join(bench.CurveNames(), ", ") + `.`
}

// Run measures.
func (c *benchCmd) Run(ctx context.Context, t *terminal) (err error) {
	config := bench.Config{Full: c.Full, Devices: c.Devices, Turn: c.Turn}
	if config.Only, err = regexp.Compile(c.Only); err != nil {
		return &usageError{"--only: " + err.Error()}
	}
	if config.Dir, err = os.MkdirTemp(c.Dir, "quadrat-bench-"); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	defer func() {
		if gone := os.RemoveAll(config.Dir); err == nil && gone != nil {
			err = gone
		}
	}()
	if err := config.Validate(); err != nil {
		return &usageError{err.Error()}
	}
	if c.Curves != "" { // now, not when all is measured
		if err := os.MkdirAll(c.Curves, 0o755); err != nil { //nolint:gosec // pictures to be looked at
			return fmt.Errorf("bench: --curves: %w", err)
		}
	}
	var rows []bench.Row
	stop := t.progress("measuring")
	err = bench.Run(ctx, config, func(r bench.Row) error {
		rows = append(rows, r)
		if c.Format == formatJSON {
			return json.NewEncoder(t.out).Encode(r)
		}
		return nil
	})
	stop()
	if c.Format != formatJSON && len(rows) > 0 {
		if shown := benchTable(t.out, rows); err == nil {
			err = shown
		}
	}
	if err != nil {
		return err
	}
	if err := c.draw(rows); err != nil {
		return err
	}
	return c.verdict(rows)
}

// draw writes the pictures that were asked for.
func (c *benchCmd) draw(rows []bench.Row) error {
	if c.Curves == "" || len(rows) == 0 {
		return nil
	}
	curves := bench.Curves(rows)
	if len(curves) == 0 {
		return &usageError{"--curves: nothing of a curve was measured; --only can choose from " + strings.Join(bench.CurveNames(), ", ")}
	}
	for _, at := range curves {
		var b bytes.Buffer
		if err := at.Picture.SVG(&b); err != nil {
			return fmt.Errorf("bench: %s: %w", at.Name, err)
		}
		if err := os.WriteFile(filepath.Join(c.Curves, at.Name+".svg"), b.Bytes(), 0o644); err != nil { //nolint:gosec // a picture to be looked at
			return fmt.Errorf("bench: --curves: %w", err)
		}
	}
	return nil
}

// verdict is an error when nothing was measured, or, if asked for, when a goal was missed.
func (c *benchCmd) verdict(rows []bench.Row) error {
	if len(rows) == 0 {
		return &usageError{"--only: matches nothing; there are " + strings.Join(bench.Names(), ", ")}
	}
	missed := 0
	for _, r := range rows {
		if !r.Met {
			missed++
		}
	}
	if c.Strict && missed > 0 {
		return fmt.Errorf("bench: %d of %d goals missed", missed, len(rows))
	}
	return nil
}

// benchTable writes rows for people, and under them what each was compared with.
func benchTable(w io.Writer, rows []bench.Row) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "name\tfigure\tunit\tgoal\tmet\treference\tratio")
	for _, r := range rows {
		met, reference, ratio := "no", "", ""
		if r.Met {
			met = "yes"
		}
		if r.Reference != "" {
			reference, ratio = figure(r.ReferenceFigure), fmt.Sprintf("%.2f", r.Ratio)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Name, figure(r.Figure), r.Unit, r.Goal, met, reference, ratio)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		var notes []string
		if r.Reference != "" {
			notes = append(notes, "reference: "+r.Reference)
		}
		if r.Note != "" {
			notes = append(notes, r.Note)
		}
		if len(notes) > 0 {
			fmt.Fprintf(w, "%s: %s\n", r.Name, strings.Join(notes, "; "))
		}
	}
	return nil
}

// figure writes three digits that mean something, large numbers in full thousands.
func figure(x float64) string {
	switch {
	case x >= 1e6:
		return fmt.Sprintf("%.3g M", x/1e6)
	case x >= 1e4:
		return fmt.Sprintf("%.0f k", x/1e3)
	}
	return fmt.Sprintf("%.3g", x)
}
