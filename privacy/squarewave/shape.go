package squarewave

import (
	"math"

	"github.com/quadrat-dev/quadrat/privacy"
)

// BinsMax bounds the bins of a Tally: the time of a round grows with its square.
const BinsMax = 1024

// Tally counts codes in bins of neighbours, with weights. It is what a shape is
// made from: the same bins whatever the number of reports. Not safe for
// concurrent use.
type Tally struct {
	m      *Mechanism
	counts []float64
}

// NewTally returns an empty tally whose shapes have so many bins, 2…BinsMax;
// 256 show any detail that there is. Anything else gives privacy.ErrInput.
func (m *Mechanism) NewTally(bins int) (*Tally, error) {
	if bins < 2 || bins > BinsMax {
		return nil, privacy.ErrInput
	}
	return &Tally{m: m, counts: make([]float64, bins)}, nil
}

// TallyOf returns a tally that holds counts, one for each bin as Bin numbers
// them: of single reports, or their sums with weights. The slice is copied. A
// count that is negative or no number, and a number of bins that NewTally refuses,
// give privacy.ErrInput.
func (m *Mechanism) TallyOf(counts []float64) (*Tally, error) {
	t, err := m.NewTally(len(counts))
	if err != nil {
		return nil, err
	}
	for _, n := range counts {
		if !(n >= 0) || math.IsInf(n, 1) {
			return nil, privacy.ErrInput
		}
	}
	copy(t.counts, counts)
	return t, nil
}

// Bin returns which of so many bins of neighbours holds a code: what a server
// counts, in place of every code. It fails with privacy.ErrCode.
func (m *Mechanism) Bin(code uint32, bins int) (int, error) {
	if code >= m.Codes() {
		return 0, privacy.ErrCode
	}
	return int(uint64(code) * uint64(bins) / uint64(m.Codes())), nil
}

// Add counts a code with a weight: 1, or the survey weight of its device. It
// fails with privacy.ErrCode; a weight that is no positive number gives
// privacy.ErrInput.
func (t *Tally) Add(code uint32, weight float64) error {
	bin, err := t.m.Bin(code, len(t.counts))
	if err != nil {
		return err
	}
	if !(weight > 0) || math.IsInf(weight, 1) {
		return privacy.ErrInput
	}
	t.counts[bin] += weight
	return nil
}

// Method says how a shape is made from a tally.
type Method int

// The methods. All are biased toward what is smooth or likely, and none has an
// interval: for display only.
const (
	// Smoothed is expectation maximisation with a [1 2 1]/4 filter after each
	// round (Li et al. 2020, EMS): the published method, to compare with.
	Smoothed Method = iota
	// Likelihood is expectation maximisation alone. It approaches the shape under
	// which the codes are likeliest, which is spiky.
	Likelihood
	// Penalised is the likelihood of a log density that is a spline with small
	// third differences (Silverman 1982; Eilers and Marx 1996), averaged over the
	// strengths of the penalty by their evidence: the one to draw. Of the shapes in
	// docs/privacy-measured.md it is nearer to most than Smoothed and to none much
	// further.
	Penalised
)

// Shape is a distribution over [0, 1] that explains a tally, FOR DISPLAY ONLY:
// its mean and quantiles are biased, and no valid interval follows from it. Its
// bins are equally wide.
type Shape struct {
	// Share is the probability of each bin; the sum is 1.
	Share []float64
	// LogLikelihood is that of the tally, up to a constant.
	LogLikelihood float64
	// Rounds is how many rounds of expectation maximisation it took, or steps of
	// Fisher scoring at all strengths of the penalty together.
	Rounds int
	// Converged says that the last round or step changed the likelihood no more.
	Converged bool
}

const (
	// settled is the change of the log-likelihood that ends the rounds (Li et
	// al. 2020); likelihood alone is slower by e^ε.
	settled = 1e-3
	// roundsMax bounds the rounds.
	roundsMax = 10_000
)

