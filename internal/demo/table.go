package demo

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Table shows windows to people: on a terminal the newest one in place, elsewhere one below the other.
type Table struct {
	out      io.Writer
	terminal bool
	drawn    int // lines of the last drawing
	tally    Summary
	told     int
}

// NewTable shows on out. A terminal is drawn on in place.
func NewTable(out io.Writer, terminal bool) *Table { return &Table{out: out, terminal: terminal} }

// Joining draws a progress bar on a terminal, and a line now and then elsewhere.
func (v *Table) Joining(done, all int) {
	const width = 40
	percent := 100 * done / all
	switch {
	case v.terminal && percent != v.told:
		v.told = percent
		full := width * done / all
		fmt.Fprintf(v.out, "\r  joining [%s%s] %d of %d devices", strings.Repeat("=", full), strings.Repeat(" ", width-full), done, all)
		if done == all {
			fmt.Fprint(v.out, "\r\x1b[K")
		}
	case !v.terminal && done == all:
		fmt.Fprintf(v.out, "%d devices joined\n", all)
	}
}

// Begin explains what is to be seen.
func (v *Table) Begin(i Intro) error {
	p := i.Plan.GetPrivacy()
	var b strings.Builder
	fmt.Fprintf(&b, "\nQuadrat demo: %d simulated devices replay real indoor temperatures; the clock is simulated.\n", i.Devices)
	if i.Offline > 0 {
		fmt.Fprintf(&b, "%.0f %% of the devices stay silent.\n", 100*i.Offline)
	}
	fmt.Fprintf(&b, "\n%s\n", indent(i.Script))
	fmt.Fprintf(&b, "Deployed as %s through %s/kappa. Every device answers once in %d windows and adds noise to its own answer\n",
		i.Ref, i.URL, i.Plan.GetLapWindows())
	fmt.Fprintf(&b, "(ε = %g a report, %g per %s and device); about %d devices are asked in each window.\n",
		p.GetEpsilonPerReport(), p.GetEpsilonPerPeriod(), p.GetPeriod(), i.Plan.GetPanel())
	for _, w := range i.Plan.GetWarnings() {
		fmt.Fprintf(&b, "note: %s\n", w)
	}
	fmt.Fprintf(&b, "The column truth is what no server could know: the whole fleet's value, from the raw replay.\n\n")
	_, err := io.WriteString(v.out, b.String())
	return err
}

// Window shows the results of one window.
func (v *Table) Window(rows []Row) error {
	v.tally.Windows++
	for _, r := range rows {
		if r.Result.Value == nil {
			continue
		}
		v.tally.Results++
		if r.Covered {
			v.tally.Covered++
		}
	}
	text := v.draw(rows)
	if v.terminal && v.drawn > 0 {
		text = fmt.Sprintf("\x1b[%dA\x1b[J", v.drawn) + text
	}
	v.drawn = strings.Count(text, "\n")
	_, err := io.WriteString(v.out, text)
	return err
}

func (v *Table) draw(rows []Row) string {
	var b strings.Builder
	if len(rows) == 0 {
		return "no results for this window\n"
	}
	first := rows[0].Result
	panel, reports := uint32(0), uint32(0)
	for _, r := range rows {
		if len(r.Result.GetCell()) == 0 {
			panel += r.Result.GetPanel()
			reports += r.Result.GetReports()
		}
	}
	rate := 0.0
	if panel > 0 {
		rate = 100 * float64(reports) / float64(panel)
	}
	fmt.Fprintf(&b, "window %s to %s   panel %d, answered %d (%.0f %%), ε = %g per %s and %s\n",
		clockTime(first.GetWindowStart().AsTime()), clockTime(first.GetWindowEnd().AsTime()), panel, reports, rate,
		first.GetPrivacy().GetEpsilonPerPeriod(), first.GetPrivacy().GetPeriod(), first.GetPrivacy().GetUnit())
	cells := [][]string{{"statistic", "cell", "estimate", "± margin", "truth", "caught", "reports"}}
	for _, r := range sorted(rows) {
		cells = append(cells, line(r))
	}
	align(&b, cells)
	share := 0.0
	if v.tally.Results > 0 {
		share = 100 * float64(v.tally.Covered) / float64(v.tally.Results)
	}
	fmt.Fprintf(&b, "so far: %d windows, %d intervals, %d hold the truth (%.1f %%; 95 %% were promised)\n\n",
		v.tally.Windows, v.tally.Results, v.tally.Covered, share)
	return b.String()
}

