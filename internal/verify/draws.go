package verify

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/laplace"
)

// few is a number of alternatives whose reports can all be listed, many one where most reports are rare.
const (
	few  = 6
	many = 50
)

// worst keeps the least p-value of several tests.
type worst struct {
	p     float64
	where string
	tests int
}

func (w *worst) add(p float64, where string) {
	w.tests++
	if w.tests == 1 || p < w.p {
		w.p, w.where = p, where
	}
}

// check fails when a p-value is below what its share of the false alarm allows.
func (w *worst) check(name string, e privacy.Epsilon, what string, began time.Time) Check {
	holds := w.p >= falseAlarm/float64(w.tests)
	text := fmt.Sprintf("%s; %d tests, least p = %.2g", what, w.tests, w.p)
	if !holds {
		text += " (" + w.where + ")"
	}
	return Check{Layer: Distribution, Mechanism: name, Epsilon: e.String(), Checked: text, Verdict: verdict(holds), Seconds: time.Since(began).Seconds()}
}

// draws compares samples with exact probabilities.
func draws(ctx context.Context, c Config) ([]Check, error) {
	grid, err := epsilons(500_000, 1_000_000, 4_000_000)
	if err != nil {
		return nil, err
	}
	var out []Check
	for _, e := range grid {
		for _, name := range numberNames() {
			c.begin(Distribution, name)
			check, err := numberDraws(ctx, name, e, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, check)
		}
		for _, name := range categoricalNames() {
			c.begin(Distribution, name)
			check, err := categoryDraws(ctx, name, e, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, check)
		}
	}
	return out, nil
}

// numberDraws tests codes and scores at both ends of the range and between.
func numberDraws(ctx context.Context, name string, e privacy.Epsilon, c Config) (Check, error) {
	began := time.Now()
	m, err := number(name, e)
	if err != nil {
		return Check{}, err
	}
	inputs := []uint32{0, m.Levels() / 3, m.Levels()}
	if m.Levels() == 1 {
		inputs = []uint32{0, 1}
	}
	var w worst
	for i, input := range inputs {
		src := privacy.NewSeeded(c.Seed<<8 + uint64(i))
		if l, ok := m.(*laplace.Mechanism); ok {
			fit, err := laplaceFit(ctx, l, input, c.Draws, src)
			if err != nil {
				return Check{}, err
			}
			w.add(fit.PValue, "outputs")
			continue
		}
		r, err := audit.Sample(stoppable{m, stopper(ctx)}, input, c.Draws, src)
		if err != nil {
			return Check{}, err
		}
		w.add(r.Fit.PValue, "outputs")
		w.add(r.Bias.PValue, "scores")
	}
	return w.check(name, e, fmt.Sprintf("%d × %d draws: χ² against the exact law, mean score", len(inputs), c.Draws), began), nil
}

// laplaceFit is a χ² test in 64 bins of equal width over eight scales, the law being known by its distribution function.
func laplaceFit(ctx context.Context, m *laplace.Mechanism, input uint32, n int, src privacy.Source) (audit.Result, error) {
	const bins = 64
	scale := float64(m.Levels()) / m.Epsilon().Float64()
	zero := float64(m.Codes()-1-m.Levels())/2 + float64(input)
	edges := make([]uint32, bins+1)
	for i := 1; i < bins; i++ {
		edges[i] = uint32(math.Max(0, math.Min(float64(m.Codes()), zero+scale*(float64(i)-bins/2)/8)))
	}
	edges[bins] = m.Codes()
	observed, expected := make([]float64, bins), make([]float64, bins)
	for i := range bins {
		expected[i] = float64(n) * (m.Below(edges[i+1], input) - m.Below(edges[i], input))
	}
	stop := stopper(ctx)
	for range n {
		if err := stop(); err != nil {
			return audit.Result{}, err
		}
		code, err := m.Randomise(input, src)
		if err != nil {
			return audit.Result{}, err
		}
		i := 0
		for code >= edges[i+1] {
			i++
		}
		observed[i]++
	}
	return audit.ChiSquare(observed, expected), nil
}

// categoryDraws tests whole reports over few categories, and supports of one and of two categories over many.
func categoryDraws(ctx context.Context, name string, e privacy.Epsilon, c Config) (Check, error) {
	began := time.Now()
	var w worst
	for _, k := range []uint32{few, many} {
		m, err := categorical(name, e, k)
		if err != nil {
			return Check{}, err
		}
		for i, category := range []uint32{0, k / 2, k - 1} {
			r, err := audit.SampleCategories(stoppableCategories{m, stopper(ctx)}, category, c.Draws/5, privacy.NewSeeded(c.Seed<<8+uint64(i)))
			if err != nil {
				return Check{}, err
			}
			w.add(r.Fit.PValue, "reports")
			w.add(r.Support.PValue, "supports")
			w.add(r.Pairs.PValue, "supports of two categories")
		}
	}
	what := fmt.Sprintf("6 × %d draws: χ² of reports, supports alone and in pairs, k = %d and %d", c.Draws/5, few, many)
	return w.check(name, e, what, began), nil
}
