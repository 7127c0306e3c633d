package design

import (
	"fmt"
	"math"
)

// Method is the rule by which the units of the first stage were drawn, and so by which their variance is estimated.
type Method uint8

// The methods. All but SimpleRandom and WithReplacement need Spec.Pi.
const (
	SimpleRandom    Method = iota // in each stratum; without a population size with replacement, the ultimate cluster form
	WithReplacement               // with unequal probabilities: n/(n−1) Σ (u − ū)² (Hansen and Hurwitz 1943)
	Poisson                       // each unit by itself: Σ (1−π) u²
	Brewer                        // n/(n−1) Σ (1−π)(u − ū)² (Brewer 2002, (9.14)); the default for unequal probabilities
	Deville                       // Σ (1−π)(u − Σ a u)²/(1 − Σ a²), a = (1−π)/Σ(1−π) (Deville 1999)
	HartleyRao                    // the Horvitz–Thompson form with the joint probabilities of Hartley and Rao (1962)
	HartleyRaoYates               // the Sen–Yates–Grundy form with the same
	Overton                       // the Horvitz–Thompson form with the joint probabilities of Overton and Stehman (1995)
	SenYatesGrundy                // −½ ΣΣ D (u_k − u_l)² with given joint probabilities; fixed size (Sen 1953, Yates and Grundy 1953)
	HorvitzThompson               // ΣΣ D u_k u_l with given joint probabilities (Horvitz and Thompson 1952); may be negative
)

// LonelyRule says what becomes of a stratum with one unit of which there are more in the population.
type LonelyRule uint8

// The rules for lonely units.
const (
	LonelyFail      LonelyRule = iota // New returns an error with the code Lonely
	LonelyCertainty                   // it adds nothing, as if it had been drawn with certainty
	LonelyAdjust                      // it is centred at the mean of all units' totals; conservative
	LonelyAverage                     // it gets the average variance of the other strata
	LonelyBorrow                      // the only unit of a cluster borrows the spread within the other clusters of its stratum, see [Design.Variance]; else Lonely
)

// Stage is one stage of drawing. Units of a later stage lie within units of the stage above, and units within strata: the
// same label in two strata means two units.
type Stage struct {
	Stratum *Factor   // nil for none
	Unit    *Factor   // the cluster of each row; nil when each row is a unit
	Size    []float64 // for each row how many units its stratum has in the population, or, when all are ≤ 1, the sampling fraction; nil for with replacement
}

// Phase2 says who of the drawn rows responded. Within a class every response is taken as equally likely: a simple
// random sample of the responding m_c out of the n_c drawn (Särndal, Swensson and Wretman 1992, ch. 9 and 15).
type Phase2 struct {
	Responded []bool
	Class     *Factor // nil for one class
}

// Spec is what is known of a sample.
type Spec struct {
	Rows   int
	Weight []float64   // ≥ 0; nil for the weights that the design implies: Π N/n over the stages, or 1/π
	Stages []Stage     // nil for one stage without strata and clusters
	Method Method      // of the first stage
	Pi     []float64   // first-stage inclusion probability of each row, in (0, 1]; constant within a cluster
	Joint  [][]float64 // SenYatesGrundy and HorvitzThompson: π_kl of the first-stage units in order of first appearance, π_k on the diagonal
	Square float64     // HartleyRao and HartleyRaoYates without strata: Σ_U π²; 0 to estimate it by Σ_s π
	Lonely LonelyRule
	Phase2 *Phase2
}

// Design is a checked Spec. It doesn't change.
type Design struct {
	rows   int
	weight []float64
	first  []float64 // weights of phase one; weight itself when there is no phase two
	levels []level
	method Method
	joint  [][]float64
	square float64
	lonely LonelyRule
	phase  *phase
	lends  []int32 // LonelyBorrow: the first-stage stratum of each group of the second stage
}

// New checks a sample and prepares its variance. Errors are *[Error] and name column, row or stratum.
func New(s Spec) (*Design, error) {
	if s.Rows < 1 {
		return nil, &Error{Code: Invalid, Detail: "no rows"}
	}
	if len(s.Stages) == 0 {
		s.Stages = []Stage{{}}
	}
	d := &Design{rows: s.Rows, method: s.Method, joint: s.Joint, square: s.Square, lonely: s.Lonely}
	if err := s.checkColumns(); err != nil {
		return nil, err
	}
	for i := range s.Stages {
		l, err := s.level(i, d.levels)
		if err != nil {
			return nil, err
		}
		d.levels = append(d.levels, l)
	}
	if err := d.checkFirst(s); err != nil {
		return nil, err
	}
	if d.lonely == LonelyBorrow && len(d.levels) > 1 {
		if err := d.lend(); err != nil {
			return nil, err
		}
	}
	if d.lonely == LonelyFail || d.lonely == LonelyBorrow {
		if err := d.findLonely(); err != nil {
			return nil, err
		}
	}
	d.first = s.Weight
	if d.first == nil {
		d.first = d.implied()
	}
	d.weight = d.first
	if s.Phase2 == nil {
		return d, nil
	}
	return d, d.respond(*s.Phase2)
}

