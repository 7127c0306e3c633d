package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

// Row is a figure with its goal and its reference.
type Row struct {
	// Name of what was measured.
	Name string `json:"name"`
	// Goal in words, with its unit.
	Goal string `json:"goal"`
	// Figure that was reached, in Unit.
	Figure float64 `json:"figure"`
	// Unit of Figure and ReferenceFigure.
	Unit string `json:"unit"`
	// Reference says what was measured beside it in the same run; empty for none.
	Reference string `json:"reference,omitempty"`
	// ReferenceFigure is what that reached.
	ReferenceFigure float64 `json:"reference_figure,omitempty"`
	// Ratio is Figure over ReferenceFigure, 0 without a reference.
	Ratio float64 `json:"ratio,omitempty"`
	// Met tells whether the goal is reached.
	Met bool `json:"met"`
	// GoalFigure is what Figure is held against, in Unit, as a number; a goal in words like "0.8 × the reference" worked out.
	GoalFigure float64 `json:"goal_figure,omitempty"`
	// Curve is what the row is a point of, and where there: the size it was measured at, in the unit that Curves tells. Empty
	// and 0 for none.
	Curve string  `json:"curve,omitempty"`
	At    float64 `json:"at,omitempty"`
	// Note says what the reader must know to read the figure.
	Note string `json:"note,omitempty"`
}

// Config says what to measure. Dir is required.
type Config struct {
	// Dir is an empty folder for what the measurements write; the caller removes it.
	Dir string
	// Only measures what has a matching name; nil for everything.
	Only *regexp.Regexp
	// Full measures growth up to ten million devices, which takes about 6 GiB of memory, and not up to one million, and
	// recovery with up to ten million reports of history and not up to three.
	Full bool
	// Devices of the run from a query to its first estimate; 0 for 100,000.
	Devices int
	// Turn is how long one turn of a throughput takes; 0 for 2 s.
	Turn time.Duration
	// Log takes what the started servers have to say; nil for silence.
	Log *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Devices == 0 {
		c.Devices = 100_000
	}
	if c.Turn == 0 {
		c.Turn = 2 * time.Second
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("dir: a folder is needed"))
	}
	if c.Devices < 0 || c.Devices > 0 && c.Devices < 1000 {
		faults = append(faults, errors.New("devices: 1000 or more are needed"))
	}
	if c.Turn < 0 {
		faults = append(faults, errors.New("turn: may not be negative"))
	}
	return errors.Join(faults...)
}

// measurement is one part of a run; it yields one row or several.
type measurement struct {
	name    string // of all its rows, or what they begin with
	measure func(context.Context, Config) ([]Row, error)
}

func measurements() []measurement {
	return []measurement{
		{"intake", intakeRows},
		{"count", countRows},
		{"stream", streamRows},
		{"parquet", parquetRows},
		{"query", queryRows},
		{"dispatch", dispatchRows},
		{"first estimate", firstRows},
		{"recovery", recoveryRows},
		{"growth", growthRows},
		{"panel", panelRows},
		{"registry", registryRows},
	}
}

// Names lists what Only can choose from.
func Names() []string {
	var out []string
	for _, m := range measurements() {
		out = append(out, m.name)
	}
	return out
}

// Run measures and tells each row as it comes. It ends with the first measurement that fails, with tell's error, or with
// ctx. The caller decides what a goal that was missed means.
func Run(ctx context.Context, config Config, tell func(Row) error) error {
	if err := config.Validate(); err != nil {
		return err
	}
	config = config.withDefaults()
	for _, m := range measurements() {
		if config.Only != nil && !config.Only.MatchString(m.name) {
			continue
		}
		rows, err := m.measure(ctx, config)
		if err != nil {
			return fmt.Errorf("bench: %s: %w", m.name, err)
		}
		for _, r := range rows {
			if r.ReferenceFigure != 0 {
				r.Ratio = r.Figure / r.ReferenceFigure
			}
			if err := tell(r); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// atLeast and atMost fill in GoalFigure and Met.
func (r Row) atLeast(goal float64) Row {
	r.GoalFigure, r.Met = goal, r.Figure >= goal
	return r
}

func (r Row) atMost(goal float64) Row {
	r.GoalFigure, r.Met = goal, r.Figure <= goal
	return r
}

// on puts the row on a curve.
func (r Row) on(curve string, at int) Row {
	r.Curve, r.At = curve, float64(at)
	return r
}
