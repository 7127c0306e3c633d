package replicate

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"

	"github.com/quadrat-dev/quadrat/survey/design"
)

// Kind is a way to make replicates.
type Kind uint8

// The kinds.
const (
	JK1       Kind = iota + 1 // delete one unit of a design without strata
	JKn                       // delete one unit, stratum by stratum (Wolter 2007, ch. 4)
	BRR                       // half samples of designs with two units in each stratum (McCarthy 1969; Fay in Judkins 1990); no fpc
	Bootstrap                 // n−1 draws with replacement in each stratum, rescaled (Rao and Wu 1988)
)

// Plan says how replicates are made and put together.
type Plan struct {
	Kind  Kind
	Fay   float64 // BRR: the factor ρ in [0, 1) that the left-out half keeps; 0 for plain BRR
	Count int     // Bootstrap: replicates, at least 2
	Seed  uint64  // Bootstrap
	MSE   bool    // centre at the full sample's estimate rather than at the replicates' mean
}

// replicate is one set of weights with the factor of its squared deviation.
type replicate struct {
	weight []float64 // reused for the next one
	scale  float64
}

// Variance returns Σ scale (θ_r − θ̄)² over the replicates. estimate must not keep its argument. An error of estimate ends
// it; other errors are *[design.Error].
func (p Plan) Variance(c design.Clusters, weight []float64, estimate func([]float64) (float64, error)) (float64, error) {
	replicates, err := p.replicates(c, weight)
	if err != nil {
		return 0, err
	}
	var thetas, scales []float64
	for r := range replicates {
		theta, err := estimate(r.weight)
		if err != nil {
			return 0, fmt.Errorf("replicate %d: %w", len(thetas)+1, err)
		}
		thetas, scales = append(thetas, theta), append(scales, r.scale)
	}
	centre := 0.0
	if p.MSE {
		if centre, err = estimate(weight); err != nil {
			return 0, err
		}
	} else {
		for i, theta := range thetas {
			centre += (theta - centre) / float64(i+1)
		}
	}
	sum := 0.0
	for i, theta := range thetas {
		sum += scales[i] * (theta - centre) * (theta - centre)
	}
	return sum, nil
}

// Share returns the share of each row's noise that the replicates leave out: the sampling fraction of its unit, and
// nothing for BRR, which ignores it.
func (p Plan) Share(c design.Clusters, row int) float64 {
	if p.Kind == BRR {
		return 0
	}
	return c.Fraction[c.Of[row]]
}

func (p Plan) replicates(c design.Clusters, weight []float64) (iter.Seq[replicate], error) {
	strata := 0
	for stratum, n := range c.Size {
		if n > 0 {
			strata++
		}
		if n == 1 && c.Fraction[firstOf(c, int32(stratum))] < 1 {
			return nil, &design.Error{Code: design.Lonely, Detail: "replicates need two units in each stratum"}
		}
		if p.Kind == BRR && n != 2 && n != 0 {
			return nil, &design.Error{Code: design.Unsupported, Detail: fmt.Sprintf("brr needs two units in each stratum, one has %d", n)}
		}
	}
	switch {
	case p.Kind == JK1 && strata > 1:
		return nil, &design.Error{Code: design.Unsupported, Detail: "jk1 is for designs without strata; use jkn"}
	case p.Kind == JK1 || p.Kind == JKn:
		return jackknife(c, weight), nil
	case p.Kind == BRR && p.Fay >= 0 && p.Fay < 1:
		return p.halves(c, weight, strata), nil
	case p.Kind == Bootstrap && p.Count >= 2:
		return p.bootstrap(c, weight), nil
	}
	return nil, &design.Error{Code: design.Invalid, Detail: "unknown kind of replicates, a Fay factor outside [0, 1), or fewer than two bootstrap replicates"}
}

func firstOf(c design.Clusters, stratum int32) int {
	for unit, s := range c.Stratum {
		if s == stratum {
			return unit
		}
	}
	return 0
}

// jackknife deletes each unit in turn; the others of its stratum weigh n/(n−1) times as much. Its scale is
// (1−f)(n−1)/n.
func jackknife(c design.Clusters, weight []float64) iter.Seq[replicate] {
	return func(yield func(replicate) bool) {
		w := make([]float64, len(weight))
		for unit, stratum := range c.Stratum {
			n := float64(c.Size[stratum])
			if n == 1 {
				continue
			}
			for k := range w {
				switch of := c.Of[k]; {
				case int(of) == unit:
					w[k] = 0
				case c.Stratum[of] == stratum:
					w[k] = weight[k] * n / (n - 1)
				default:
					w[k] = weight[k]
				}
			}
			if !yield(replicate{weight: w, scale: (1 - c.Fraction[unit]) * (n - 1) / n}) {
				return
			}
		}
	}
}

// halves takes a balanced set of half samples from the columns 1 … H of Sylvester's Hadamard matrix, whose entry is the
// parity of the common bits of row and column. The kept unit weighs 2−ρ times as much, the other ρ; the scale is
// 1/(R(1−ρ)²).
func (p Plan) halves(c design.Clusters, weight []float64, strata int) iter.Seq[replicate] {
	count := 4
	for count <= strata {
		count *= 2
	}
	column := make([]int, len(c.Size))
	next := 1
	for stratum, n := range c.Size {
		if n > 0 {
			column[stratum] = next
			next++
		}
	}
	second := make([]bool, len(c.Stratum)) // the second unit of its stratum
	seen := make([]bool, len(c.Size))
	for unit, stratum := range c.Stratum {
		second[unit] = seen[stratum]
		seen[stratum] = true
	}
	return func(yield func(replicate) bool) {
		w := make([]float64, len(weight))
		for row := range count {
			for k := range w {
				unit := c.Of[k]
				factor := p.Fay
				if odd(row&column[c.Stratum[unit]]) == second[unit] {
					factor = 2 - p.Fay
				}
				w[k] = weight[k] * factor
			}
			if !yield(replicate{weight: w, scale: 1 / (float64(count) * (1 - p.Fay) * (1 - p.Fay))}) {
				return
			}
		}
	}
}

func odd(bits int) bool {
	parity := false
	for ; bits != 0; bits &= bits - 1 {
		parity = !parity
	}
	return parity
}

// bootstrap draws n−1 units with replacement in each stratum; a unit drawn r times weighs
// w(1 − λ + λ r n/(n−1)) with λ = √(1−f).
func (p Plan) bootstrap(c design.Clusters, weight []float64) iter.Seq[replicate] {
	members := make([][]int32, len(c.Size))
	for unit, stratum := range c.Stratum {
		members[stratum] = append(members[stratum], int32(unit))
	}
	return func(yield func(replicate) bool) {
		rng := rand.New(rand.NewPCG(p.Seed, 0x9e3779b97f4a7c15))
		w, factor := make([]float64, len(weight)), make([]float64, len(c.Stratum))
		for range p.Count {
			for _, units := range members {
				n := len(units)
				if n == 0 {
					continue
				}
				lambda := math.Sqrt(1 - c.Fraction[units[0]])
				if n == 1 {
					lambda = 0
				}
				for _, unit := range units {
					factor[unit] = 1 - lambda
				}
				for range n - 1 {
					factor[units[rng.IntN(n)]] += lambda * float64(n) / float64(n-1)
				}
			}
			for k := range w {
				w[k] = weight[k] * factor[c.Of[k]]
			}
			if !yield(replicate{weight: w, scale: 1 / float64(p.Count-1)}) {
				return
			}
		}
	}
}
