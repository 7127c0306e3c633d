package audit

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/mathext"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Draw gives one output of a mechanism for an input that stays the same, as a
// number below a limit that the audit is told.
type Draw func() (uint64, error)

// Bound is what an audit found out about ε from outputs alone.
type Bound struct {
	// Epsilon is a lower bound of the ε of what was drawn from: it is larger than
	// the truth with a probability of at most the false alarm asked for. It is
	// never below 0. It proves nothing from above.
	Epsilon float64
	// First and Second count the outputs in the event, out of Draws each.
	First, Second, Draws int
}

const (
	// binsMost is how many bins the outputs are put in that are no atoms.
	binsMost = 64
	// atomShare is the share of all outputs from which on one output is an event
	// of its own.
	atomShare = 0.01
)

// LowerBound audits a mechanism as a black box, by two inputs: with half of the
// draws it looks for the event that is likeliest under one input against the
// other, with the other half it bounds both probabilities (Clopper and Pearson
// 1934), and ε is at least the logarithm of their ratio. The idea is that of
// Ding et al. (CCS 2018) and of ldp-audit (PETS 2024). Outputs are below limit.
func LowerBound(first, second Draw, limit uint64, draws int, falseAlarm float64) (Bound, error) {
	half := draws / 2
	seen, err := countOutputs(first, second, half)
	if err != nil {
		return Bound{}, err
	}
	symbols := newSymbols(seen, limit, 2*half)
	in, swapped := symbols.event(half, falseAlarm)
	if swapped {
		first, second = second, first
	}
	b := Bound{Draws: draws - half}
	for range b.Draws {
		for _, side := range []struct {
			draw  Draw
			count *int
		}{{first, &b.First}, {second, &b.Second}} {
			output, err := side.draw()
			if err != nil {
				return Bound{}, err
			}
			if output >= limit {
				return Bound{}, privacy.ErrCode
			}
			if in[symbols.of(output)] {
				*side.count++
			}
		}
	}
	b.Epsilon = math.Max(0, lossAtLeast(b.First, b.Second, b.Draws, falseAlarm))
	return b, nil
}

// countOutputs draws n outputs on each side.
func countOutputs(first, second Draw, n int) (map[uint64][2]int, error) {
	seen := map[uint64][2]int{}
	for range n {
		for side, draw := range []Draw{first, second} {
			output, err := draw()
			if err != nil {
				return nil, err
			}
			counts := seen[output]
			counts[side]++
			seen[output] = counts
		}
	}
	return seen, nil
}

// symbols puts outputs into few classes: frequent ones by themselves, the others
// with their neighbours.
type symbols struct {
	limit  uint64
	atoms  map[uint64]int
	counts [][2]int
}

func newSymbols(seen map[uint64][2]int, limit uint64, draws int) *symbols {
	s := &symbols{limit: limit, atoms: map[uint64]int{}, counts: make([][2]int, binsMost)}
	for output, n := range seen {
		if float64(n[0]+n[1]) >= atomShare*float64(draws) {
			s.atoms[output] = len(s.counts)
			s.counts = append(s.counts, [2]int{})
		}
		class := s.of(output)
		s.counts[class][0] += n[0]
		s.counts[class][1] += n[1]
	}
	return s
}

func (s *symbols) of(output uint64) int {
	if class, ok := s.atoms[output]; ok {
		return class
	}
	return int(float64(output) / float64(s.limit) * binsMost)
}

// event returns the classes of the best event, a set of those with the largest
// ratios, and whether the second input is the likelier one.
func (s *symbols) event(draws int, falseAlarm float64) (in []bool, swapped bool) {
	in = make([]bool, len(s.counts))
	best := math.Inf(-1)
	for _, swap := range []bool{false, true} {
		likelier, other := 0, 1
		if swap {
			likelier, other = 1, 0
		}
		order := make([]int, len(s.counts))
		for i := range order {
			order[i] = i
		}
		ratio := func(i int) float64 { return float64(s.counts[i][likelier]+1) / float64(s.counts[i][other]+1) }
		slices.SortFunc(order, func(a, b int) int { return cmp.Or(cmp.Compare(ratio(b), ratio(a)), cmp.Compare(a, b)) })
		first, second := 0, 0
		for k, class := range order {
			first, second = first+s.counts[class][likelier], second+s.counts[class][other]
			if loss := lossAtLeast(first, second, draws, falseAlarm); loss > best {
				best, swapped = loss, swap
				clear(in)
				for _, member := range order[:k+1] {
					in[member] = true
				}
			}
		}
	}
	return in, swapped
}

// lossAtLeast returns ln of the least first probability over the largest second
// one, each wrong with half of the false alarm.
func lossAtLeast(first, second, n int, falseAlarm float64) float64 {
	return math.Log(atLeast(first, n, falseAlarm/2)) - math.Log(atMost(second, n, falseAlarm/2))
}

// atLeast is the one-sided lower limit of Clopper and Pearson (1934) for a
// probability of which k in n were seen: the p at which k or more are as rare as
// alpha, rounded down.
func atLeast(k, n int, alpha float64) float64 {
	low, _ := bisect(func(p float64) bool { return AtLeast(k, n, p) < alpha })
	return low
}

// atMost is the one-sided upper limit: the p at which k or fewer are as rare as
// alpha, rounded up.
func atMost(k, n int, alpha float64) float64 {
	_, high := bisect(func(p float64) bool { return AtMost(k, n, p) > alpha })
	return high
}

// bisect returns two neighbours in [0, 1] between which below turns false.
func bisect(below func(p float64) bool) (low, high float64) {
	low, high = 0, 1
	for range 50 {
		if middle := (low + high) / 2; below(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low, high
}

// BinomialTails returns a bound of the probability that so many of n tries of
// probability p, or fewer or more, whichever is rarer, come: a two-sided test.
func BinomialTails(k, n int, p float64) float64 {
	return math.Min(1, 2*math.Min(AtMost(k, n, p), AtLeast(k, n, p)))
}

// AtLeast is the probability of k or more successes in n tries of probability p.
func AtLeast(k, n int, p float64) float64 {
	if k <= 0 {
		return 1
	}
	return mathext.RegIncBeta(float64(k), float64(n-k+1), p)
}

// AtMost is the probability of k or fewer successes in n tries of probability p.
func AtMost(k, n int, p float64) float64 {
	if k >= n {
		return 1
	}
	return mathext.RegIncBeta(float64(n-k), float64(k+1), 1-p)
}
