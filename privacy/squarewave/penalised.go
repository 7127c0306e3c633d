package squarewave

import (
	"math"
	"slices"
)

const (
	// strongest and weakest are the powers of ten of the strengths of the penalty: from one under which no shape but a normal one
	// is left, to one which leaves each of the splines its own height.
	strongest, weakest = 7, -3
	// stepsMax bounds the steps of a fit, halvingsMax how often a step is halved that leads down.
	stepsMax, halvingsMax = 100, 30
	// near is the gain of a step, in log-likelihood, below which rounding may hide it, so that the step is taken unseen; flat is
	// that after which the fit ends.
	near, flat = 1e-4, 1e-9
	// slight is the weight of a fit, relative to the best, that needn't be at its top.
	slight = 1e-6
)

// penalised is the shape with a smooth log density. With a strength s of the penalty, the log density η is the cubic spline that
// maximises the log-likelihood less s/2 times its squared third differences: where the reports say little, it goes on as a normal
// density (Silverman 1982; P-splines, Eilers and Marx 1996; of an indirectly seen density, Efron 2016). The penalty is the
// logarithm of a normal law of η, so that each strength has an evidence, the probability of the counts with η integrated out
// (Laplace's approximation, as Wood 2011). The shape is the mean over the strengths, weighed by evidence (Hoeting et al. 1999): no
// strength is more likely than another beforehand. No number in here depends on what a shape is expected to be.
func (t *Tally) penalised() Shape {
	f := newFit(t)
	s := Shape{Share: make([]float64, len(t.counts)), Converged: true}
	var fits []hill
	best := math.Inf(-1)
	at := vector{}
	for power := strongest; power >= weakest; power-- {
		h := f.climb(at, penalty(math.Pow10(power)))
		fits = append(fits, h)
		best = max(best, h.evidence)
		s.Rounds += h.steps
		at = h.at
	}
	for _, h := range fits {
		weight := math.Exp(h.evidence - best)
		s.Converged = s.Converged && (h.converged || weight < slight)
		for j, share := range h.share {
			s.Share[j] += weight * share
		}
	}
	normalise(s.Share)
	s.LogLikelihood = f.logLikelihood(s.Share)
	return s
}

// fit holds what finding a log density needs. η has a constant that no share shows; the weak part of the penalty sets it.
type fit struct {
	e       *rounds
	bumps   []bump
	reports float64
	slopes  []vector // of the chances by the coefficients
	input   []float64
	output  []float64
}

func newFit(t *Tally) *fit {
	bins := len(t.counts)
	f := &fit{
		e: newRounds(t), bumps: bumps(bins), slopes: make([]vector, bins),
		input: make([]float64, bins), output: make([]float64, bins),
	}
	for _, n := range t.counts {
		f.reports += n
	}
	return f
}

// hill is a fit's result at one strength.
type hill struct {
	at        vector // the coefficients
	share     []float64
	height    float64 // the penalised log-likelihood
	evidence  float64
	steps     int
	converged bool
}

// climb finds the top of the penalised log-likelihood from some coefficients on: by Newton's steps where the surface bends down all
// ways, else by Fisher's, each halved until it leads up.
func (f *fit) climb(at vector, rough penalty) hill {
	precision, h := rough.matrix(), f.stand(at, rough)
	for {
		gradient, bend, information := f.look(h.share)
		pull := rough.pull(&h.at)
		for c := range gradient {
			gradient[c] -= pull[c]
		}
		bend.add(precision)
		information.add(precision)
		curvature, ok := information.factor()
		if h.converged || h.steps == stepsMax || !ok { // not ok by rounding, from 10¹² reports on
			before, _ := precision.factor()
			h.evidence = h.height + (before-curvature)/2
			h.converged = h.converged && ok
			return h
		}
		ways := &information
		if _, down := bend.factor(); down {
			ways = &bend
		}
		step := ways.solve(gradient)
		gain := step.dot(&gradient)
		next := f.stride(&h, &step, rough, gain < near)
		next.steps, next.converged = h.steps+1, gain < flat
		h = next
	}
}

// stride goes a step, or half of it, or a quarter…, until that is up; a short step it goes unseen.
func (f *fit) stride(from *hill, step *vector, rough penalty, short bool) hill {
	length := 1.0
	for range halvingsMax {
		at := from.at
		for c := range at {
			at[c] += length * step[c]
		}
		if next := f.stand(at, rough); short || next.height > from.height {
			return next
		}
		length /= 2
	}
	return *from
}

// stand returns where coefficients lead to, without evidence.
func (f *fit) stand(at vector, rough penalty) hill {
	share := make([]float64, len(f.bumps))
	for j, b := range f.bumps {
		for i, value := range b.value {
			share[j] += value * at[b.first+i]
		}
	}
	top := slices.Max(share)
	for j, height := range share {
		share[j] = math.Exp(height - top)
	}
	normalise(share)
	pull := rough.pull(&at)
	return hill{at: at, share: share, height: f.logLikelihood(share) - pull.dot(&at)/2}
}

func (f *fit) logLikelihood(share []float64) float64 {
	f.e.outputs(share, f.e.chances)
	sum := 0.0
	for i, n := range f.e.counts {
		if n > 0 {
			sum += n * math.Log(f.e.chances[i])
		}
	}
	return sum
}

// look returns the gradient of the log-likelihood by the coefficients, its second derivatives with their signs turned, and the
// information that as many reports are expected to give (Fisher 1925). The share of bin j changes with coefficient c by
// share·(B_c(j) − mean of B_c), and so does that.
func (f *fit) look(share []float64) (gradient vector, bend, information matrix) {
	f.e.outputs(share, f.e.chances)
	mean := f.slope(share)
	for j, praise := range f.e.praise() {
		weight := share[j] * (f.reports - praise)
		b := f.bumps[j]
		for i, x := range b.value {
			gradient[b.first+i] -= weight * x
			for k, y := range b.value {
				bend[b.first+i][b.first+k] += weight * x * y
			}
		}
	}
	for i, chance := range f.e.chances {
		slopes := &f.slopes[i]
		expected, seen := f.reports/chance, f.e.counts[i]/(chance*chance)
		for c, slope := range slopes {
			for d := range c + 1 {
				both := slope * slopes[d]
				information[c][d] += expected * both //nolint:gosec // d is at most c
				bend[c][d] += seen * both            //nolint:gosec // d is at most c
			}
		}
	}
	for c := range information {
		for d := range c + 1 {
			bend[c][d] += gradient[c]*mean[d] + mean[c]*gradient[d]       //nolint:gosec // d is at most c
			information[d][c], bend[d][c] = information[c][d], bend[c][d] //nolint:gosec // d is at most c
		}
	}
	return gradient, bend, information
}

// slope sets the slopes of the chances and returns the mean of each spline.
func (f *fit) slope(share []float64) (mean vector) {
	for c := range mean {
		for j, b := range f.bumps {
			f.input[j] = 0
			if i := c - b.first; i >= 0 && i < order {
				f.input[j] = share[j] * b.value[i]
			}
			mean[c] += f.input[j]
		}
		f.e.outputs(f.input, f.output)
		for i, chance := range f.e.chances {
			f.slopes[i][c] = f.output[i] - mean[c]*chance
		}
	}
	return mean
}
