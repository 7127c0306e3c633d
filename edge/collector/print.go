package collector

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Print says it in words that the owner of a home understands.
func (a Account) Print(w io.Writer) error {
	out := &printer{w: w}
	period := words(a.period)
	a.printSubject(out)
	out.line("")
	out.line("Your limit:   epsilon %s in any %s", a.EpsilonPerPeriod, period)
	out.line("Spent of it:  %s  %s  left now: %s", bar(a.spent, a.most), a.SpentInPeriod, a.LeftInPeriod)
	switch {
	case a.MoreAt == nil:
		out.line("              Nothing was spent in the last %s.", period)
	case a.MoreAt.Equal(*a.FullAt):
		out.line("              All of it comes back on %s UTC.", stamp(a.FullAt))
	default:
		out.line("              Some of it comes back on %s UTC, all of it by %s UTC.", stamp(a.MoreAt), stamp(a.FullAt))
	}
	reports := "reports"
	if a.Values > 0 {
		reports = "reports and permanent answers"
	}
	if a.Lifetime == "" {
		out.line("For ever:     %s in %d %s; you set no limit", a.SpentInLifetime, a.Reports, reports)
	} else {
		out.line("For ever:     %s of %s in %d %s, left: %s", a.SpentInLifetime, a.Lifetime, a.Reports, reports, a.LeftInLifetime)
	}
	out.line("For experts:  rho %s in the fullest %s around now, %s for ever; delta 0; the unit is %s", a.RhoInPeriod, period, a.RhoInLifetime, a.unit())
	if a.Values > 0 {
		out.line("Permanent:    %d %s. Each was made up once, by chance, and is what all reports about one category rest on,", a.Values, answers(a.Values))
		out.line("              however many there are: it cost its epsilon once and costs nothing more. When a category changed may show.")
	}
	if a.SecretLost {
		out.line("Lost:         ledger.secret, which the permanent answers are made from. What asks for them gets no answer any more.")
	}
	out.line("When a limit is reached the %s stays silent. No server can raise a limit.", a.process())
	if a.SilentUntil != nil {
		out.line("")
		out.line("The clock is behind the newest report: it was set back. The %s is silent until %s UTC.", a.process(), stamp(a.SilentUntil))
	}
	if out.err != nil {
		return out.err
	}
	return a.printKappas(w)
}

// printSubject says whose ledger it is and what its numbers measure.
func (a *Account) printSubject(out *printer) {
	since := a.Opened.Format(time.DateOnly)
	switch len(a.Units) {
	case 0:
		out.line("Device %s, ledger since %s.", a.Device, since)
		out.line("")
		out.line("Epsilon measures what somebody could learn about this device from its reports: 0 is nothing, and each 1 can change")
	case 1:
		out.line("Gateway %s, one ledger for the household since %s.", a.Device, since)
		out.line("")
		out.line("Epsilon measures what somebody could learn about the household from what the gateway released: 0 is nothing, and each 1 can change")
	default:
		out.line("Gateway %s, one ledger since %s for its %d units: %s.", a.Device, since, len(a.Units), few(a.Units))
		out.line("")
		out.line("Epsilon measures what somebody could learn about any one unit from what the gateway released: 0 is nothing, and each 1 can change")
	}
	out.line("the odds of a guess by a factor of up to 2.7.")
}

// few names some of many.
func few(names []string) string {
	const most = 5
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + ", …"
}

func (a *Account) process() string {
	if len(a.Units) > 0 {
		return "gateway"
	}
	return "device"
}

func (a *Account) unit() string {
	switch len(a.Units) {
	case 0:
		return "this device"
	case 1:
		return "this household"
	}
	return "one of the units"
}

func (a *Account) printKappas(w io.Writer) error {
	out := &printer{w: w}
	out.line("")
	if len(a.Kappas) == 0 {
		out.line("Nobody has asked yet.")
		return out.err
	}
	out.line("Who asked (times are UTC):")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows := &printer{w: table}
	rows.line("  KAPPA\tASKS FOR\tA REPORT COSTS\tREPORTS\tEPSILON\tNEWEST WINDOW\tNOW")
	for i := range a.Kappas {
		k := &a.Kappas[i]
		name, costs, newest := k.Ref, "", "never"
		if k.Name != "" && k.Name != k.Ref {
			name = k.Name + " (" + k.Ref + ")"
		}
		if k.PerReport != "" {
			costs = fmt.Sprintf("%s, at most %s per %s", k.PerReport, k.PerPeriod, words(k.period))
		}
		if k.PerValue != "" {
			costs = fmt.Sprintf("%s once for each category, at most %s ever", k.PerValue, k.PerPeriod)
		}
		if k.Newest != nil {
			newest = stamp(k.Newest)
		}
		if k.Ref == earlier {
			newest = ""
		}
		rows.line("  %s\t%s\t%s\t%d\t%s\t%s\t%s", name, k.Asks, costs, k.Reports, k.Epsilon, newest, k.Standing)
	}
	if err := firstError(out.err, rows.err); err != nil {
		return err
	}
	return table.Flush()
}

func answers(n int) string {
	if n == 1 {
		return "answer"
	}
	return "answers"
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func stamp(t *time.Time) string { return t.UTC().Format(time.DateTime) }

// bar draws a part of a whole.
func bar(part, whole privacy.Epsilon) string {
	const width = 20
	n := 0
	if whole > 0 {
		n = int((uint64(part)*width + uint64(whole) - 1) / uint64(whole))
	}
	n = min(n, width)
	return "[" + strings.Repeat("#", n) + strings.Repeat(".", width-n) + "]"
}

// printer writes lines until one fails.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) line(format string, a ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format+"\n", a...)
	}
}
