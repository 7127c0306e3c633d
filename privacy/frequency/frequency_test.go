package frequency_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/frequency"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

func mechanism(t *testing.T, name string, e privacy.Epsilon, k uint32) privacy.Categorical {
	t.Helper()
	m, err := mechanisms.CategoricalByName(name, e, k)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// shares of a population that the tests draw from, uneven.
func population(k uint32) []float64 {
	shares, sum := make([]float64, k), 0.0
	for i := range shares {
		shares[i] = 1 / float64(i+1)
		sum += shares[i]
	}
	for i := range shares {
		shares[i] /= sum
	}
	return shares
}

func draw(shares []float64, u float64) uint32 {
	for c, share := range shares {
		if u -= share; u < 0 {
			return uint32(c)
		}
	}
	return uint32(len(shares) - 1)
}

// collect draws devices and their reports.
func collect(t *testing.T, m privacy.Categorical, reports int, seed uint64, add func(truth uint32, supported []uint32)) {
	t.Helper()
	src, people := privacy.NewSeeded(seed), rand.New(rand.NewPCG(seed, 1))
	shares := population(m.Categories())
	var buf []byte
	var supported []uint32
	for range reports {
		truth := draw(shares, people.Float64())
		var err error
		if buf, err = m.Randomise(truth, src, buf[:0]); err != nil {
			t.Fatal(err)
		}
		if supported, err = m.Supported(buf, supported[:0]); err != nil {
			t.Fatal(err)
		}
		add(truth, supported)
	}
}

// TestScoresAreThoseOfTheReports adds the scores up one by one, as the oracle.
func TestScoresAreThoseOfTheReports(t *testing.T) {
	for _, name := range mechanisms.CategoricalNames() {
		const k, reports = 9, 500
		m := mechanism(t, name, 1_000_000, k)
		r := m.Rates()
		half := [2]*frequency.Tally{frequency.NewTally(k), frequency.NewTally(k)}
		ladders := [2]*frequency.Cumulative{frequency.NewCumulative(k), frequency.NewCumulative(k)}
		var single, upTo [k][]float64
		number := 0
		collect(t, m, reports, 3, func(_ uint32, supported []uint32) {
			half[number%2].Add(supported)
			ladders[number%2].Add(supported)
			number++
			sum := 0.0
			for c := range uint32(k) {
				score := r.Score(slices.Contains(supported, c))
				sum += score
				single[c] = append(single[c], score)
				upTo[c] = append(upTo[c], sum)
			}
		})
		half[0].Merge(half[1])
		ladders[0].Merge(ladders[1])
		for c := range uint32(k) {
			compare(t, name, half[0].Scores(r, c), single[c])
			s, err := ladders[0].Scores(m, c)
			if errors.Is(err, privacy.ErrPairs) != !m.Exchangeable() {
				t.Errorf("%s: %v", name, err)
			}
			compare(t, name, s, upTo[c])
		}
	}
}

func compare(t *testing.T, name string, got frequency.Scores, scores []float64) {
	t.Helper()
	mean, m2 := 0.0, 0.0
	for _, s := range scores {
		mean += s / float64(len(scores))
	}
	for _, s := range scores {
		m2 += (s - mean) * (s - mean)
	}
	if got.Count != int64(len(scores)) || math.Abs(got.Mean-mean) > 1e-9 || math.Abs(got.M2-m2) > 1e-9*(1+m2) {
		t.Errorf("%s: %+v, want mean %v, M2 %v", name, got, mean, m2)
	}
}

// TestErrorsAreHonest repeats surveys and compares the spread of the estimates
// with the errors that they state, and with the covariance of the formula.
func TestErrorsAreHonest(t *testing.T) {
	const k, reports, rounds = 6, 400, 1500
	shares := population(k)
	for _, name := range mechanisms.CategoricalNames() {
		m := mechanism(t, name, 1_000_000, k)
		var sums, squares, stated [k]float64
		cross := 0.0
		for round := range uint64(rounds) {
			tally := frequency.NewTally(k)
			collect(t, m, reports, round+1, func(_ uint32, supported []uint32) { tally.Add(supported) })
			estimates, err := tally.Estimates(m.Rates())
			if err != nil {
				t.Fatal(err)
			}
			for c, e := range estimates {
				sums[c] += e.Share
				squares[c] += (e.Share - shares[c]) * (e.Share - shares[c])
				stated[c] += e.StdError * e.StdError
			}
			cross += (estimates[0].Share - shares[0]) * (estimates[1].Share - shares[1])
		}
		for c := range shares {
			variance := m.Rates().ScoreVariance(shares[c]) / reports
			// 24 means of 1500 near-normal estimates: 5.5 standard errors are exceeded
			// with probability 10⁻⁶.
			if z := (sums[c]/rounds - shares[c]) / math.Sqrt(variance/rounds); math.Abs(z) > 5.5 {
				t.Errorf("%s, category %d: mean is %v standard errors off", name, c, z)
			}
			// So are variances, whose relative standard error is √(2/1500).
			if z := (squares[c]/rounds/variance - 1) / math.Sqrt(2.0/rounds); math.Abs(z) > 5.7 {
				t.Errorf("%s, category %d: variance is %v standard errors off", name, c, z)
			}
			if mean := stated[c] / rounds; math.Abs(mean-variance) > 0.01*variance {
				t.Errorf("%s, category %d: stated variance %v, true %v", name, c, mean, variance)
			}
		}
		matrix, err := frequency.Covariance(m, shares, reports)
		if !m.Exchangeable() {
			if !errors.Is(err, privacy.ErrPairs) {
				t.Errorf("%s has a matrix: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		// Var(product of two normals) = σ²τ² + cov².
		spread := math.Sqrt((matrix[0]*matrix[k+1] + matrix[1]*matrix[1]) / rounds)
		if z := (cross/rounds - matrix[1]) / spread; math.Abs(z) > 5.5 || matrix[1] != matrix[k] {
			t.Errorf("%s: covariance is %v standard errors off %v", name, z, matrix[1])
		}
	}
}

// TestAllCellsTogether uses what is known without a formula: the sum of all
// scores of a report of w categories is 1 with certainty.
func TestAllCellsTogether(t *testing.T) {
	for _, name := range []string{"grr", "subset"} {
		for _, k := range []uint32{2, 8, 100} {
			m := mechanism(t, name, 1_000_000, k)
			inside, _, err := frequency.SumVariance(m, k)
			if err != nil {
				t.Fatal(err)
			}
			if bound := 1e-9 * m.Rates().TotalVariance(k); inside > bound {
				t.Errorf("%s, k=%d: all cells together vary by %v", name, k, inside)
			}
			shares := population(k)
			matrix, err := frequency.Covariance(m, shares, 10)
			if err != nil {
				t.Fatal(err)
			}
			sum := 0.0
			for _, c := range matrix {
				sum += c
			}
			if math.Abs(sum) > 1e-9*m.Rates().TotalVariance(k) {
				t.Errorf("%s, k=%d: the matrix adds up to %v", name, k, sum)
			}
		}
	}
	one, _, err := frequency.SumVariance(mechanism(t, "oue", 1_000_000, 5), 1)
	if want := mechanism(t, "oue", 1_000_000, 5).Rates().NoiseVariance(1); err != nil || math.Abs(one-want) > 1e-12*want {
		t.Errorf("one cell varies by %v, want %v, %v", one, want, err)
	}
}

// TestConsistentIsTheProjection checks the conditions that only the nearest point
// of the simplex meets: all positive shares moved by the same, and no other by
// less (Karush, Kuhn and Tucker).
func TestConsistentIsTheProjection(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		shares := make([]float64, 1+random.IntN(20))
		for i := range shares {
			shares[i] = random.NormFloat64() * 0.5
		}
		got := frequency.Consistent(shares)
		sum, give, least := 0.0, math.Inf(1), math.Inf(1)
		for i, share := range got {
			sum += share
			if share < 0 {
				t.Fatalf("%v has a negative share: %v", shares, got)
			}
			if share > 0 {
				give = shares[i] - share
			}
		}
		for i, share := range got {
			if share > 0 && math.Abs(shares[i]-share-give) > 1e-12 {
				t.Fatalf("%v: shares move unevenly: %v", shares, got)
			}
			if share == 0 {
				least = math.Min(least, give-shares[i])
			}
		}
		if math.Abs(sum-1) > 1e-12 || least < -1e-12 {
			t.Fatalf("%v gives %v", shares, got)
		}
	}
	if got := frequency.Consistent(nil); len(got) != 0 {
		t.Errorf("nothing gives %v", got)
	}
}

func TestRefusals(t *testing.T) {
	m := mechanism(t, "subset", 1_000_000, 8)
	tally := frequency.NewTally(8)
	if s := tally.Scores(m.Rates(), 0); s != (frequency.Scores{}) {
		t.Errorf("no reports give %+v", s)
	}
	tally.Add([]uint32{1})
	if _, err := tally.Estimates(m.Rates()); !errors.Is(err, privacy.ErrInput) {
		t.Errorf("one report gives errors: %v", err)
	}
	if s, err := frequency.NewCumulative(8).Scores(m, 0); err != nil || s != (frequency.Scores{}) {
		t.Errorf("no reports give %+v, %v", s, err)
	}
	if _, err := frequency.Covariance(m, make([]float64, 7), 10); !errors.Is(err, privacy.ErrInput) {
		t.Errorf("too few shares: %v", err)
	}
	if _, err := frequency.Covariance(m, make([]float64, 8), 0); !errors.Is(err, privacy.ErrInput) {
		t.Errorf("no reports: %v", err)
	}
}
