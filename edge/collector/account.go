package collector

import (
	"fmt"
	"io"
	"sort"
	"text/tabwriter"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	"github.com/quadrat-dev/quadrat/privacy"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Account is what a device has given and may still give, for its owner. Epsilons are decimal numbers as text.
type Account struct {
	Device           string     `json:"device"`
	Unit             string     `json:"unit"`
	Opened           time.Time  `json:"opened"`
	Period           string     `json:"period"`
	EpsilonPerPeriod string     `json:"epsilon_per_period"`
	SpentInPeriod    string     `json:"spent_in_period"`
	LeftInPeriod     string     `json:"left_in_period"`
	MoreAt           *time.Time `json:"more_at,omitempty"` // when something comes back
	FullAt           *time.Time `json:"full_at,omitempty"` // when all has come back, if nothing is spent meanwhile
	Lifetime         string     `json:"lifetime,omitempty"`
	SpentInLifetime  string     `json:"spent_in_lifetime"`
	LeftInLifetime   string     `json:"left_in_lifetime,omitempty"`
	Reports          uint64     `json:"reports"`
	Kappas           []Spending `json:"kappas"`

	period time.Duration
}

// Spending is what one kappa has cost since the ledger began.
type Spending struct {
	Ref     string    `json:"ref"`
	Epsilon string    `json:"epsilon"`
	Reports uint64    `json:"reports"`
	Newest  time.Time `json:"newest_window"`
}

// ReadAccount reads the device's ledger without disturbing a running collector. It fails with fs.ErrNotExist when the
// device never ran.
func ReadAccount(c Config, data disk.Folder, now time.Time) (Account, error) {
	l, err := ledger.Inspect(data, c.Device, c.Policy.Limits)
	if err != nil {
		return Account{}, err
	}
	limits, left, spent := l.Book.Limits(), l.Book.Left(now), l.Book.Spent()
	a := Account{
		Device: c.Device, Unit: "device", Opened: l.Opened, Period: limits.Period.String(), period: limits.Period,
		EpsilonPerPeriod: limits.PerPeriod.String(), SpentInPeriod: (limits.PerPeriod - left.Period).String(),
		LeftInPeriod: left.Period.String(), SpentInLifetime: spent.Epsilon.String(), Reports: spent.Reports,
		Kappas: []Spending{},
	}
	if limits.Lifetime != privacy.MaxBudget {
		a.Lifetime, a.LeftInLifetime = limits.Lifetime.String(), left.Lifetime.String()
	}
	if left.Period < limits.PerPeriod {
		a.MoreAt = when(l.Book, now, left.Period+1)
		a.FullAt = when(l.Book, now, limits.PerPeriod)
	}
	for _, k := range l.Book.Kappas() {
		a.Kappas = append(a.Kappas, Spending{
			Ref: k.Name, Epsilon: k.Spent.Epsilon.String(), Reports: k.Spent.Reports, Newest: k.Newest,
		})
	}
	return a, nil
}

// when finds the first second in which at least so much is left. From the newest charge on, what is left only grows.
func when(b *law.Book, now time.Time, enough privacy.Epsilon) *time.Time {
	from := now
	if newest, ok := b.Newest(); ok && newest.After(from) {
		from = newest
	}
	seconds := int(b.Limits().Period/time.Second) + 1
	n := sort.Search(seconds, func(i int) bool {
		return b.Left(from.Add(time.Duration(i)*time.Second)).Period >= enough
	})
	t := from.Add(time.Duration(n) * time.Second).Truncate(time.Second)
	return &t
}

// Print says it in words that the owner of a home understands.
func (a Account) Print(w io.Writer) error {
	out := &printer{w: w}
	period := words(a.period)
	out.line("Device %s, ledger since %s.", a.Device, a.Opened.Format(time.DateOnly))
	out.line("")
	out.line("Epsilon measures what somebody could learn about this device from its reports: 0 is nothing.")
	out.line("Your limit:        epsilon %s in any %s", a.EpsilonPerPeriod, period)
	out.line("Spent of that now: %s, left: %s", a.SpentInPeriod, a.LeftInPeriod)
	switch {
	case a.MoreAt == nil:
		out.line("Nothing was spent in the last %s.", period)
	case a.MoreAt.Equal(*a.FullAt):
		out.line("All of it comes back on %s UTC.", a.FullAt.UTC().Format(time.DateTime))
	default:
		out.line("Some of it comes back on %s UTC, all of it by %s UTC.",
			a.MoreAt.UTC().Format(time.DateTime), a.FullAt.UTC().Format(time.DateTime))
	}
	if a.Lifetime == "" {
		out.line("For ever:          %s in %d reports; you set no limit", a.SpentInLifetime, a.Reports)
	} else {
		out.line("For ever:          %s of %s in %d reports, left: %s", a.SpentInLifetime, a.Lifetime, a.Reports, a.LeftInLifetime)
	}
	out.line("When a limit is reached the device stays silent.")
	if out.err != nil || len(a.Kappas) == 0 {
		return out.err
	}
	out.line("")
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	rows := &printer{w: table}
	rows.line("KAPPA\tREPORTS\tEPSILON\tNEWEST WINDOW (UTC)")
	for _, k := range a.Kappas {
		rows.line("%s\t%d\t%s\t%s", k.Ref, k.Reports, k.Epsilon, k.Newest.UTC().Format(time.DateTime))
	}
	if rows.err != nil {
		return rows.err
	}
	return table.Flush()
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
