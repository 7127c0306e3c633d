package collector

import (
	"errors"
	"io/fs"
	"maps"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/ledger"
	"github.com/quadrat-dev/quadrat/edge/summary"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	law "github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Account is what a device has given and may still give, for its owner. Epsilons and rhos are decimal numbers as text.
type Account struct {
	Device           string     `json:"device"`
	Unit             string     `json:"unit"`             // "device", or "unit" behind a gateway
	Units            []string   `json:"units,omitempty"`  // of a gateway
	Bound            bool       `json:"bound_to_machine"` // a copy of the ledger is refused on another machine
	Witnessed        bool       `json:"witnessed"`        // a restored copy is refused on this one
	Opened           time.Time  `json:"opened"`
	Period           string     `json:"period"`
	EpsilonPerPeriod string     `json:"epsilon_per_period"`
	SpentInPeriod    string     `json:"spent_in_period"`
	LeftInPeriod     string     `json:"left_in_period"`
	RhoInPeriod      string     `json:"rho_in_period"`
	MoreAt           *time.Time `json:"more_at,omitempty"`      // when something comes back
	FullAt           *time.Time `json:"full_at,omitempty"`      // when all has come back, if nothing is spent meanwhile
	SilentUntil      *time.Time `json:"silent_until,omitempty"` // set when the clock is behind the newest charge
	Lifetime         string     `json:"lifetime,omitempty"`
	SpentInLifetime  string     `json:"spent_in_lifetime"`
	LeftInLifetime   string     `json:"left_in_lifetime,omitempty"`
	RhoInLifetime    string     `json:"rho_in_lifetime"`
	Reports          uint64     `json:"reports"`
	Values           int        `json:"memoised_values,omitempty"`
	SecretLost       bool       `json:"secret_lost,omitempty"` // no more permanent answers
	Kappas           []Spending `json:"kappas"`

	period      time.Duration
	spent, most privacy.Epsilon
}

// Spending is what one kappa has cost since the ledger began, and what it asks for if the device still holds its plan.
type Spending struct {
	Ref       string `json:"ref"`
	Name      string `json:"name,omitempty"`
	Asks      string `json:"asks,omitempty"` // its statistics
	PerReport string `json:"epsilon_per_report,omitempty"`
	PerValue  string `json:"epsilon_per_value,omitempty"` // charged once for each category, in place of each report
	PerPeriod string `json:"epsilon_per_period,omitempty"`
	Period    string `json:"period,omitempty"` // "ever" with epsilon_per_value
	period    time.Duration
	Standing  string     `json:"standing"`
	Epsilon   string     `json:"epsilon"`
	Rho       string     `json:"rho"`
	Reports   uint64     `json:"reports"`
	Newest    *time.Time `json:"newest_window,omitempty"`
}

// earlier stands for the kappas that the ledger no longer keeps apart.
const earlier = "(earlier)"

// ReadAccount reads the device's ledger and its plans without disturbing a running collector. Of the parts it needs the
// configuration, the folders and the root. It fails with fs.ErrNotExist when the device never ran.
func ReadAccount(p Parts, now time.Time) (Account, error) {
	where := p.ledger()
	l, err := ledger.Inspect(where)
	if err != nil {
		return Account{}, err
	}
	limits, left, spent, period := l.Book.Limits(), l.Book.Left(now), l.Book.Spent(), l.Book.Period(now)
	a := Account{
		Device: p.Config.Device, Unit: "device", Bound: where.Machine != "", Witnessed: p.Witness != nil,
		Opened: l.Opened, Period: limits.Period.String(), period: limits.Period,
		spent: limits.PerPeriod - left.Period, most: limits.PerPeriod,
		EpsilonPerPeriod: limits.PerPeriod.String(), SpentInPeriod: (limits.PerPeriod - left.Period).String(),
		LeftInPeriod: left.Period.String(), RhoInPeriod: rho(period.Rho),
		SpentInLifetime: spent.Epsilon.String(), RhoInLifetime: rho(spent.Rho), Reports: spent.Reports,
		Values: l.Book.Values(), SecretLost: l.SecretLost, Kappas: []Spending{},
	}
	if p.Config.Role == RoleGateway {
		a.Unit = "unit"
		for _, u := range p.Config.Units {
			a.Units = append(a.Units, u.Name)
		}
	}
	if limits.Lifetime != privacy.MaxBudget {
		a.Lifetime, a.LeftInLifetime = limits.Lifetime.String(), left.Lifetime.String()
	}
	if left.Period < limits.PerPeriod {
		a.MoreAt = when(l.Book, now, left.Period+1)
		a.FullAt = when(l.Book, now, limits.PerPeriod)
	}
	if newest, ok := l.Book.Newest(); ok && newest.Add(-law.Tolerance).After(now) {
		until := newest.Add(-law.Tolerance)
		a.SilentUntil = &until
	}
	a.charged(l.Book, spent)
	return a, a.planned(&p, left)
}

// charged adds what was charged, and what isn't kept apart any more.
func (a *Account) charged(b *law.Book, rest law.Spent) {
	for _, k := range b.Kappas() {
		newest := k.Newest
		a.Kappas = append(a.Kappas, Spending{
			Ref: k.Name, Standing: "no longer asks", Epsilon: k.Spent.Epsilon.String(), Rho: rho(k.Spent.Rho),
			Reports: k.Spent.Reports, Newest: &newest,
		})
		rest.Epsilon, rest.Rho, rest.Reports = rest.Epsilon-k.Spent.Epsilon, rest.Rho-k.Spent.Rho, rest.Reports-k.Spent.Reports
	}
	if rest.Reports > 0 {
		a.Kappas = append(a.Kappas, Spending{
			Ref: earlier, Standing: "no longer asks", Epsilon: rest.Epsilon.String(), Rho: rho(rest.Rho), Reports: rest.Reports,
		})
	}
}

// nothing has no readings and grants nothing: it lets an agent judge plans without following them.
type nothing struct{}

func (nothing) Summary(summary.Series, int64) summary.Summary { return summary.Summary{} }
func (nothing) Reserve(law.Charge) error                      { return law.PeriodSpent }

// Secret and ReserveValue grant nothing either.
func (nothing) Secret() (*[privacy.SecretBytes]byte, error)       { return nil, ledger.FaultSecret }
func (nothing) ReserveValue(law.Charge, [law.TagBytes]byte) error { return law.PeriodSpent }

// planned adds what the plans that the device holds ask for and how it stands to them. Plans that can't be read are no
// fault of the ledger's.
func (a *Account) planned(p *Parts, left law.Left) error {
	reply, err := readPlans(p.Data)
	if err != nil {
		return nil //nolint:nilerr // the device will ask for them again
	}
	stands := make(map[string]agent.Standing) // the best that anybody has, by kappa
	for _, c := range p.Config.Identities() {
		c.Ledger, c.Memory, c.Source, c.Readings = nothing{}, nothing{}, privacy.NewSecure(nil), nothing{}
		judge, err := agent.New(c)
		if err != nil {
			return err
		}
		if _, err := judge.ApplyReply(&reply); err != nil {
			return err
		}
		a.judged(judge, maps.Clone(stands), stands, left)
	}
	return nil
}

// judged adds what one identity makes of the plans. Of the units behind a gateway one that takes part tells more than another.
func (a *Account) judged(judge *agent.Agent, earlier, stands map[string]agent.Standing, left law.Left) {
	for h := range judge.Plans() {
		before, known := earlier[h.Plan.Ref]
		if h.Standing == agent.OutOfFrame || known && before == agent.Takes {
			continue
		}
		stands[h.Plan.Ref] = h.Standing
		s := a.of(h.Plan.Ref)
		s.Name, s.Asks, s.Standing = h.Plan.Name, asks(h.Plan), h.Standing.String()
		s.PerReport, s.PerPeriod = privacy.Epsilon(h.Plan.EpsilonMicro).String(), privacy.Epsilon(h.Plan.EpsilonPeriodMicro).String()
		s.period = milliseconds(h.Plan.PeriodMs)
		s.Period = s.period.String()
		if value := privacy.Epsilon(h.Plan.EpsilonValueMicro); value > 0 {
			s.PerValue, s.Period = value.String(), "ever"
		}
		if h.Standing == agent.Takes {
			s.Standing = a.standing(h, left)
		}
	}
}

// standing says how a device stands that takes part as far as its allowance goes.
func (a *Account) standing(h agent.Held, left law.Left) string {
	price := charge(h.Plan)
	switch {
	case h.Plan.EpsilonValueMicro > 0 && a.SecretLost:
		return "silent: ledger.secret is lost"
	case h.Plan.EpsilonValueMicro > 0 && price > min(left.Lifetime, left.Period):
		return "answers what it has answered before; silent about anything new"
	case price > left.Lifetime:
		return "silent: your limit for ever is reached"
	case price > left.Period:
		return "silent until enough has come back"
	}
	return h.Standing.String()
}

// charge is what a plan asks of the ledger: the price of a category where there are permanent answers, of a report elsewhere.
func charge(p *wire.DevicePlan) privacy.Epsilon {
	return privacy.Epsilon(max(p.EpsilonMicro, p.EpsilonValueMicro))
}

// of returns the entry of a kappa, a new one if it was never charged.
func (a *Account) of(ref string) *Spending {
	for i := range a.Kappas {
		if a.Kappas[i].Ref == ref {
			return &a.Kappas[i]
		}
	}
	a.Kappas = append(a.Kappas, Spending{Ref: ref, Epsilon: "0", Rho: "0"})
	return &a.Kappas[len(a.Kappas)-1]
}

func asks(p *wire.DevicePlan) string {
	names := make([]string, len(p.Statistics))
	for i := range p.Statistics {
		names[i] = p.Statistics[i].Name
	}
	return strings.Join(names, ", ")
}

// rho writes billionths as a decimal number.
func rho(billionths uint64) string {
	const one = 1_000_000_000
	whole, part := billionths/one, billionths%one
	text := strconv.FormatUint(whole, 10)
	if part == 0 {
		return text
	}
	return text + "." + strings.TrimRight(strconv.FormatUint(one+part, 10)[1:], "0")
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

// Explain says what the owner of a device can do about a ledger that isn't there or isn't trusted; for any other error it
// returns nothing.
func Explain(err error) string {
	for _, f := range []struct {
		fault error
		text  string
	}{
		{fs.ErrNotExist, "There is no ledger yet: the collector never ran with this data folder. Is it the right edge.yaml?"},
		{disk.ErrLocked, "The collector is running with this data folder. Stop it first."},
		{ledger.FaultDevice, "This data folder belongs to a device of another name. Give this one a folder of its own, or its old name back."},
		{ledger.FaultMachine, "If the other board no longer runs, say `quadrat-edge ledger --adopt`. If both run, give this one another name and an empty data folder: " +
			"two boards by one name give away twice what their owner allowed."},
		{ledger.FaultRolledBack, "An older copy was put in its place, so nobody knows what was spent since. The device stays silent. Put the newest files back; " +
			"if they are lost, give the device another name and an empty data folder."},
		{ledger.FaultMissing, "The device stays silent, since nobody knows what was spent. Put the file back; if it is lost, give the device another name and an empty data folder."},
		{ledger.FaultAnchor, "The device stays silent. Put both files back as they were; if they are lost, give the device another name and an empty data folder."},
		{ledger.FaultSecret, "Nothing that asks for permanent answers is answered any more, since new ones would give away as much again. Put ledger.secret back; " +
			"if it is lost, everything else goes on as before."},
		{law.FaultRecord, "The file was changed or the disk has lost a part of it. The device stays silent. If there is no whole copy of the newest state, give it another name and an empty data folder."},
		{law.FaultChain, "Records are missing or come from another file. The device stays silent. If there is no whole copy of the newest state, give it another name and an empty data folder."},
	} {
		if errors.Is(err, f.fault) {
			return f.text
		}
	}
	return ""
}