// Shape reconstructs the distribution by Smoothed, Likelihood or Penalised. An empty tally gives privacy.ErrInput.
func (t *Tally) Shape(how Method) (Shape, error) {
	total := 0.0
	for _, n := range t.counts {
		total += n
	}
	if total == 0 {
		return Shape{}, privacy.ErrInput
	}
	if how == Penalised {
		return t.penalised(), nil
	}
	bins := len(t.counts)
	s := Shape{Share: make([]float64, bins), LogLikelihood: math.Inf(-1)}
	for j := range s.Share {
		s.Share[j] = 1 / float64(bins)
	}
	limit := settled
	if how == Likelihood {
		limit *= math.Exp(t.m.Epsilon().Float64())
	}
	e := newRounds(t)
	for !s.Converged && s.Rounds < roundsMax {
		now := e.round(s.Share)
		if how == Smoothed {
			e.smooth(s.Share)
		}
		s.Converged = math.Abs(now-s.LogLikelihood) < limit
		s.LogLikelihood = now
		s.Rounds++
	}
	return s, nil
}

// smooth applies the filter [1 2 1]/4, at the ends [2 1]/3.
func (e *rounds) smooth(share []float64) {
	last := len(share) - 1
	for j := range share {
		sum, weight := 2*share[j], 2.0
		if j > 0 {
			sum, weight = sum+share[j-1], weight+1
		}
		if j < last {
			sum, weight = sum+share[j+1], weight+1
		}
		e.smoothed[j] = sum / weight
	}
	copy(share, e.smoothed)
	normalise(share)
}

func normalise(share []float64) {
	sum := 0.0
	for _, s := range share {
		sum += s
	}
	for j := range share {
		share[j] /= sum
	}
}

// transitions returns the probability of each output bin given each input bin,
// for inputs spread evenly over their bin.
func (m *Mechanism) transitions(bins int) []float64 {
	levels, width, codes := float64(m.Levels()), float64(m.Window()), float64(m.Codes())
	inside := m.Inside()
	outside, _ := m.Probability(m.Codes()-1, 0).Float64()
	in, out := levels/float64(bins), codes/float64(bins)
	matrix := make([]float64, bins*bins)
	for i := range bins {
		for j := range bins {
			// Mean length of the window's part that lies in the output bin.
			from, to := float64(j)*in, float64(j+1)*in
			part := (covered(float64(i+1)*out, from, to, width) - covered(float64(i)*out, from, to, width)) / in
			matrix[i*bins+j] = outside*out + (inside-outside)*part
		}
	}
	return matrix
}

// covered returns the integral over u from from to to of the length of
// [u, u+width] below a place.
func covered(place, from, to, width float64) float64 {
	ramp := func(x float64) float64 { return math.Max(0, x) * math.Max(0, x) / 2 }
	return ramp(place-from) - ramp(place-to) - ramp(place-width-from) + ramp(place-width-to)
}

// Mean returns the mean of the shape, bins counted at their middles. Biased; the
// mean of the scores is not.
func (s Shape) Mean() float64 {
	mean := 0.0
	for j, share := range s.Share {
		mean += share * (float64(j) + 0.5) / float64(len(s.Share))
	}
	return mean
}

// Below returns the share of the shape below x, for x on the unit scale.
func (s Shape) Below(x float64) float64 {
	place, sum := x*float64(len(s.Share)), 0.0
	for j, share := range s.Share {
		sum += share * math.Max(0, math.Min(1, place-float64(j)))
	}
	return sum
}

// Quantile returns the place below which the share p of the shape lies, p in
// [0, 1]: an x with Below(x) = p.
func (s Shape) Quantile(p float64) float64 {
	sum := 0.0
	for j, share := range s.Share {
		if share > 0 && sum+share >= p {
			return (float64(j) + math.Max(0, p-sum)/share) / float64(len(s.Share))
		}
		sum += share
	}
	return 1
}
