package account_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/account"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

const hour = time.Hour

func TestOver(t *testing.T) {
	day := account.Terms{PerReport: 1e6, PerPeriod: 1e6, Period: 24 * hour, Window: hour}
	for _, c := range []struct {
		terms   account.Terms
		windows int64
		want    privacy.Epsilon
	}{
		{day, -1, 0},
		{day, 0, 0},
		{day, 1, 1e6},
		{day, 24, 1e6},
		{day, 25, 2e6},
		{day, 48, 2e6},
		{day, 365 * 24, 365e6},
		{account.Terms{PerReport: 25e4, PerPeriod: 1e6, Period: 24 * hour, Window: hour}, 3, 75e4},
		{account.Terms{PerReport: 25e4, PerPeriod: 1e6, Period: 24 * hour, Window: hour}, 26, 15e5},
		// Two windows of 16 hours start within one span of 24: at 0 and 16.
		{account.Terms{PerReport: 1e6, PerPeriod: 15e5, Period: 24 * hour, Window: 16 * hour}, 2, 15e5},
		{account.Terms{PerReport: 1e6, PerPeriod: 1e6, Period: hour, Window: 24 * hour}, 3, 3e6},
		{account.Terms{PerReport: 20e6, PerPeriod: 20e6, Period: hour, Window: hour}, math.MaxInt64, math.MaxUint64},
		{account.Terms{}, 1000, 0},
	} {
		if got := c.terms.Over(c.windows); got != c.want {
			t.Errorf("%+v over %d windows: %d, want %d", c.terms, c.windows, got, c.want)
		}
	}
}

// TestTight holds the bound against a device that answers whenever its ledger lets it: it then spends all of it.
func TestTight(t *testing.T) {
	terms := account.Terms{PerReport: 1e6, PerPeriod: 2e6, Period: 24 * hour, Window: 5 * hour}
	a, d := account.New(7, terms), newDevice(t)
	for w := int64(7); w < 100; w++ {
		d.try(w, terms)
		if got := a.Through(w); got != d.spent() {
			t.Fatalf("window %d: bound %d, a device spent %d", w, got, d.spent())
		}
	}
}

// TestPermanentAnswers holds the bound for a question with permanent answers against devices with real ledgers that move among its
// categories as chance wants, also when a revision changes the price and thereby all permanent answers: min(windows, k) times the
// price, which a device that is always found somewhere new spends to the last, and none spends more.
func TestPermanentAnswers(t *testing.T) {
	const k, first = 5, 100
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 8))
		terms := valueTerms(1+privacy.Epsilon(r.IntN(2_000_000)), k)
		a, d, mover := account.New(first, terms), newDevice(t), newDevice(t)
		revision := byte(0)
		for w := int64(first); w < first+60; w++ {
			if seed%2 == 1 && w == first+20 {
				terms, revision = valueTerms(1+privacy.Epsilon(r.IntN(2_000_000)), k), 1
				a = a.Revise(w, terms)
			}
			d.remember(w, terms, revision, byte(r.IntN(k)))
			mover.remember(w, terms, revision, byte((w-first)%k))
			bound := a.Through(w)
			if seed%2 == 0 && bound != terms.PerReport*privacy.Epsilon(min(w-first+1, k)) {
				t.Fatalf("window %d: bound %d", w-first, bound)
			}
			if d.spent() > bound || mover.spent() > bound || seed%2 == 0 && mover.spent() != bound {
				t.Fatalf("seed %d, window %d: spent %d and %d, bound %d", seed, w-first, d.spent(), mover.spent(), bound)
			}
		}
		if seed%2 == 0 && (d.book.Values() != k || mover.book.Values() != k) {
			t.Errorf("seed %d: only %d and %d values", seed, d.book.Values(), mover.book.Values())
		}
	}
}

// valueTerms are those of a question with permanent answers to k categories.
func valueTerms(price privacy.Epsilon, k int) account.Terms {
	return account.Terms{PerReport: price, PerPeriod: price * privacy.Epsilon(k), Period: ledger.PeriodMax, Window: hour}
}

