package ledger_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

const (
	one  = privacy.Epsilon(1_000_000)
	hour = time.Hour
)

var epoch = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func limits() ledger.Limits {
	return ledger.Limits{PerPeriod: 4 * one, Period: hour, Lifetime: 1000 * one}
}

func charge(kappa string, start time.Duration, e privacy.Epsilon) ledger.Charge {
	return ledger.Charge{
		Kappa: kappa, WindowStart: epoch.Add(start), Window: time.Minute,
		Epsilon: e, PlanPerPeriod: 4 * one, PlanPeriod: hour,
	}
}

func book(t *testing.T, l ledger.Limits) *ledger.Book {
	t.Helper()
	b, err := ledger.NewBook(l)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func want(t *testing.T, err error, reason error) {
	t.Helper()
	if !errors.Is(err, reason) || (reason == nil) != (err == nil) {
		t.Errorf("got %v, want %v", err, reason)
	}
}

func TestExactLapPlacesPassForEver(t *testing.T) {
	l := limits()
	l.Lifetime = privacy.MaxBudget
	b := book(t, l)
	for lap := range 5000 {
		at := time.Duration(lap)*hour + 17*time.Minute
		if lap > 0 {
			want(t, b.Check(charge("indoor", at-time.Nanosecond, 4*one)), ledger.PeriodSpent)
			want(t, b.Check(charge("indoor", at-time.Minute, 1)), ledger.PeriodSpent)
		}
		want(t, b.Reserve(charge("indoor", at, 4*one)), nil)
	}
	if got := b.Spent(); got.Reports != 5000 || got.Epsilon != 20_000*one || got.Rho != 5000*8_000_000_000 {
		t.Errorf("spent %+v", got)
	}
}

func TestTwoKappasShareTheDevice(t *testing.T) {
	b := book(t, limits())
	want(t, b.Reserve(charge("first", 0, 3*one)), nil)
	err := b.Reserve(charge("second", time.Minute, 2*one))
	want(t, err, ledger.PeriodSpent)
	var refusal ledger.Refusal
	if !errors.As(err, &refusal) || refusal.Left != one {
		t.Errorf("refusal %+v", refusal)
	}
	if got := err.Error(); got != "ledger: spent in the period: epsilon 1 left" {
		t.Errorf("message %q", got)
	}
	want(t, b.Reserve(charge("second", time.Minute, one)), nil)
	want(t, b.Reserve(charge("third", 2*time.Minute, 1)), ledger.PeriodSpent)
	if left := b.Left(epoch.Add(hour)); left.Period != 3*one || left.Lifetime != 996*one {
		t.Errorf("left %+v", left)
	}
	kappas := b.Kappas()
	if len(kappas) != 2 || kappas[1].Name != "second" || kappas[1].Spent.Epsilon != one || !kappas[1].Newest.Equal(epoch.Add(time.Minute)) {
		t.Errorf("kappas %+v", kappas)
	}
}

func TestPlanLimitsItsKappaAlone(t *testing.T) {
	b := book(t, limits())
	c := charge("indoor", 0, one)
	c.PlanPerPeriod, c.PlanPeriod = one, 24*hour
	want(t, b.Reserve(c), nil)
	c.WindowStart = c.WindowStart.Add(24*hour - 1)
	want(t, b.Check(c), ledger.PlanSpent)
	other := charge("outdoor", 2*hour, one)
	other.PlanPerPeriod, other.PlanPeriod = one, 24*hour
	want(t, b.Reserve(other), nil)
	c.WindowStart = c.WindowStart.Add(1)
	want(t, b.Reserve(c), nil)
}

func TestLifetime(t *testing.T) {
	l := limits()
	l.Lifetime = 5 * one
	b := book(t, l)
	want(t, b.Reserve(charge("a", 0, 3*one)), nil)
	want(t, b.Reserve(charge("a", 100*hour, 2*one+1)), ledger.LifetimeSpent)
	want(t, b.Reserve(charge("a", 100*hour, 2*one)), nil)
	want(t, b.Reserve(charge("a", 9000*hour, 1)), ledger.LifetimeSpent)
}

func TestOneChargePerWindow(t *testing.T) {
	b := book(t, limits())
	want(t, b.Reserve(charge("a", 0, one)), nil)
	want(t, b.Reserve(charge("a", 0, one)), ledger.AlreadyCharged)
	want(t, b.Reserve(charge("b", 0, one)), nil)
	want(t, b.Reserve(charge("a", time.Minute, one)), nil)
	// An older window than the newest, within the tolerance, once.
	want(t, b.Reserve(charge("b", -time.Minute, one)), nil)
	want(t, b.Reserve(charge("b", -time.Minute, one)), ledger.AlreadyCharged)
	want(t, b.Reserve(charge("b", 0, one)), ledger.AlreadyCharged)
}

func TestClockBack(t *testing.T) {
	b := book(t, limits())
	if _, any := b.Newest(); any {
		t.Error("an empty book has a newest window")
	}
	want(t, b.Reserve(charge("a", 48*hour, one)), nil)
	want(t, b.Check(charge("b", 48*hour-ledger.Tolerance-1, one)), ledger.ClockBack)
	want(t, b.Check(charge("b", 48*hour-ledger.Tolerance, one)), nil)
	// A longer window starts earlier and ends now.
	long := charge("b", 24*hour, one)
	long.Window = 24*hour + time.Minute
	want(t, b.Check(long), nil)
	if newest, any := b.Newest(); !any || !newest.Equal(epoch.Add(48*hour+time.Minute)) {
		t.Errorf("newest %v", newest)
	}
}

// TestForgottenPastIsRefusedOnce lets a plan with windows of a week arrive when
// only a day is kept.
func TestForgottenPastIsRefusedOnce(t *testing.T) {
	b := book(t, limits())
	week := func(n time.Duration) ledger.Charge {
		c := charge("weekly", n*168*hour, one)
		c.Window = 168 * hour
		return c
	}
	for at := time.Duration(0); at < 4*168*hour; at += hour {
		want(t, b.Reserve(charge("hourly", at, one)), nil)
		if (at+hour)%(168*hour) == 0 {
			reason := error(nil)
			if at < 168*hour {
				reason = ledger.Forgotten
			}
			want(t, b.Reserve(week(at/(168*hour))), reason)
		}
	}
}

// TestForgottenNeighbourIsRefused charges a window whose own start is kept, but
// not all that lies within a period of it.
func TestForgottenNeighbourIsRefused(t *testing.T) {
	b := book(t, limits())
	const last = 60
	for at := range time.Duration(last + 1) {
		want(t, b.Reserve(charge("hourly", at*hour, one)), nil)
	}
	// Kept is what starts after newest end - tolerance - a day - an hour: hour 35
	// and later.
	c := charge("long", (last-26)*hour+30*time.Minute, one)
	c.Window = 25*hour + 31*time.Minute
	want(t, b.Check(c), ledger.Forgotten)
	c.WindowStart = c.WindowStart.Add(30 * time.Minute)
	want(t, b.Check(c), nil)
}

// TestExpectedPlansAreNotRefused restarts the device every day, between the
// windows of a weekly plan.
func TestExpectedPlansAreNotRefused(t *testing.T) {
	chain, record, err := ledger.Open(owner, epoch)
	if err != nil {
		t.Fatal(err)
	}
	out := append([]byte(nil), record[:]...)
	for day := range 14 {
		r, err := ledger.Replay(limits(), owner, out)
		if err != nil {
			t.Fatal(err)
		}
		r.Book.Expect("weekly", 168*hour, 168*hour)
		spend := func(c ledger.Charge) {
			want(t, r.Book.Check(c), nil)
			if chain, record, err = chain.Seal(c); err != nil {
				t.Fatal(err)
			}
			out = append(out, record[:]...)
			want(t, r.Book.Reserve(c), nil)
		}
		for at := range 24 {
			spend(charge("hourly", time.Duration(24*day+at)*hour, one))
		}
		if day%7 == 6 {
			weekly := charge("weekly", time.Duration(day-6)*24*hour, one)
			weekly.Window = 168 * hour
			spend(weekly)
		}
	}
}

func TestInvalid(t *testing.T) {
	valid := charge("a", 0, one)
	for name, edit := range map[string]func(c *ledger.Charge){
		"no kappa":        func(c *ledger.Charge) { c.Kappa = "" },
		"long kappa":      func(c *ledger.Charge) { c.Kappa = string(make([]byte, ledger.KappaBytesMax+1)) },
		"zero ε":          func(c *ledger.Charge) { c.Epsilon = 0 },
		"large ε":         func(c *ledger.Charge) { c.Epsilon = privacy.MaxEpsilon + 1 },
		"wrapping ε":      func(c *ledger.Charge) { c.Epsilon = 1 << 63 },
		"no window":       func(c *ledger.Charge) { c.Window = 0 },
		"negative window": func(c *ledger.Charge) { c.Window = -1 },
		"long window":     func(c *ledger.Charge) { c.Window = ledger.WindowMax + 1 },
		"no plan":         func(c *ledger.Charge) { c.PlanPerPeriod = 0 },
		"wrapping plan":   func(c *ledger.Charge) { c.PlanPerPeriod = 1 << 63 },
		"negative period": func(c *ledger.Charge) { c.PlanPeriod = -hour },
		"long period":     func(c *ledger.Charge) { c.PlanPeriod = ledger.PeriodMax + 1 },
		"before 1970":     func(c *ledger.Charge) { c.WindowStart = time.Unix(-1, 0) },
		"zero time":       func(c *ledger.Charge) { c.WindowStart = time.Time{} },
		"far future":      func(c *ledger.Charge) { c.WindowStart = time.Unix(1<<60, 0) },
	} {
		b := book(t, limits())
		c := valid
		edit(&c)
		want(t, b.Reserve(c), ledger.Invalid)
		if b.Spent() != (ledger.Spent{}) {
			t.Errorf("%s: an invalid charge was booked", name)
		}
	}
	for _, l := range []ledger.Limits{
		{},
		{PerPeriod: one, Period: hour},
		{PerPeriod: one, Lifetime: one},
		{Period: hour, Lifetime: one},
		{PerPeriod: one, Period: -hour, Lifetime: one},
		{PerPeriod: one, Period: ledger.PeriodMax + 1, Lifetime: one},
		{PerPeriod: 1 << 63, Period: hour, Lifetime: one},
	} {
		if b, err := ledger.NewBook(l); !errors.Is(err, ledger.InvalidLimits) || b != nil {
			t.Errorf("limits %+v: %v", l, err)
		}
	}
}

// oracle is the law in its plainest form: it forgets nothing.
type oracle struct {
	limits  ledger.Limits
	charges []ledger.Charge
}

func (o *oracle) spent(c ledger.Charge, period time.Duration, kappa string) privacy.Epsilon {
	all := append(append([]ledger.Charge(nil), o.charges...), c)
	most := privacy.Epsilon(0)
	for _, from := range all {
		// A plan may become stricter: only spans that hold the charge matter.
		if d := c.WindowStart.Sub(from.WindowStart); d < 0 || d >= period {
			continue
		}
		sum := privacy.Epsilon(0)
		for _, x := range all {
			if d := x.WindowStart.Sub(from.WindowStart); d >= 0 && d < period && (kappa == "" || x.Kappa == kappa) {
				sum += x.Epsilon
			}
		}
		most = max(most, sum)
	}
	return most
}

func (o *oracle) allows(c ledger.Charge) bool {
	total := c.Epsilon
	for _, x := range o.charges {
		total += x.Epsilon
		if x.Kappa == c.Kappa && x.WindowStart.Equal(c.WindowStart) {
			return false
		}
	}
	return total <= o.limits.Lifetime &&
		o.spent(c, o.limits.Period, "") <= o.limits.PerPeriod &&
		o.spent(c, c.PlanPeriod, c.Kappa) <= c.PlanPerPeriod
}

// TestBookAgreesWithTheLaw makes random charges, many of them at the very edge
// of a period, and compares each decision with the oracle's. The book may refuse
// more only for a clock that goes back: what it forgets must not matter.
func TestBookAgreesWithTheLaw(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 9))
		l := ledger.Limits{PerPeriod: 4 * one, Period: 30 * time.Minute, Lifetime: 120 * one}
		b, o := book(t, l), &oracle{limits: l}
		decisions := map[bool]int{}
		now := time.Duration(0)
		for range 250 {
			now += time.Duration(random.IntN(10)) * 5 * time.Minute
			c := charge(string(rune('a'+random.IntN(3))), now, privacy.Epsilon(1+random.IntN(4))*one)
			if random.IntN(4) == 0 {
				c.WindowStart = c.WindowStart.Add(-time.Duration(random.IntN(6)) * time.Minute)
			}
			if random.IntN(8) == 0 {
				c.WindowStart = c.WindowStart.Add(-1)
			}
			if random.IntN(5) == 0 {
				// A window of a day that ends now reaches far back.
				c.Window = 24 * hour
				c.WindowStart = c.WindowStart.Add(time.Minute - c.Window)
				if c.WindowStart.Before(epoch) {
					continue
				}
			}
			c.PlanPeriod = time.Duration(1+random.IntN(8)) * 15 * time.Minute
			c.PlanPerPeriod = privacy.Epsilon(2+random.IntN(3)) * one
			b.Expect(c.Kappa, c.Window, 2*hour)
			allowed := o.allows(c)
			err := b.Reserve(c)
			if errors.Is(err, ledger.ClockBack) {
				continue
			}
			if allowed != (err == nil) {
				t.Fatalf("seed %d: book says %v, law says %v, to %+v", seed, err, allowed, c)
			}
			decisions[allowed]++
			if allowed {
				o.charges = append(o.charges, c)
			}
		}
		if decisions[true] < 20 || decisions[false] < 20 {
			t.Fatalf("seed %d: decisions %v", seed, decisions)
		}
	}
}

func TestBookIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(ledger.Book{}); size >= 200 {
		t.Errorf("an empty book takes %d bytes", size)
	}
	l := limits()
	l.Lifetime = privacy.MaxBudget
	b := book(t, l)
	at := time.Duration(0)
	step := func() {
		if err := b.Reserve(charge("a", at, 4*one)); err != nil {
			t.Fatal(err)
		}
		at += hour
	}
	for range 200 {
		step()
	}
	// A full book forgets as much as it takes in: nothing grows any more.
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("a full book allocates %v times per charge", n)
	}
}
