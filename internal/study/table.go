package study

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// name says what a promise is in a column.
func (k Kind) name() string { return [...]string{Nothing: "-", AtLeast: "at least", Nominal: "yes"}[k] }

// Print writes one line for each cell.
func Print(w io.Writer, results []Result) error {
	_, err := fmt.Fprintf(w, "%-30s %-21s %5s %5s %8s %8s %10s  %s\n",
		"design", "estimator", "eps", "n", "covers", "refused", "half width", "promised")
	for _, r := range results {
		if err != nil {
			return err
		}
		note := r.Promise.Kind.name()
		if broken := r.Broken(); broken != "" {
			note += ": " + broken
		}
		_, err = fmt.Fprintf(w, "%-30s %-21s %5s %5d %6.2f %% %6.2f %% %10.4g  %s\n",
			r.Design, r.Estimator, noiseName(r.Epsilon), r.Size, 100*r.Coverage, 100*r.Refused, r.HalfWidth, note)
	}
	return err
}

func noiseName(epsilon float64) string {
	if epsilon == 0 {
		return "none"
	}
	return fmt.Sprintf("%g", epsilon)
}

// line is where a result stands in the table of Markdown.
type line struct {
	design, estimator string
	size              int
}

// Unpromised writes the cells of which theory promises nothing, and those of proportions that mend the rare ones, as tables
// of Markdown: one line for each design, estimator and size, one column for each noise.
func Unpromised(w io.Writer, results []Result) error {
	if err := table(w, "Not promised", results, func(r Result) bool { return r.Promise.Kind == Nothing }); err != nil {
		return err
	}
	return table(w, "Promised to cover 93.5 % at least", results, func(r Result) bool { return r.Promise.Kind == AtLeast })
}

func table(w io.Writer, title string, results []Result, wanted func(Result) bool) error {
	var order []line
	cells := map[line]map[float64]Result{}
	var noises []float64
	for _, r := range results {
		if !slices.Contains(noises, r.Epsilon) {
			noises = append(noises, r.Epsilon)
		}
		if !wanted(r) {
			continue
		}
		at := line{r.Design, r.Estimator, r.Size}
		if cells[at] == nil {
			cells[at] = map[float64]Result{}
			order = append(order, at)
		}
		cells[at][r.Epsilon] = r
	}
	slices.SortStableFunc(order, func(a, b line) int { return slices.Index(names(), a.estimator) - slices.Index(names(), b.estimator) })
	var text strings.Builder
	fmt.Fprintf(&text, "## %s\n\n| estimator | design | n |", title)
	for _, epsilon := range noises {
		if epsilon == 0 {
			text.WriteString(" no noise |")
		} else {
			fmt.Fprintf(&text, " ε = %g |", epsilon)
		}
	}
	fmt.Fprintf(&text, " why |\n|---|---|---|%s---|\n", strings.Repeat("---|", len(noises)))
	for _, at := range order {
		row(&text, at, cells[at], noises)
	}
	_, err := io.WriteString(w, text.String()+"\n")
	return err
}

// row writes one line; a cell that stands elsewhere is a dash.
func row(text *strings.Builder, at line, cells map[float64]Result, noises []float64) {
	fmt.Fprintf(text, "| %s | %s | %d |", at.estimator, at.design, at.size)
	var why []string
	for _, epsilon := range noises {
		r, ok := cells[epsilon]
		if !ok {
			text.WriteString(" – |")
			continue
		}
		fmt.Fprintf(text, " %.1f", 100*r.Coverage)
		if r.Refused > refusedMost {
			fmt.Fprintf(text, " (%.1f refused)", 100*r.Refused)
		}
		text.WriteString(" |")
		if !slices.Contains(why, r.Promise.Why) {
			why = append(why, r.Promise.Why)
		}
	}
	fmt.Fprintf(text, " %s |\n", strings.Join(why, "; "))
}

// names returns the estimators' names in the order of the table.
func names() []string {
	var out []string
	for _, way := range estimators() {
		out = append(out, way.name)
	}
	return out
}
