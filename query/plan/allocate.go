package plan

import (
	"math"

	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey"
)

// share allocates n devices a window to the strata. Strata that would get fewer than two answers to each statistic get as
// many, and the rest is allocated anew.
func (d *design) share(n int) ([]int, error) {
	least := answersLeast * d.q.slots()
	most := d.most()
	out := make([]int, len(d.strata))
	clamped := make([]bool, len(d.strata))
	for {
		var open []int
		var strata []survey.AllocStratum
		rest := n
		for h := range d.strata {
			if clamped[h] {
				out[h], rest = least, rest-least
				continue
			}
			open = append(open, h)
			strata = append(strata, d.allocStratum(h, most[h]))
		}
		if len(open) == 0 {
			return out, nil
		}
		sizes, err := survey.Allocate(d.method(), int64(rest), strata)
		if err != nil {
			return nil, err
		}
		again := false
		for k, h := range open {
			out[h] = int(sizes[k])
			if out[h] < least {
				clamped[h], again = true, true
			}
		}
		if !again {
			return out, nil
		}
	}
}

// allocStratum is what is known of a stratum before anything is drawn, in the terms of the first statistic. For POWER a
// it is as important as N^a; nothing is known of the strata's means, so they are supposed to be the same.
func (d *design) allocStratum(h, most int) survey.AllocStratum {
	s := survey.AllocStratum{
		Population: int64(d.strata[h].units), StdDev: d.spread(0, h), Noise: d.answers[0].noise, Most: int64(most),
	}
	if d.q.asked[0].stat.Kind == kindVariance {
		square, noise := d.q.squares(s.StdDev, s.Noise, d.answers[0].law)
		s.StdDev, s.Noise = math.Sqrt(square), noise
	}
	if d.method() != survey.Power {
		return s
	}
	s.Mean, s.Importance = 1, math.Pow(float64(s.Population), d.q.script.Sample.Exponent.Value)
	if !d.answers[0].known {
		s.StdDev, s.Noise = 1, 0
	}
	return s
}

// method is how devices are allocated; Neyman and power go by the first statistic.
func (d *design) method() survey.Method {
	switch allocate := d.q.script.Sample.Allocate; {
	case allocate == script.Equal:
		return survey.Equal
	case allocate == script.Power:
		return survey.Power
	case allocate == script.Neyman && d.answers[0].known:
		return survey.Neyman
	}
	return survey.Proportional
}
