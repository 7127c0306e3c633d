package verify

import (
	"context"
	"fmt"
	"math"
	"math/big"
	"slices"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// numberNames is every mechanism for numbers and bits, those that take an opt-in last: to verify is one.
func numberNames() []string { return append(mechanisms.Names(), mechanisms.OptIns()...) }

// number is a mechanism for numbers or bits by name, whether it takes an opt-in or not.
func number(name string, e privacy.Epsilon) (privacy.Mechanism, error) {
	if slices.Contains(mechanisms.OptIns(), name) {
		return mechanisms.OptIn(name, e)
	}
	return mechanisms.ByName(name, e)
}

// categories is how many alternatives the certificates are made for.
func categories(name string) []uint32 {
	if name == "olh" {
		return []uint32{2, 100, 2000}
	}
	return []uint32{2, 5, 32, 1000}
}

// certificates proves every mechanism on a grid of ε.
func certificates(ctx context.Context, c Config) ([]Check, error) {
	grid, err := epsilons(1, 10_000, 100_000, 250_000, 500_000, 610_000, 620_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 20_000_000)
	if err != nil {
		return nil, err
	}
	var out []Check
	for _, name := range numberNames() {
		c.begin(Certificate, name)
		t := newTally()
		for _, e := range grid {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			m, err := number(name, e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			t.add(m.Certificate())
		}
		out = append(out, t.check(name, grid))
	}
	for _, name := range categoricalNames() {
		c.begin(Certificate, name)
		t := newTally()
		for _, e := range grid {
			for _, k := range categories(name) {
				if err := ctx.Err(); err != nil {
					return nil, err
				}
				m, err := categorical(name, e, k)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", name, err)
				}
				t.add(m.Certificate())
				if kept, ok := m.(*memo.Mechanism); ok {
					t.add(kept.ForeverCertificate())
				}
			}
		}
		out = append(out, t.check(name, grid))
	}
	laws, err := gatewayLaws()
	return append(out, laws), err
}

// tally adds up certificates of one mechanism.
type tally struct {
	began   time.Time
	made    int
	broken  string  // the first that doesn't hold
	closest float64 // least share of e^ε that is left
}

func newTally() *tally { return &tally{began: time.Now(), closest: math.Inf(1)} }

func (t *tally) add(c privacy.Certificate, err error) {
	t.made++
	switch {
	case err != nil && t.broken == "":
		t.broken = err.Error()
	case err != nil:
	case !c.Holds() && t.broken == "":
		t.broken = fmt.Sprintf("at ε = %v: ratio within e^ε %v, rows sum to one %v, unbiased %v",
			c.Epsilon, c.WorstRatio.Cmp(c.Bound) <= 0, c.RowsSumToOne, c.Unbiased)
	default:
		room := new(big.Rat).Sub(c.Bound, c.WorstRatio)
		part, _ := room.Quo(room, c.Bound).Float64()
		t.closest = math.Min(t.closest, part)
	}
}

func (t *tally) check(name string, grid []privacy.Epsilon) Check {
	c := Check{
		Layer: Certificate, Mechanism: name, Epsilon: grid[0].String() + "…" + grid[len(grid)-1].String(),
		Verdict: verdict(t.broken == ""), Seconds: time.Since(t.began).Seconds(),
	}
	c.Checked = fmt.Sprintf("%d exact certificates; the tightest leaves %.1e of e^ε", t.made, t.closest)
	if t.broken != "" {
		c.Checked = fmt.Sprintf("%d exact certificates; one fails: %s", t.made, t.broken)
	}
	return c
}
