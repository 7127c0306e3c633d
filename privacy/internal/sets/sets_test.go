package sets

import (
	"errors"
	"math"
	"math/big"
	"math/bits"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/threshold"
)

// falseAlarm is the most of a correct program's runs that any one comparison may
// fail in: a millionth for a whole test of at most a hundred comparisons.
const falseAlarm = 1e-8

func stream(t *testing.T, seed uint64) *privacy.Stream {
	t.Helper()
	words, err := privacy.NewSeeded(seed).Expand()
	if err != nil {
		t.Fatal(err)
	}
	return words
}

// scripted gives the same words in turn.
type scripted struct {
	words []uint64
	next  int
}

func (s *scripted) Uint64() uint64 {
	s.next++
	return s.words[(s.next-1)%len(s.words)]
}

// thresholds are those that the mechanisms compare with, and the ends.
func thresholds() []uint64 {
	out := []uint64{1, 2, 3, 1 << 63, 1<<63 + 1, math.MaxUint64, 3 << 61}
	for _, micro := range []uint64{1, 10_000, 500_000, 1_000_000, 4_000_000, 20_000_000} {
		out = append(out, threshold.Flip(micro))
	}
	return out
}

// TestScatterComparesTheFirstBits draws once 64 lanes at a time and once number
// by number from the same words.
func TestScatterComparesTheFirstBits(t *testing.T) {
	for _, limit := range thresholds() {
		for _, n := range []uint32{1, 63, 64, 65, 200, 1024} {
			for rounds := range uint32(9) {
				for up := range uint32(2) {
					c := Coarse{Threshold: limit, Rounds: rounds, Up: up}
					var got, want Set
					size, open := got.Scatter(stream(t, uint64(n)), n, c)
					left := plainScatter(&want, stream(t, uint64(n)), n, c)
					if got != want || open != left || size != got.Size() {
						t.Fatalf("%+v of %d: %x with %d open, want %x with %d", c, n, got, open, want, left)
					}
				}
			}
		}
	}
}

// plainScatter compares the first bits of each number with those of the threshold.
func plainScatter(s *Set, words *privacy.Stream, n uint32, c Coarse) (open uint32) {
	numbers := make([]uint64, (n+63)/64*64)
	for range c.Rounds {
		for lane := range len(numbers) / 64 {
			word := words.Uint64()
			for i := range 64 {
				numbers[64*lane+i] = numbers[64*lane+i]<<1 | word>>i&1
			}
		}
	}
	first := c.Threshold >> (64 - c.Rounds)
	for i, number := range numbers[:n] {
		if number == first {
			open++
		}
		if number < first || number == first && c.Up == 1 {
			s.Put(uint32(i), 1)
		}
	}
	return open
}

// TestEveryBitOfTheThresholdCounts puts numbers next to the threshold, where no
// luck would bring them.
func TestEveryBitOfTheThresholdCounts(t *testing.T) {
	for _, limit := range thresholds() {
		lowest := limit & -limit
		for _, number := range []uint64{0, limit - 1, limit ^ lowest, limit - lowest + 1, limit, limit + 1, limit + lowest, math.MaxUint64} {
			// One number takes a bit of each round, the lowest of the word first.
			want := uint32(0)
			if number < limit {
				want = 1
			}
			if got := Below(&scripted{words: []uint64{bits.Reverse64(number)}}, 1, limit); got != want {
				t.Errorf("%x below %x: %d", number, limit, got)
			}
		}
	}
}

// TestBelowIsBinomial compares counts with the exact law.
func TestBelowIsBinomial(t *testing.T) {
	const draws = 60_000
	words := stream(t, 5)
	for _, limit := range thresholds() {
		for _, n := range []uint32{1, 2, 40, 64, 65, 300} {
			observed := make([]float64, n+1)
			for range draws {
				observed[Below(words, n, limit)]++
			}
			check(t, observed, binomial(n, limit, draws), "%d numbers below %x", n, limit)
		}
	}
}

// binomial returns draws times the probabilities.
func binomial(n uint32, limit uint64, draws float64) []float64 {
	out := binomialShares(n, float64(limit)/(1<<64))
	for i := range out {
		out[i] *= draws
	}
	return out
}

func binomialShares(n uint32, p float64) []float64 {
	out := make([]float64, n+1)
	if p <= 0 {
		out[0] = 1
		return out
	}
	if p >= 1 {
		out[n] = 1
		return out
	}
	for i := range out {
		ways, _ := math.Lgamma(float64(n) + 1)
		in, _ := math.Lgamma(float64(i) + 1)
		rest, _ := math.Lgamma(float64(n) - float64(i) + 1)
		out[i] = math.Exp(ways - in - rest + float64(i)*math.Log(p) + (float64(n)-float64(i))*math.Log1p(-p))
	}
	return out
}

// check compares counts with expected ones.
func check(t *testing.T, observed, expected []float64, format string, args ...any) {
	t.Helper()
	if r := audit.ChiSquare(observed, expected); r.PValue < falseAlarm {
		t.Errorf(format+": %+v", append(args, r)...)
	}
}

