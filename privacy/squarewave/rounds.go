package squarewave

import "math"

// rounds holds what the rounds of expectation maximisation need. The probability of an output bin is the same for all input
// bins but those whose window may reach it, and the same for all of those whose window surely covers it, so that a round takes sums
// over the few input bins between, and prefix sums: time in proportion to the bins, not to their square.
type rounds struct {
	counts   []float64
	rows     []band
	matrix   []float64 // P(output bin i | input bin j), row by row
	far      float64   // of a bin that no window reaches
	near     float64   // of a bin that the window covers whole
	chances  []float64 // of each output bin given the shares
	gain     []float64
	prefix   []float64
	steps    []float64
	smoothed []float64
}

// band says where a row of the matrix is near: from flat on up to flatEnd; outside from…end it is far.
type band struct{ from, flat, flatEnd, end int }

func newRounds(t *Tally) *rounds {
	bins := len(t.counts)
	e := &rounds{
		counts: t.counts, matrix: t.m.transitions(bins), chances: make([]float64, bins), gain: make([]float64, bins), prefix: make([]float64, bins+1),
		steps: make([]float64, bins+1), smoothed: make([]float64, bins), rows: make([]band, bins),
	}
	outside, _ := t.m.Probability(t.m.Codes()-1, 0).Float64()
	out := float64(t.m.Codes()) / float64(bins)
	e.far, e.near = outside*out, t.m.Inside()*out
	for i := range e.rows {
		e.rows[i] = e.bandOf(e.matrix[i*bins : (i+1)*bins])
	}
	return e
}

// bandOf finds the band of a row, which rises once and falls once. What rounding leaves is no difference.
func (e *rounds) bandOf(row []float64) band {
	rounding := 1e-10 * e.near
	b := band{flat: -1}
	for b.from < len(row) && row[b.from]-e.far <= rounding {
		b.from++
	}
	b.end = b.from
	for b.end < len(row) && row[b.end]-e.far > rounding {
		if e.near-row[b.end] <= rounding {
			if b.flat < 0 {
				b.flat = b.end
			}
			b.flatEnd = b.end + 1
		}
		b.end++
	}
	if b.flat < 0 {
		b.flat, b.flatEnd = b.from, b.from
	}
	return b
}

// round updates the shares in place and returns the log-likelihood of those before.
func (e *rounds) round(share []float64) (logLikelihood float64) {
	e.outputs(share, e.chances)
	for i, n := range e.counts {
		if n > 0 {
			logLikelihood += n * math.Log(e.chances[i])
		}
	}
	for j, praise := range e.praise() {
		share[j] *= praise
	}
	normalise(share)
	return logLikelihood
}

// praise returns, for each input bin, the sum over what was counted of its probability given the bin, relative to that given the
// shares of which the chances are. It is valid until the next call.
func (e *rounds) praise() []float64 {
	clear(e.gain)
	clear(e.steps)
	bins, all := len(e.counts), 0.0
	for i, n := range e.counts {
		if n > 0 {
			e.credit(e.rows[i], e.matrix[i*bins:(i+1)*bins], n/e.chances[i])
			all += n / e.chances[i]
		}
	}
	step := 0.0
	for j := range e.gain {
		step += e.steps[j]
		e.gain[j] += e.far*all + (e.near-e.far)*step
	}
	return e.gain
}

// sum sets the prefix sums of shares, as output wants them.
func (e *rounds) sum(share []float64) {
	for j, s := range share {
		e.prefix[j+1] = e.prefix[j] + s
	}
}

// output returns the probability of an output bin, given the shares whose sums are set.
func (e *rounds) output(i int, share []float64) float64 {
	bins := len(share)
	b, row := e.rows[i], e.matrix[i*bins:(i+1)*bins]
	p := e.far*e.prefix[bins] + (e.near-e.far)*(e.prefix[b.flatEnd]-e.prefix[b.flat])
	for j := b.from; j < b.flat; j++ {
		p += (row[j] - e.far) * share[j]
	}
	for j := b.flatEnd; j < b.end; j++ {
		p += (row[j] - e.far) * share[j]
	}
	return p
}

// outputs puts the probabilities of all output bins into out.
func (e *rounds) outputs(share, out []float64) {
	e.sum(share)
	for i := range out {
		out[i] = e.output(i, share)
	}
}

// credit adds what an output bin says for the input bins of its band, beyond what it says for all.
func (e *rounds) credit(b band, row []float64, weight float64) {
	for j := b.from; j < b.flat; j++ {
		e.gain[j] += weight * (row[j] - e.far)
	}
	for j := b.flatEnd; j < b.end; j++ {
		e.gain[j] += weight * (row[j] - e.far)
	}
	if b.flat < b.flatEnd {
		e.steps[b.flat] += weight
		e.steps[b.flatEnd] -= weight
	}
}
