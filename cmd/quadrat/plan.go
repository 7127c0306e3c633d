package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// printPlan shows a plan to people.
func (t *terminal) printPlan(p *quadratv1.Plan) error {
	return t.table(func(w io.Writer) {
		fmt.Fprintf(w, "frame\t%d devices\n", p.GetPopulation())
		panes, word := max(1, p.GetPanes()), "window"
		if panes > 1 {
			word = "pane"
			fmt.Fprintf(w, "window\t%g s, %d panes; a result with each pane\n", p.GetWindowSeconds(), panes)
		}
		fmt.Fprintf(w, "panel\t%d devices in a %s of %g s, %s, %s\n", p.GetPanel(), word, p.GetWindowSeconds()/float64(panes), p.GetRotation(), p.GetAllocation())
		fmt.Fprintf(w, "lap\t%d %ss\n", p.GetLapWindows(), word)
		printPrivacy(w, p.GetPrivacy(), "since it was deployed")
		epsilon := fmt.Sprintf(", epsilon %.4g in a day", p.GetEpsilonPerDeviceDay())
		if value := p.GetPrivacy().GetEpsilonPerValue(); value > 0 {
			epsilon = fmt.Sprintf(" in a day, and epsilon %g whenever it is found in a category that is new", value)
		}
		fmt.Fprintf(w, "a device gives\t%.4g reports, %.4g bytes%s\n", p.GetReportsPerDeviceDay(), p.GetBytesPerDeviceDay(), epsilon)
		for _, s := range p.GetStatistics() {
			margin := "no interval expected"
			if s.Margin != nil {
				margin = fmt.Sprintf("± %.4g at confidence %g", s.GetMargin(), p.GetConfidence())
			}
			fmt.Fprintf(w, "%s\t%s from %.4g reports (%s)\n", s.GetName(), margin, s.GetPanel(), s.GetMechanism())
			for _, c := range s.GetCells() {
				fmt.Fprintf(w, "  %s\t%s\n", cellName(c.GetCell()), cellMargin(c))
			}
		}
		printAlternative(w, p.GetAlternative())
		if p.GetWindowBytes() > 0 {
			fmt.Fprintf(w, "memory\t%s a window, %s for all that may be revised\n", spellBytes(p.GetWindowBytes()), spellBytes(p.GetKeptBytes()))
		}
		for _, sentence := range p.GetObserver() {
			fmt.Fprintf(w, "an observer sees\t%s\n", sentence)
		}
		for _, warning := range p.GetWarnings() {
			fmt.Fprintf(w, "warning\t%s\n", warning)
		}
	})
}

// spellBytes writes a number of bytes for people.
func spellBytes(n uint64) string {
	for _, unit := range []struct {
		bytes uint64
		name  string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}} {
		if n >= unit.bytes {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.bytes), unit.name)
		}
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/1024)
}

// printAlternative shows what the question would give if the same devices spent the same budget the other way.
func printAlternative(w io.Writer, a *quadratv1.Alternative) {
	if a == nil {
		return
	}
	way, due := "splitting instead", fmt.Sprintf("the same %d devices in each window", a.GetPanel())
	if a.GetRotation() == "rotating" {
		way, due = "rotating instead", fmt.Sprintf("the same devices by turns, %d in a window", a.GetPanel())
	}
	if a.GetReason() != "" {
		fmt.Fprintf(w, "%s\tcan't be had: %s\n", way, a.GetReason())
		return
	}
	fmt.Fprintf(w, "%s\t%s, epsilon %g in a report\n", way, due, a.GetEpsilonPerReport())
	for _, s := range a.GetStatistics() {
		margin, times := "no interval expected", ""
		if s.Margin != nil {
			margin = fmt.Sprintf("± %.4g", s.GetMargin())
		}
		if s.VarianceRatio != nil {
			times = fmt.Sprintf(", %.3g times the variance", s.GetVarianceRatio())
		}
		fmt.Fprintf(w, "  %s\t%s%s (%s)\n", s.GetName(), margin, times, s.GetMechanism())
	}
}

func cellMargin(c *quadratv1.CellView) string {
	if c.Margin == nil {
		return fmt.Sprintf("too few reports for an interval (%.3g expected of %d devices)", c.GetPanel(), c.GetPopulation())
	}
	return fmt.Sprintf("± %.4g from %.4g reports of %d devices", c.GetMargin(), c.GetPanel(), c.GetPopulation())
}

// cellName is a cell as people read it.
func cellName(cell map[string]string) string {
	if len(cell) == 0 {
		return "(all)"
	}
	parts := make([]string, 0, len(cell))
	for _, k := range slices.Sorted(maps.Keys(cell)) {
		parts = append(parts, k+"="+cell[k])
	}
	return strings.Join(parts, " ")
}
