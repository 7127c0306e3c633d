package survey

import (
	"iter"
	"math"
)

// Repeats says which units answer in several strata of an estimate, as they do when windows are taken together in which the same units
// were due. Without it strata are taken as independent samples.
//
// In the variance of a sum the answers of one unit belong together: with u_j a unit's contribution from stratum j, weighed and linearised
// as in [Mean] and centred at its stratum's mean, all pairs of strata of one class together add
//
//	(1 − M/(P·N)) · Σ_units ((Σ u)² − Σ u²)
//
// to Σ V̂, where P is the number of ordered pairs of answers of one unit, M the sum of m_i·m_j over ordered pairs of strata, and N the
// units. For two strata that is twice the covariance of two overlapping simple random samples, 2(c/(m₁m₂) − 1/N)s₁₂ (Tam 1984; Qualité and
// Tillé 2008), c being the common units. Noise is drawn anew for each answer and takes no part on average. Pairs of answers in
// strata of different classes, as of units that moved, are added without correction. Where no unit answers twice the samples may
// have been drawn to be disjoint, and their covariance −s₁₂/N can't be estimated from anything; it is left out, which makes V̂ too
// large where readings of one unit go together.
//
// Degrees of freedom count the units of a class once: those of its stratum that has most.
type Repeats struct {
	// Class of each stratum of the estimate: those of one class ask the same units.
	Class []int
	// Units gives for each unit that answered twice or more its answers. The slice may be reused. Nil when it isn't known who answered:
	// then the answers of a class are taken to be as alike as answers can be, which makes V̂ too large.
	Units iter.Seq[[]Answer]
}

// Answer is one answer of a unit.
type Answer struct {
	Stratum int     // of the estimate
	Score   float64 // doesn't count outside the domain
	Inside  bool    // the domain
}

// added is what repeats add to sums over strata.
type added struct {
	variance float64 // V̂
	kish     float64 // Σ a²(1−π) of the reports that a share is of
	lost     float64 // degrees of freedom too many
}

// linear is how a report enters an estimate: with the weight a of its stratum, about a centre.
type linear struct {
	weight func(Sample) float64
	centre float64
	all    bool // for kish, reports outside the domain count, too
}

// add returns what units that answer twice add. A nil r adds nothing.
func (r *Repeats) add(strata []Sample, by linear) added {
	if r == nil {
		return added{}
	}
	classes := r.classes(strata)
	if r.Units == nil {
		alike(classes, r.Class, strata, by)
	} else {
		r.sum(classes, strata, by)
	}
	var out added
	for i := range classes {
		c := &classes[i]
		out.lost += float64(c.freedom - c.most)
		c.close(&out)
	}
	return out
}

// class is the sums over the strata that ask the same units.
type class struct {
	freedom, most    int64   // degrees of freedom of all strata, and of the one that has most
	reports, squares float64 // Σm and Σm²
	population       float64 // the largest
	scores, weights  float64 // Σ (Σu)² − Σu² over units, of scores and of weights
	pairs            float64 // P
}

// close adds what the class adds.
func (c *class) close(to *added) {
	if c.pairs == 0 {
		return
	}
	rest := 1 - (c.reports*c.reports-c.squares)/(c.pairs*c.population)
	to.variance += rest * c.scores
	to.kish += rest * c.weights
}

// classes makes the classes, the last one for pairs of answers in two of them, which have no correction.
func (r *Repeats) classes(strata []Sample) []class {
	most := -1
	for j := range strata {
		most = max(most, r.Class[j])
	}
	out := make([]class, most+2)
	for j, s := range strata {
		c, m := &out[r.Class[j]], float64(s.Responses)
		c.reports, c.squares = c.reports+m, c.squares+m*m
		c.population = max(c.population, float64(s.Population))
		if n := s.Domain.Count - 1; n > 0 {
			c.freedom, c.most = c.freedom+n, max(c.most, n)
		}
	}
	return out
}

