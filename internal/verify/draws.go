package verify

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/laplace"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// few is the number of alternatives whose reports can all be listed, many one where only supports are counted.
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
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			check, err := numberDraws(name, e, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, check)
		}
		for _, name := range mechanisms.CategoricalNames() {
			check, err := categoryDraws(name, e, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out = append(out, check)
		}
	}
	return out, nil
}

// numberDraws tests codes and scores at both ends of the range and between.
func numberDraws(name string, e privacy.Epsilon, c Config) (Check, error) {
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
			fit, err := laplaceFit(l, input, c.Draws, src)
			if err != nil {
				return Check{}, err
			}
			w.add(fit.PValue, "outputs")
			continue
		}
		r, err := audit.Sample(m, input, c.Draws, src)
		if err != nil {
			return Check{}, err
		}
		w.add(r.Fit.PValue, "outputs")
		w.add(r.Bias.PValue, "scores")
	}
	return w.check(name, e, fmt.Sprintf("%d × %d draws: χ² against the exact law, mean score", len(inputs), c.Draws), began), nil
}

// laplaceFit is a χ² test in 64 bins of equal width over eight scales, the law being known by its distribution function.
func laplaceFit(m *laplace.Mechanism, input uint32, n int, src privacy.Source) (audit.Result, error) {
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
	for range n {
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

// categoryDraws tests whole reports over few categories, and supports over many.
func categoryDraws(name string, e privacy.Epsilon, c Config) (Check, error) {
	began := time.Now()
	var w worst
	m, err := mechanisms.CategoricalByName(name, e, few)
	if err != nil {
		return Check{}, err
	}
	for category := range uint32(few) {
		fit, err := reportFit(m, category, c.Draws, privacy.NewSeeded(c.Seed<<8+uint64(category)))
		if err != nil {
			return Check{}, err
		}
		w.add(fit.PValue, "reports")
	}
	if m, err = mechanisms.CategoricalByName(name, e, many); err != nil {
		return Check{}, err
	}
	if err := supportFit(m, many/2, c.Draws, privacy.NewSeeded(c.Seed<<8+99), &w); err != nil {
		return Check{}, err
	}
	what := fmt.Sprintf("%d × %d draws: χ² of reports (k = %d), supports (k = %d)", few+1, c.Draws, few, many)
	return w.check(name, e, what, began), nil
}

// reportFit is a χ² test over all reports that there are.
func reportFit(m privacy.Categorical, category uint32, n int, src privacy.Source) (audit.Result, error) {
	counts := map[string]float64{}
	buf := make([]byte, 0, m.Bytes())
	for range n {
		report, err := m.Randomise(category, src, buf)
		if err != nil {
			return audit.Result{}, err
		}
		counts[string(report)]++
	}
	var observed, expected []float64
	for report := range reports(m) {
		p, _ := m.Probability(report, category).Float64()
		observed, expected = append(observed, counts[string(report)]), append(expected, p*float64(n))
		delete(counts, string(report))
	}
	if len(counts) > 0 {
		return audit.Result{}, nil // p = 0: reports that can't be
	}
	return audit.ChiSquare(observed, expected), nil
}

// reports yields every report of a mechanism whose reports have at most two bytes.
func reports(m privacy.Categorical) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		report := make([]byte, m.Bytes())
		for number := range 1 << (8 * min(m.Bytes(), 2)) {
			for i := range report {
				report[i] = byte(number >> (8 * i))
			}
			if _, err := m.Supported(report, nil); err == nil && !yield(report) {
				return
			}
		}
	}
}

// supportFit counts how often each category is supported: binomial with the exact rate.
func supportFit(m privacy.Categorical, category uint32, n int, src privacy.Source, w *worst) error {
	counts := make([]int, m.Categories())
	buf, into := make([]byte, 0, m.Bytes()), make([]uint32, 0, m.Categories())
	for range n {
		report, err := m.Randomise(category, src, buf)
		if err != nil {
			return err
		}
		supported, err := m.Supported(report, into)
		if err != nil {
			return err
		}
		for _, s := range supported {
			counts[s]++
		}
	}
	rates := m.Rates()
	for s, count := range counts {
		p := rates.Other
		if uint32(s) == category {
			p = rates.Truth
		}
		w.add(audit.BinomialTails(count, n, p), "supports")
	}
	return nil
}
