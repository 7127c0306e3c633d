//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"github.com/google/differential-privacy/go/v3/dpagg"
	"github.com/google/differential-privacy/go/v3/noise"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/privacy"
)

// noisy adds up the contributions of the units of one cell and adds Laplace noise of scale Δ/ε, with δ = 0, where Δ is the most
// by which the sums change in L1 when the number of one unit changes:
//
//   - A number from 0 to R: Δ = R. dpagg.BoundedSumInt64 takes its sensitivity for adding or removing a unit, max(|lower|,
//     |upper|). With the bounds 0 and R that is R, which is also what a change of the number can do.
//   - A condition: Δ = 1, what dpagg.Count has.
//   - Categories: a unit that changes its category takes one from a count and gives one to another, so Δ = 2. dpagg.Count has
//     that scale when it is told that a unit contributes to two partitions.
//
// How many units contributed is public, so adding or removing one is no case. The aggregates are never encoded: the sum is in
// them without noise. Randomness is crypto/rand's; where the kernel gives none the process ends.
func noisy(n noise.Noise, sum agent.Sum, epsilon privacy.Epsilon, contributions []int64) ([]int64, error) {
	e := epsilon.Float64()
	switch {
	case sum.Categories > 0:
		return noisyCategories(n, int(sum.Categories), e, contributions)
	case sum.Number:
		return noisyNumber(n, sum.Span, e, contributions)
	}
	return noisyCount(n, e, contributions)
}

func noisyNumber(n noise.Noise, span int64, epsilon float64, contributions []int64) ([]int64, error) {
	total, err := dpagg.NewBoundedSumInt64(&dpagg.BoundedSumInt64Options{
		Epsilon: epsilon, MaxPartitionsContributed: 1, Lower: 0, Upper: span, Noise: n,
	})
	if err != nil {
		return nil, err
	}
	for _, x := range contributions {
		if err := total.Add(x); err != nil {
			return nil, err
		}
	}
	value, err := total.Result()
	return []int64{value}, err
}

func noisyCount(n noise.Noise, epsilon float64, contributions []int64) ([]int64, error) {
	count, err := dpagg.NewCount(&dpagg.CountOptions{Epsilon: epsilon, MaxPartitionsContributed: 1, Noise: n})
	if err != nil {
		return nil, err
	}
	for _, x := range contributions {
		if err := count.IncrementBy(x); err != nil {
			return nil, err
		}
	}
	value, err := count.Result()
	return []int64{value}, err
}

func noisyCategories(n noise.Noise, categories int, epsilon float64, contributions []int64) ([]int64, error) {
	const changed = 2 // counts that one unit's change touches
	values := make([]int64, categories)
	counts := make([]*dpagg.Count, categories)
	for i := range counts {
		var err error
		counts[i], err = dpagg.NewCount(&dpagg.CountOptions{Epsilon: epsilon, MaxPartitionsContributed: changed, Noise: n})
		if err != nil {
			return nil, err
		}
	}
	for _, x := range contributions {
		if err := counts[x].Increment(); err != nil {
			return nil, err
		}
	}
	for i, count := range counts {
		var err error
		if values[i], err = count.Result(); err != nil {
			return nil, err
		}
	}
	return values, nil
}