// TestSetsAreUniform counts every set of a small case, from a scattered start of
// each kind: each as often as any other.
func TestSetsAreUniform(t *testing.T) {
	const n, draws = 6, 60_000
	words := stream(t, 9)
	for size := uint32(1); size < n; size++ {
		for _, c := range []Coarse{{}, {Up: 1}, {Threshold: 1 << 63, Rounds: 1}, {Threshold: 1 << 62, Rounds: 2, Up: 1}, PlanSize(n, size)} {
			counts := map[uint64]float64{}
			for range draws {
				var s Set
				had, _ := s.Scatter(words, n, c)
				if err := s.Reach(words, n, had, size-1); err != nil {
					t.Fatal(err)
				}
				last, err := s.Another(words, n)
				if err != nil || s.Size() != size-1 || s.Has(last) == 1 {
					t.Fatalf("%x, last %d, %v", s, last, err)
				}
				s.Put(last, 1)
				counts[s.Lane(0)]++
			}
			ways := int(new(big.Int).Binomial(n, int64(size)).Int64())
			if len(counts) != ways {
				t.Fatalf("%d of %d by %+v: %d sets, want %d", size, n, c, len(counts), ways)
			}
			observed, expected := make([]float64, 0, ways), make([]float64, 0, ways)
			for _, o := range counts {
				observed, expected = append(observed, o), append(expected, draws/float64(ways))
			}
			check(t, observed, expected, "%d of %d by %+v", size, n, c)
		}
	}
}

// TestReachStopsAtABrokenSource feeds words whose dice never fit.
func TestReachStopsAtABrokenSource(t *testing.T) {
	var s Set
	s.Put(0, 1)
	standing := &scripted{words: []uint64{0}}
	if err := s.Reach(standing, 100, 1, 2); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("reach: %v", err)
	}
	if _, err := s.Another(standing, 100); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("another: %v", err)
	}
	s = Set{}
	s.Put(99, 1)
	if err := s.Reach(standing, 100, 1, 0); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("reach downward: %v", err)
	}
}

// TestPlansStay holds plans that vectors of reports rest on, and compares the cost
// of every plan with all others' in floating point.
func TestPlansStay(t *testing.T) {
	for _, c := range []struct {
		n, size uint32
		rounds  uint32
		up      uint32
	}{{1023, 274, 2, 0}, {1023, 511, 1, 1}, {1023, 20, 0, 0}, {63, 17, 2, 0}, {7, 1, 0, 0}, {1, 0, 0, 0}} {
		if p := PlanSize(c.n, c.size); p.Rounds != c.rounds || p.Up != c.up {
			t.Errorf("%d of %d: %+v, want %d rounds, up %d", c.size, c.n, p, c.rounds, c.up)
		}
	}
}

// TestPlansAreCheapest compares the cost of each plan with that of all others, in
// floating point and from the exact laws.
func TestPlansAreCheapest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		n := 2 + r.Uint32N(Max-1)
		limit := r.Uint64()>>r.IntN(30) | 1<<30
		size := 1 + r.Uint32N(n-1)
		share, sized := PlanShare(n, limit), PlanSize(n, size)
		for rounds := range uint32(roundsMax + 1) {
			for up := range uint32(2) {
				// Costs are rounded down to whole tries and words, in a few places.
				const rounding = 3*wordCost + 2*tryCost
				if got, other := costShare(n, limit, share), costShare(n, limit, Coarse{limit, rounds, up}); other < got-rounding {
					t.Errorf("%d numbers below %x: %+v costs %v, %d rounds, up %d cost %v", n, limit, share, got, rounds, up, other)
				}
				c := Coarse{uint64(size<<rounds/n) << (64 - rounds), rounds, up}
				if got, other := costSize(n, size, sized), costSize(n, size, c); other < 0.9*got-rounding {
					t.Errorf("%d of %d: %+v costs %v, %+v costs %v", size, n, sized, got, c, other)
				}
			}
		}
	}
}

func costShare(n uint32, limit uint64, c Coarse) float64 {
	p := float64(limit) / (1 << 64)
	grid := math.Ldexp(1, -int(c.Rounds))
	over := math.Mod(p, grid)
	missing := over / (1 - p)
	if c.Up == 1 {
		missing = (grid - over) / p
	}
	words := float64((n+63)/64*c.Rounds) + float64(2*n)*grid/64
	return words*wordCost + float64(n)*missing*tryCost
}

func costSize(n, size uint32, c Coarse) float64 {
	p := float64(c.Threshold>>1)/(1<<63) + math.Ldexp(float64(c.Up), -int(c.Rounds))
	tries := 0.0
	for i, chance := range binomialShares(n, p) {
		away := float64(i) - float64(size)
		if away > 0 {
			tries += chance * away * float64(n) / float64(size)
		} else {
			tries -= chance * away * float64(n) / float64(n-size)
		}
	}
	return float64((n+63)/64*c.Rounds)*wordCost + tries*tryCost
}
