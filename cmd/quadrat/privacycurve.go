package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/quadrat-dev/quadrat/internal/curve"
)

// privacyCurveCmd is `quadrat privacy curve`.
type privacyCurveCmd struct {
	Statistic string  `help:"What is asked: mean, total, proportion, count, histogram, frequency, quantile or median." enum:"mean,total,proportion,count,histogram,frequency,quantile,median" default:"mean"`
	Lo        decimal `help:"Lower bound of a number." default:"0" placeholder:"L"`
	Hi        decimal `help:"Upper bound of a number." default:"1" placeholder:"H"`
	Bins      uint32  `help:"Cells of a histogram, or whole numbers of a frequency." default:"16" placeholder:"K"`
	Level     float64 `help:"Share of the devices below a quantile." default:"0.5" placeholder:"P"`
	Share     float64 `help:"Share of the devices in the cell that is looked at; 0 for one in K." default:"0" placeholder:"P"`
	Devices   float64 `help:"Devices that report, once each." default:"1000" placeholder:"N"`
	From      float64 `help:"Smallest epsilon." default:"0.1" placeholder:"E"`
	To        float64 `help:"Largest epsilon." default:"8" placeholder:"E"`
	Steps     int     `help:"Points of a curve; 0 for 12 in a table and 60 elsewhere." default:"0" placeholder:"N"`
	Format    string  `help:"How to show them: table, json or svg." enum:"table,json,svg" default:"table"`
	Out       string  `help:"File to write instead of standard output." type:"path" placeholder:"FILE"`
}

// Help shows an example.
func (*privacyCurveCmd) Help() string {
	return `Example:

    quadrat privacy curve --statistic mean --lo 10 --hi 40 --devices 1000
    quadrat privacy curve --statistic quantile --level 0.9 --lo 10 --hi 40 --devices 1000
    quadrat privacy curve --statistic histogram --bins 32 --devices 5000 --format svg --out curve.svg

The standard error that the devices' noise brings to an estimate, against the epsilon of a report, for every mechanism
that can answer. A total and a count are over those devices. A quantile supposes, as the planner does, a normal population whose
deviation is an eighth of the bounds. Permanent answers (PER VALUE) are as certain in a window as grr at the epsilon of one report, whatever
the epsilon of a category. Sampling comes on top: quadrat explain tells both for a script and a fleet.`
}

// Run computes the curves and shows them.
func (c *privacyCurveCmd) Run(_ context.Context, t *terminal) error {
	lo, errLo := strconv.ParseFloat(string(c.Lo), 64)
	hi, errHi := strconv.ParseFloat(string(c.Hi), 64)
	if errLo != nil || errHi != nil {
		return &usageError{"--lo, --hi: decimal numbers are needed"}
	}
	q := curve.Question{
		Statistic: curve.Statistic(c.Statistic), Lo: lo, Hi: hi, Bins: c.Bins, Share: c.Share, Level: c.Level, Devices: c.Devices,
		From: c.From, To: c.To, Steps: c.Steps,
	}
	if q.Steps == 0 {
		q.Steps = 60
		if c.Format == "table" {
			q.Steps = 12
		}
	}
	if err := q.Validate(); err != nil {
		return &usageError{err.Error()}
	}
	points, err := curve.Compute(q)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	switch c.Format {
	case formatJSON:
		err = json.NewEncoder(&b).Encode(map[string]any{"statistic": q.Statistic, "devices": q.Devices, "points": points})
	case "svg":
		err = curve.SVG(&b, q, points)
	default:
		err = curveTable(&b, points)
	}
	if err != nil {
		return err
	}
	if c.Out != "" {
		return os.WriteFile(c.Out, b.Bytes(), 0o644) //nolint:gosec // a picture to be looked at
	}
	_, err = t.out.Write(b.Bytes())
	return err
}

// curveTable has a line for each ε and a column for each mechanism; the least error of a line has a star. Those that take an
// opt-in are marked and have none, since no plan can ask for them.
func curveTable(w io.Writer, points []curve.Point) error {
	var names []string
	var grid []float64
	at, apart := map[string]map[float64]float64{}, map[string]bool{}
	for _, p := range points {
		if at[p.Mechanism] == nil {
			at[p.Mechanism] = map[float64]float64{}
			names = append(names, p.Mechanism)
		}
		if len(names) == 1 {
			grid = append(grid, p.Epsilon)
		}
		at[p.Mechanism][p.Epsilon], apart[p.Mechanism] = p.StdError, p.OptIn
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "EPSILON")
	for _, name := range names {
		mark := ""
		if apart[name] {
			mark = " (opt-in)"
		}
		fmt.Fprint(table, "\t"+strings.ToUpper(name)+mark)
	}
	fmt.Fprintln(table)
	for _, e := range grid {
		best := ""
		for _, name := range names {
			if !apart[name] && (best == "" || at[name][e] < at[best][e]) {
				best = name
			}
		}
		fmt.Fprintf(table, "%.3g", e)
		for _, name := range names {
			star := ""
			if name == best {
				star = " *"
			}
			fmt.Fprintf(table, "\t%.4g%s", at[name][e], star)
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}