// sum adds up what the units answered.
func (r *Repeats) sum(classes []class, strata []Sample, by linear) {
	each := make([]contribution, len(strata))
	for j, s := range strata {
		each[j] = by.of(s)
	}
	of := make([]unitSums, len(classes)) // of one unit, by class; the last one over all of them
	last := len(classes) - 1
	var touched []int
	for answers := range r.Units {
		touched = touched[:0]
		for _, x := range answers {
			u, w := each[x.Stratum].of(x, by.all)
			at := r.Class[x.Stratum]
			if of[at].answers == 0 {
				touched = append(touched, at)
			}
			of[at].add(u, w)
		}
		for _, at := range touched {
			classes[at].take(&of[at])
			of[last].merge(&of[at])
			of[at] = unitSums{}
		}
		if len(touched) > 1 {
			classes[last].scores += of[last].score*of[last].score - of[last].own
			classes[last].weights += of[last].weight*of[last].weight - of[last].ownWeight
			classes[last].pairs, classes[last].population = 1, 1 // no correction
		}
		of[last] = unitSums{}
	}
}

// contribution is what the reports of a stratum contribute.
type contribution struct {
	centre, scale float64
	shift         float64 // minus the mean of the linearised scores, 0 outside the domain
	weight        float64
}

func (l linear) of(s Sample) contribution {
	if s.Population == 0 || s.Responses < 2 {
		return contribution{}
	}
	m, a := float64(s.Responses), l.weight(s)
	c := contribution{centre: l.centre, scale: a * math.Sqrt(m/(m-1)), weight: a}
	if s.Domain.Count > 0 {
		c.shift = -float64(s.Domain.Count) / m * (s.Domain.Mean - l.centre)
	}
	return c
}

// of gives the contribution of an answer, and its weight.
func (c contribution) of(x Answer, all bool) (score, weight float64) {
	score = c.shift
	if x.Inside {
		score += x.Score - c.centre
	}
	if x.Inside || all {
		weight = c.weight
	}
	return c.scale * score, weight
}

// unitSums is what one unit contributes.
type unitSums struct {
	answers           int
	score, own        float64 // Σu and Σu²; over several classes own is Σ (Σu)² of each
	weight, ownWeight float64
}

func (u *unitSums) add(score, weight float64) {
	u.answers++
	u.score, u.own = u.score+score, u.own+score*score
	u.weight, u.ownWeight = u.weight+weight, u.ownWeight+weight*weight
}

func (u *unitSums) merge(o *unitSums) {
	u.score, u.own = u.score+o.score, u.own+o.score*o.score
	u.weight, u.ownWeight = u.weight+o.weight, u.ownWeight+o.weight*o.weight
}

func (c *class) take(u *unitSums) {
	c.scores += u.score*u.score - u.own
	c.weights += u.weight*u.weight - u.ownWeight
	c.pairs += float64(u.answers * (u.answers - 1))
}

// alike takes the answers of each class to be as alike as they can be: standard deviations add up in place of variances.
func alike(classes []class, of []int, strata []Sample, by linear) {
	type roots struct{ variance, score, load, weight float64 }
	sums := make([]roots, len(classes))
	for j, s := range strata {
		if s.Population == 0 || s.Responses < 2 {
			continue
		}
		a, to := by.weight(s), &sums[of[j]]
		v := s.variance(a, by.centre)
		n := s.Domain.Count
		if by.all {
			n = s.Responses
		}
		load := a * a * float64(n) * float64(s.Population-s.Responses) / float64(s.Population)
		to.variance, to.score = to.variance+v, to.score+math.Sqrt(v)
		to.load, to.weight = to.load+load, to.weight+math.Sqrt(load)
	}
	for i, s := range sums {
		c := &classes[i]
		c.scores, c.weights = s.score*s.score-s.variance, s.weight*s.weight-s.load
		c.reports, c.squares, c.pairs, c.population = 0, 0, 1, 1
	}
}