// line is one row of the table.
func line(r Row) []string {
	name, cell, reports := StatisticName(r.Result), cellName(r.Result.GetCell()), strconv.FormatUint(uint64(r.Result.GetReports()), 10)
	truth := fmt.Sprintf("%.3f", r.Truth)
	if shaped(r.Result) {
		return []string{name, cell, ShapeMark + fmt.Sprintf("%.3f", r.Result.GetBin().GetConsistent()), "–", truth, "–", reports}
	}
	if r.Result.Value == nil {
		return []string{name, cell, "–", "–", truth, "–", reports}
	}
	caught := "yes"
	if !r.Covered {
		caught = "NO"
	}
	margin := fmt.Sprintf("%.3f", (r.Result.GetCiHigh()-r.Result.GetCiLow())/2)
	return []string{name, cell, fmt.Sprintf("%.3f", r.Result.GetValue()), margin, truth, caught, reports}
}

// ShapeMark stands before the share of a shape, which is for display: it has neither value nor interval.
const ShapeMark = "~"

// shaped tells whether a result is a bin of a shape.
func shaped(r *quadratv1.Result) bool {
	return r.Value == nil && r.GetBin() != nil && r.GetBin().Consistent != nil
}

// StatisticName is the statistic of a result as people read it, with its category if it has any.
func StatisticName(r *quadratv1.Result) string {
	b := r.GetBin()
	switch {
	case b == nil:
		return r.GetStatistic()
	case b.GetLow() == b.GetHigh():
		return fmt.Sprintf("%s = %.6g", r.GetStatistic(), b.GetLow())
	}
	return fmt.Sprintf("%s in [%.6g, %.6g)", r.GetStatistic(), b.GetLow(), b.GetHigh())
}

// textColumns is how many columns hold words, which begin at the left; numbers end at the right.
const textColumns = 2

// align writes rows in columns.
func align(b *strings.Builder, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, row := range rows {
		b.WriteString("  ")
		for i, cell := range row {
			blank := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i < textColumns {
				b.WriteString(cell + blank + "  ")
			} else {
				b.WriteString(blank + cell + "  ")
			}
		}
		b.WriteByte('\n')
	}
}

// sorted puts a statistic's rows together, the whole fleet first.
func sorted(rows []Row) []Row {
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b Row) int {
		if c := strings.Compare(a.Result.GetStatistic(), b.Result.GetStatistic()); c != 0 {
			return c
		}
		return strings.Compare(sortKey(a.Result), sortKey(b.Result))
	})
	return out
}

func sortKey(r *quadratv1.Result) string {
	if len(r.GetCell()) == 0 {
		return ""
	}
	return cellName(r.GetCell())
}

// cellName writes a cell's values in the order of their attributes' names.
func cellName(cell map[string]string) string {
	if len(cell) == 0 {
		return "all"
	}
	names := make([]string, 0, len(cell))
	for name := range cell {
		names = append(names, name)
	}
	slices.Sort(names)
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = cell[name]
	}
	return strings.Join(values, " / ")
}

// End shows what it came to.
func (v *Table) End(s Summary) error {
	_, err := fmt.Fprintf(v.out, "%d windows in %.1f s: %d of %d intervals hold the truth.\n", s.Windows, s.ElapsedSeconds, s.Covered, s.Results)
	return err
}

func clockTime(t time.Time) string { return t.UTC().Format("15:04:05") }

func indent(script string) string {
	return "    " + strings.ReplaceAll(strings.TrimRight(script, "\n"), "\n", "\n    ") + "\n"
}
