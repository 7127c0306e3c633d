package panel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// Over random salts each arc is a simple random sample without replacement: every device is in it with probability n/N,
// every pair with n(n−1)/(N(N−1)). The tolerance of the largest of K standardised frequencies is the normal quantile at
// falseAlarm/(2K) (Bonferroni); with 20,000 salts the normal approximation holds far into that tail.
func TestArcsAreSimpleRandomSamples(t *testing.T) {
	const units, salts, arc = 24, 20_000, 2
	sizes := []int{4, 7, 9}
	n := float64(sizes[arc])
	source := rand.New(rand.NewPCG(20, 26))
	devices := names(units)
	var single [units]int
	var pair [units][units]int
	for range salts {
		var salt Salt
		for i := range salt {
			salt[i] = byte(source.Uint32())
		}
		numbers := make([]Number, units)
		for i, name := range devices {
			numbers[i] = NumberOf(salt, name)
		}
		sorted := slices.Sorted(slices.Values(numbers))
		r, err := Draw(sorted, 0, 3, 1, sizes)
		if err != nil {
			t.Fatal(err)
		}
		var in []int
		for i, number := range numbers {
			if window, _, ok := r.Place(number); ok && window == arc {
				in = append(in, i)
				single[i]++
			}
		}
		for a, i := range in {
			for _, j := range in[a+1:] {
				pair[i][j]++
			}
		}
	}
	limit := func(tests int) float64 { return distuv.UnitNormal.Quantile(1 - falseAlarm/float64(2*tests)) }
	check := func(what string, count int, p, limit float64) {
		z := (float64(count) - salts*p) / math.Sqrt(salts*p*(1-p))
		if math.Abs(z) > limit {
			t.Errorf("%s: %d of %d, expected share %.4f (z = %.1f)", what, count, salts, p, z)
		}
	}
	for i := range units {
		check("inclusion", single[i], n/units, limit(units))
		for j := i + 1; j < units; j++ {
			check("pairwise inclusion", pair[i][j], n*(n-1)/(units*(units-1)), limit(units*(units-1)/2))
		}
	}
}