// remember answers about a category, if its ledger lets it; prices of different revisions have different answers.
func (d *device) remember(w int64, terms account.Terms, revision, category byte) {
	d.t.Helper()
	err := d.book.ReserveValue(ledger.Charge{
		Kappa: "k1", WindowStart: time.UnixMilli(0).Add(time.Duration(w) * terms.Window), Window: terms.Window, Epsilon: terms.PerReport,
		PlanPerPeriod: terms.PerPeriod, PlanPeriod: terms.Period,
	}, [ledger.TagBytes]byte{1, revision, category})
	if err != nil && !errors.Is(err, ledger.PlanSpent) {
		d.t.Fatal(err)
	}
}

// TestBoundsEveryDevice lets devices follow any of the revisions that are out, answer when chance wants, and be charged by the
// real ledger: none ever spends more than the account says, and the account never falls.
func TestBoundsEveryDevice(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { life(t, rand.New(rand.NewPCG(seed, 4))) })
	}
}

func life(t *testing.T, r *rand.Rand) {
	window := time.Duration(1+r.IntN(30)) * hour
	revisions := []account.Terms{anyTerms(r, window)}
	devices := []*device{newDevice(t), newDevice(t), newDevice(t)}
	a := account.New(10, revisions[0])
	last := privacy.Epsilon(0)
	for w := int64(10); w < 150; w++ {
		if r.IntN(20) == 0 {
			revisions = append(revisions, anyTerms(r, window))
			a = a.Revise(w, revisions[len(revisions)-1])
		}
		bound := a.Through(w)
		if bound < last {
			t.Fatalf("window %d: the bound fell from %d to %d", w, last, bound)
		}
		last = bound
		for i, d := range devices {
			d.follows = max(d.follows, r.IntN(len(revisions))) // hears of new ones late, or never
			if i == 0 || r.IntN(3) > 0 {
				d.try(w, revisions[d.follows])
			}
			if d.spent() > bound {
				t.Fatalf("window %d: a device spent %d, the bound is %d", w, d.spent(), bound)
			}
		}
	}
}

func anyTerms(r *rand.Rand, window time.Duration) account.Terms {
	each := privacy.Epsilon(1 + r.IntN(2_000_000))
	return account.Terms{
		PerReport: each, PerPeriod: each * privacy.Epsilon(1+r.IntN(4)), Period: time.Duration(1+r.IntN(100)) * hour, Window: window,
	}
}

// device answers in every window in which its ledger lets it.
type device struct {
	t       *testing.T
	book    *ledger.Book
	follows int
}

func (d *device) try(w int64, terms account.Terms) {
	start := time.UnixMilli(0).Add(time.Duration(w) * terms.Window)
	d.charge(ledger.Charge{
		Kappa: "k1", WindowStart: start, Window: terms.Window, Epsilon: terms.PerReport,
		PlanPerPeriod: terms.PerPeriod, PlanPeriod: terms.Period,
	})
}

func TestPauseChangesNothing(t *testing.T) {
	terms := account.Terms{PerReport: 1e6, PerPeriod: 1e6, Period: hour, Window: hour}
	a := account.New(3, terms)
	if got := a.Revise(9, account.Terms{Window: hour}); got != a {
		t.Errorf("a revision that allows nothing makes %+v of %+v", got, a)
	}
	// What is raised counts from then on, not for the past.
	raised := a.Revise(13, account.Terms{PerReport: 4e6, PerPeriod: 4e6, Period: hour, Window: hour})
	if got := raised.Through(13); got != 14e6 {
		t.Errorf("ten windows at 1 and one at 4 make %d", got)
	}
}

func newDevice(t *testing.T) *device {
	t.Helper()
	book, err := ledger.NewBook(ledger.Limits{PerPeriod: privacy.MaxBudget, Period: hour, Lifetime: privacy.MaxBudget})
	if err != nil {
		t.Fatal(err)
	}
	return &device{t: t, book: book}
}

func (d *device) charge(c ledger.Charge) {
	d.t.Helper()
	if err := d.book.Reserve(c); err != nil && !errors.Is(err, ledger.PlanSpent) && !errors.Is(err, ledger.Forgotten) {
		d.t.Fatal(err)
	}
}

func (d *device) spent() privacy.Epsilon { return d.book.Spent().Epsilon }
