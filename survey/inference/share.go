package inference

import (
	"math"

	"github.com/quadrat-dev/quadrat/survey/interval"
)

// extent returns the units that a sample of all rows stands for, which weigh so much together.
func (a *Analysis) extent(weight float64) float64 {
	if a.Population > 0 {
		return a.Population
	}
	return weight
}

// count makes the interval of a total of bits: that of the share of all units, times how many those are.
func (e *Estimate) count(a *Analysis, v float64, in interval.Input) error {
	size := 0.0
	for _, w := range a.weight {
		size += w
	}
	size = a.extent(size)
	value := e.Value
	if e.Value /= size; math.Abs(e.Value-1) < 1e-12 {
		e.Value = 1
	}
	in.Noise /= size * size
	err := e.bracket(interval.Wilson, v/(size*size), in)
	e.Value, e.Low, e.High = value, e.Low*size, e.High*size
	return err
}

// kish returns Σ a²(1−π) over the domain, or for a total over all rows, with a = w/N̂: the most that the sampling variance
// of bits can be, over p(1−p). Rows of a first-stage unit count as one, a being the sum of theirs: they may all agree.
func (a *Analysis) kish(l *linear) float64 {
	sum, size := 0.0, 0.0
	units := a.Design.Units()
	whole, open := make([]float64, len(units)), make([]float64, len(units)) // by number of the unit: Σ w, Σ w(1−π)
	for k, w := range a.weight {
		if !l.whole && !l.in[k] {
			continue
		}
		size += w
		rest := 1 - a.Design.Share(k)
		if units == nil {
			sum += w * w * rest
			continue
		}
		whole[units[k]] += w
		open[units[k]] += w * rest
	}
	for unit := range whole {
		sum += whole[unit] * open[unit]
	}
	if l.whole {
		size = a.extent(size)
	}
	return sum / (size * size)
}