// Rows returns the number of rows.
func (d *Design) Rows() int { return d.rows }

// Weights returns the weight of each row, with the adjustment for nonresponse of a second phase. The caller must not
// change it.
func (d *Design) Weights() []float64 { return d.weight }

// Share returns the share of row k's noise that the design variance of noisy scores does not hold: its inclusion
// probability π_k, Π of the sampling fractions over stages and phases, and 0 when a stage was drawn with replacement.
// V̂ = v̂_design(u) + Σ Share · a² σ² (two-phase sampling with privatisation as the last phase).
func (d *Design) Share(k int) float64 {
	share := 1.0
	for i := range d.levels {
		l := &d.levels[i]
		unit := l.unitOf(k)
		if d.lonely == LonelyCertainty && l.size[l.groupOf(unit)] == 1 {
			continue
		}
		share *= l.fractionOf(unit)
	}
	if d.phase != nil {
		share *= d.phase.rate(k)
	}
	return share
}

// DegreesOfFreedom returns first-stage units minus strata, counting those with a row that in holds and that has a
// weight; nil for all rows. For a domain this is the smaller of the two usual conventions, that of R's
// degf(subset(design)); with nil it is the other, that of the whole design. In a two-phase sample of rows the strata are
// the classes of the second phase, as in R.
func (d *Design) DegreesOfFreedom(in []bool) int {
	l := &d.levels[0]
	if d.phase != nil && l.unit == nil {
		l = d.phase.level(d.rows)
	}
	unitSeen, groupSeen := make([]bool, l.units), make([]bool, len(l.size))
	count := 0
	for k, w := range d.weight {
		if w == 0 || (in != nil && !in[k]) {
			continue
		}
		unit := l.unitOf(k)
		if unitSeen[unit] {
			continue
		}
		unitSeen[unit] = true
		count++
		if group := l.groupOf(unit); !groupSeen[group] {
			groupSeen[group] = true
			count--
		}
	}
	return count
}

func (s Spec) checkColumns() error {
	if s.Weight != nil {
		if err := s.checkNumbers(s.Weight, RoleWeight, 0, func(x float64) bool { return x >= 0 }, "negative"); err != nil {
			return err
		}
	}
	if s.Pi != nil {
		if err := s.checkNumbers(s.Pi, RolePi, 0, func(x float64) bool { return x > 0 && x <= 1 }, "not in (0, 1]"); err != nil {
			return err
		}
	}
	if s.Pi == nil && s.Method != SimpleRandom && s.Method != WithReplacement {
		return &Error{Code: Invalid, Role: RolePi, Detail: "the method needs inclusion probabilities"}
	}
	for i, stage := range s.Stages {
		if err := stage.Stratum.check(s.Rows, i+1, RoleStratum); err != nil {
			return err
		}
		if err := stage.Unit.check(s.Rows, i+1, RoleCluster); err != nil {
			return err
		}
		if stage.Size == nil {
			continue
		}
		if err := s.checkNumbers(stage.Size, RoleFPC, i+1, func(x float64) bool { return x > 0 }, "not positive"); err != nil {
			return err
		}
	}
	return nil
}

func (s Spec) checkNumbers(xs []float64, role Role, stage int, ok func(float64) bool, wrong string) error {
	if len(xs) != s.Rows {
		return &Error{Code: Invalid, Role: role, Stage: stage, Detail: "not as long as the table"}
	}
	for i, x := range xs {
		switch {
		case math.IsNaN(x):
			return &Error{Code: Missing, Role: role, Stage: stage, Row: i + 1}
		case math.IsInf(x, 0):
			return &Error{Code: Invalid, Role: role, Stage: stage, Row: i + 1, Detail: "infinite"}
		case !ok(x):
			return &Error{Code: Invalid, Role: role, Stage: stage, Row: i + 1, Detail: wrong}
		}
	}
	return nil
}

// implied returns the weights that the design itself gives; 1 for a stage whose population is unknown.
func (d *Design) implied() []float64 {
	w := make([]float64, d.rows)
	for k := range w {
		w[k] = 1
		for i := range d.levels {
			l := &d.levels[i]
			if p := l.chanceOf(l.unitOf(k)); p > 0 {
				w[k] /= p
			}
		}
	}
	return w
}

// findLonely reports the first stratum of any stage with one unit that isn't all of it.
func (d *Design) findLonely() error {
	for i := range d.levels {
		l := &d.levels[i]
		if i == 0 && d.method == Poisson || i == 1 && d.lends != nil {
			continue
		}
		for unit := range l.units {
			group := l.groupOf(unit)
			if l.size[group] == 1 && l.fractionOf(unit) < 1 && l.aboveOf(group) > 0 {
				return &Error{Code: Lonely, Stage: i + 1, Stratum: l.name(group), Detail: fmt.Sprintf(
					"stage %d: its variance can't be estimated; choose certainty, adjust or average, or merge strata", i+1)}
			}
		}
	}
	return nil
}
