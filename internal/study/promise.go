package study

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/quadrat-dev/quadrat/privacy/hybrid"
)

// Promise is what theory says of a cell before anybody has looked at its coverage.
type Promise struct {
	Kind Kind
	Why  string // where Kind isn't Nominal
}

// Kind is how much theory promises.
type Kind uint8

// The kinds of a promise.
const (
	Nothing Kind = iota
	AtLeast      // no less than the lower end of the band: intervals for discrete answers err to the wide side
	Nominal      // inside the band
)

// The band in which 95 % intervals are to cover. With 4,000 repetitions or more, an interval that covers 95 % exactly
// leaves it with a probability of 1.4e-5 a cell at most (the band is 4.35 standard errors wide on either side), so that
// nothing is added to the band for the simulation's own error.
const (
	bandLow  = 0.935
	bandHigh = 0.965
)

// refusedMost is the share of samples that may give no interval in a promised cell.
const refusedMost = 0.001

// Broken says how the result breaks its promise, or "".
func (r Result) Broken() string {
	switch p := r.Promise.Kind; {
	case p == Nothing:
		return ""
	case r.Coverage < bandLow:
		return "covers too little"
	case p == Nominal && r.Coverage > bandHigh:
		return "covers too much"
	case r.Refused > refusedMost:
		return "refuses too often"
	}
	return ""
}

// enough is the size from which theory holds for linearised estimates: their bias and that of their variance are of
// order 1/n.
const enough = 100

// The names of what the promises treat apart.
const (
	byBrewer = "pps, brewer"
	byStarts = "systematic, sorted, 10 starts"
	byHouses = "clusters of 5"
)

// promise says what theory does: first of sums that aren't near normal, then of linearisation in small samples, then of
// discrete answers, and last of variances that are bounded rather than estimated.
func promise(p *population, r Result) (Promise, error) {
	for _, rule := range []func(*population, Result) (Promise, error){skewed, small, discrete, bounded} {
		if found, err := rule(p, r); err != nil || found.Why != "" {
			return found, err
		}
	}
	return Promise{Kind: Nominal}, nil
}

// nothing is for a reason why theory promises nothing.
func nothing(why string) (Promise, error) { return Promise{Why: why}, nil }

// atLeast is for a reason why an interval may err to the wide side.
func atLeast(why string) (Promise, error) { return Promise{Kind: AtLeast, Why: why}, nil }

// small is about linearised estimates from few units or few clusters, and about noise that hides a denominator (Cochran
// 1977, §6.4, wants a coefficient of variation of a tenth at most).
func small(p *population, r Result) (Promise, error) {
	unequal := r.Design == byBrewer || r.Design == "poisson"
	grouped := r.Design == byHouses || r.Design == byStarts
	isSum := slices.Contains([]string{"mean", "total", "proportion", "skewed mean", "rare share, t"}, r.Estimator)
	switch {
	case strings.HasPrefix(r.Estimator, "rare share, ") && !isSum:
		return Promise{}, nil // intervals for shares need no such thing
	case r.Estimator == "ratio of sub-panels":
		sigma, err := deviation(&p.temperature, r.Epsilon)
		if cv := sigma / math.Sqrt(float64(r.Size)/2) / mean(p.temperature.values); err != nil || cv > 0.1 {
			return Promise{Why: fmt.Sprintf("the denominator's standard error is %.0f %% of it", 100*cv)}, err
		}
	}
	if r.Size >= enough {
		return Promise{}, nil
	}
	switch {
	case slices.Contains([]string{"post-stratified mean", "regression mean", "raked mean"}, r.Estimator):
		return nothing("calibrated at n = 30: the residuals lose a degree of freedom for each total that is met")
	case r.Estimator == "ratio of sub-panels":
		return nothing("two halves of n = 30")
	case unequal && r.Estimator != "total":
		return nothing("linearised under unequal weights at n = 30")
	case grouped && !isSum:
		return nothing("linearised over ten clusters or fewer")
	}
	return Promise{}, nil
}

// discrete is about answers with few values: coverage jumps with n and p (Brown, Cai and DasGupta 2001). Score, logit,
// arcsine and beta intervals err to the wide side then, t intervals to either.
func discrete(_ *population, r Result) (Promise, error) {
	switch {
	case strings.HasPrefix(r.Estimator, "rare share, ") && r.Estimator != "rare share, t":
		return atLeast("bits are discrete")
	case r.Size >= enough:
	case r.Estimator == "proportion":
		return atLeast("bits are discrete")
	case r.Estimator == "median":
		return atLeast("order statistics are discrete")
	case r.Epsilon > 0 && r.Epsilon <= hybrid.Crossing.Float64(), r.Epsilon > 0 && r.Estimator == "rare share, t":
		return nothing("one-bit reports at n = 30: the t interval misses as for a share")
	}
	return Promise{}, nil
}

// bounded is about variances that are too large by design.
func bounded(_ *population, r Result) (Promise, error) {
	switch {
	case r.Estimator == "ratio of sub-panels":
		return atLeast("what two disjoint samples share can't be estimated and is left out")
	case r.Estimator == "proportion" && r.Design == byHouses && r.Epsilon > 0:
		return atLeast("with noise the units of a cluster count as one")
	case r.Design == byStarts && r.Epsilon > 0:
		return atLeast("t counts nine degrees of freedom, also for the part of V̂ that is known noise")
	}
	return Promise{}, nil
}

// skewed is Cochran's rule for the t interval of reports of skewness G: n > 25·G² (Cochran 1977, §2.15).
func skewed(p *population, r Result) (Promise, error) {
	v := map[string]*variable{"skewed mean": &p.cost, "rare share, t": &p.alarm}[r.Estimator]
	if v == nil {
		return Promise{}, nil
	}
	g, err := skewness(v, r.Epsilon)
	if need := 25 * g * g; err != nil || float64(r.Size) <= need {
		return Promise{Why: fmt.Sprintf("reports of skewness %.1f want n > %.0f", g, need)}, err
	}
	return Promise{}, nil
}

// skewness estimates that of the reports of all devices, each asked many times.
func skewness(v *variable, epsilon float64) (float64, error) {
	const rounds = 20
	n, err := newNoise(epsilon, 1)
	if err != nil {
		return 0, err
	}
	all := make([]int, units)
	for k := range all {
		all[k] = k
	}
	var scores []float64
	for range rounds {
		if scores, _, err = n.report(v, all, scores, nil); err != nil {
			return 0, err
		}
	}
	centre := mean(scores)
	square, cube := 0.0, 0.0
	for _, y := range scores {
		d := y - centre
		square += d * d
		cube += d * d * d
	}
	count := float64(len(scores))
	return math.Abs(cube/count) / math.Pow(square/count, 1.5), nil
}
