package verify

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// blindUsual is the share of the claimed ε below which a lower bound shows nothing: then the audit itself is at fault.
const blindUsual = 0.6

// pair is the outputs of two inputs that are as far apart as inputs can be.
type pair struct {
	first, second audit.Draw
	limit         uint64
	blind         float64 // the share of the claimed ε below which a lower bound shows nothing; 0 for the usual
}

// numberPair draws from both ends of the range.
func numberPair(m privacy.Mechanism, seed uint64) pair {
	end := func(input uint32, seed uint64) audit.Draw {
		src := privacy.NewSeeded(seed)
		return func() (uint64, error) {
			code, err := m.Randomise(input, src)
			return uint64(code), err
		}
	}
	return pair{first: end(0, 2*seed), second: end(m.Levels(), 2*seed+1), limit: uint64(m.Codes())}
}

// categoryPair draws from the first two categories; reports have at most two bytes, which are the output.
func categoryPair(m privacy.Categorical, seed uint64) pair {
	of := func(category uint32, seed uint64) audit.Draw {
		src := privacy.NewSeeded(seed)
		buf := make([]byte, 0, m.Bytes())
		return func() (uint64, error) {
			report, err := m.Randomise(category, src, buf)
			output := uint64(0)
			for i, b := range report {
				output |= uint64(b) << (8 * i)
			}
			return output, err
		}
	}
	return pair{first: of(0, 2*seed), second: of(1, 2*seed+1), limit: 1 << (8 * m.Bytes())}
}

// bound audits a pair against a claim.
func (p pair) bound(ctx context.Context, layer Layer, name string, claimed privacy.Epsilon, draws int) (Check, error) {
	began := time.Now()
	b, err := audit.LowerBound(until(ctx, p.first), until(ctx, p.second), p.limit, draws, falseAlarm)
	if err != nil {
		return Check{}, fmt.Errorf("%s: %w", name, err)
	}
	claim, blind := claimed.Float64(), cmp.Or(p.blind, blindUsual)
	c := Check{Layer: layer, Mechanism: name, Epsilon: claimed.String(), Verdict: verdict(b.Epsilon <= claim && b.Epsilon >= blind*claim)}
	c.Checked = fmt.Sprintf("2 × %d draws: ε ≥ %.3f with confidence 1 - 1e-6", draws, b.Epsilon)
	switch {
	case layer == Control:
		c.Verdict = verdict(b.Epsilon > claim)
		c.Checked += ", claimed " + claimed.String()
	case b.Epsilon > claim:
		c.Checked += ": more than is claimed"
	case b.Epsilon < blind*claim:
		c.Checked += ": too little to see a bug"
	}
	c.Seconds = time.Since(began).Seconds()
	return c, nil
}

// lowerBounds audits every mechanism at ε = 1.
func lowerBounds(ctx context.Context, c Config) ([]Check, error) {
	const e = privacy.Epsilon(1_000_000)
	var out []Check
	add := func(p pair, name string) error {
		c.begin(LowerBound, name)
		check, err := p.bound(ctx, LowerBound, name, e, c.Draws)
		out = append(out, check)
		return err
	}
	for _, name := range numberNames() {
		m, err := number(name, e)
		if err != nil {
			return nil, err
		}
		if err := add(numberPair(m, c.Seed), name); err != nil {
			return nil, err
		}
	}
	for _, name := range categoricalNames() {
		m, err := categorical(name, e, few)
		if err != nil {
			return nil, err
		}
		if err := add(categoryPair(m, c.Seed), name); err != nil {
			return nil, err
		}
	}
	kept, err := memo.New(e, e/2, 2)
	if err != nil {
		return nil, err
	}
	return out, add(windowsPair(kept, c.Seed), fmt.Sprintf("memo, %d windows", windowsHeard))
}

// controls audits bugs that systems have shipped, each claiming ε = 1: an audit that misses them is worth nothing.
func controls(ctx context.Context, c Config) ([]Check, error) {
	const e = privacy.Epsilon(1_000_000)
	laps, err := mechanisms.OptIn(mechanisms.OptIns()[0], 2*e)
	if err != nil {
		return nil, err
	}
	pm, err := mechanisms.ByName("piecewise", 2*e)
	if err != nil {
		return nil, err
	}
	bit, err := mechanisms.ForBit(e)
	if err != nil {
		return nil, err
	}
	grr, err := mechanisms.CategoricalByName("grr", e, 8)
	if err != nil {
		return nil, err
	}
	bugs := []struct {
		name string
		pair pair
	}{
		{"the sensitivity is half the range", numberPair(laps, c.Seed)},
		{"ε where ε/2 belongs", numberPair(pm, c.Seed)},
		{"three fresh answers to one question", thrice(bit, c.Seed)},
		{"silent when the bit is 0", silent(bit, c.Seed)},
		{"the truth is among the lies", truthful(grr, c.Seed)},
	}
	var out []Check
	for _, b := range bugs {
		c.begin(Control, b.name)
		check, err := b.pair.bound(ctx, Control, b.name, e, c.Draws)
		if err != nil {
			return nil, err
		}
		out = append(out, check)
	}
	return out, nil
}

// thrice answers three times with fresh noise, as a broken memory does.
func thrice(m privacy.Mechanism, seed uint64) pair {
	p := numberPair(m, seed)
	three := func(draw audit.Draw) audit.Draw {
		return func() (uint64, error) {
			output := uint64(0)
			for range 3 {
				code, err := draw()
				if err != nil {
					return 0, err
				}
				output = output<<1 | code
			}
			return output, nil
		}
	}
	return pair{first: three(p.first), second: three(p.second), limit: 8}
}

// silent sends nothing, output 2, when the bit is 0.
func silent(m privacy.Mechanism, seed uint64) pair {
	p := numberPair(m, seed)
	p.first, p.limit = func() (uint64, error) { return 2, nil }, 3
	return p
}

// truthful lies with any category, the true one among them, as often as it should lie with another.
func truthful(m privacy.Categorical, seed uint64) pair {
	truth := m.Rates().Truth
	of := func(category uint64, seed uint64) audit.Draw {
		rng := rand.New(rand.NewPCG(seed, 17))
		return func() (uint64, error) {
			if rng.Float64() < truth {
				return category, nil
			}
			return rng.Uint64N(uint64(m.Categories())), nil
		}
	}
	return pair{first: of(0, seed), second: of(1, seed+1), limit: uint64(m.Categories())}
}
