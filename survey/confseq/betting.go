package confseq

import "math"

// Plan is what must be fixed before the first value of a stream with one fixed mean is seen.
type Plan struct {
	Range      Range
	Confidence float64
	// Population is the number of units in all when the values are a simple random sample drawn one by one without
	// replacement from a finite population; the sequence then speaks of the population's mean and closes on it. 0 means
	// values whose conditional mean, given those before, is always the same.
	Population int64
}

func (p Plan) check() error {
	if err := p.Range.check(); err != nil {
		return err
	}
	if !inside01(p.Confidence) || p.Population < 0 {
		return invalid("want a confidence in (0, 1) and a population ≥ 0, not %g and %d", p.Confidence, p.Population)
	}
	return nil
}

// stream is what both predictable sequences keep: the values' sums, the predictable mean and variance, and the running
// intersection of the intervals so far, all on the scale [0, 1].
type stream struct {
	plan      Plan
	count     int64
	sum       float64
	squares   float64 // Σ(x_i − μ̂_i)²
	low, high float64
}

func newStream(p Plan) (stream, error) {
	if err := p.check(); err != nil {
		return stream{}, err
	}
	return stream{plan: p, high: 1}, nil
}

// take maps a value and refuses one too many.
func (s *stream) take(x float64) (float64, error) {
	if s.plan.Population > 0 && s.count == s.plan.Population {
		return 0, invalid("more values than the population of %d", s.plan.Population)
	}
	return s.plan.Range.unit(x)
}

// mean is the predictable mean: (1/2 + Σx)/(t+1) after t values.
func (s *stream) mean() float64 { return (0.5 + s.sum) / float64(s.count+1) }

// bet is the predictable size of the bet on the next value: √(2 ln(2/α)/(σ̂² t ln(1+t))).
func (s *stream) bet() float64 {
	t := float64(s.count + 1)
	variance := (0.25 + s.squares) / t
	return math.Sqrt(2 * math.Log(2/(1-s.plan.Confidence)) / (variance * t * math.Log1p(t)))
}

// expect returns a and b such that the next value's expectation, were m the mean, is a·m − b: without replacement
// (N·m − Σx)/(N − t), else m itself.
func (s *stream) expect() (a, b float64) {
	if s.plan.Population == 0 {
		return 1, 0
	}
	left := float64(s.plan.Population - s.count)
	return float64(s.plan.Population) / left, s.sum / left
}

// learn counts the value and closes the interval on what a finite population leaves possible.
func (s *stream) learn(u float64) {
	s.count++
	s.sum += u
	d := u - s.mean()
	s.squares += d * d
	if n := float64(s.plan.Population); n > 0 {
		s.narrow(s.sum/n, (s.sum+float64(s.plan.Population-s.count))/n)
	}
}

// narrow intersects with another interval. A pair that would leave nothing (which has a probability below the level)
// changes nothing, so that the sequence always has an answer.
func (s *stream) narrow(low, high float64) {
	low, high = math.Max(low, s.low), math.Min(high, s.high)
	const rounding = 1e-12 // a census leaves one point, on either side of which the last digits may fall
	if low > high+rounding {
		return
	}
	s.low, s.high = math.Min(low, high), math.Max(low, high)
}

// Interval returns the bounds so far, within the range; they never widen.
func (s *stream) Interval() (low, high float64) {
	return s.plan.Range.value(s.low), s.plan.Range.value(s.high)
}

// Count returns the number of values so far.
func (s *stream) Count() int64 { return s.count }

// PredictableMixture is the empirical-Bernstein sequence in closed form (Waudby-Smith and Ramdas 2024, Theorem 2; without
// replacement: 2020, Theorem 3.2): constant time and memory a value. All intervals so far are intersected.
type PredictableMixture struct {
	stream

	centre, slope, spread float64 // Σλ(x + b), Σλa, Σ(x − μ̂)²(−ln(1−λ) − λ)
}

// NewPredictableMixture returns an empty stream.
func NewPredictableMixture(p Plan) (*PredictableMixture, error) {
	s, err := newStream(p)
	if err != nil {
		return nil, err
	}
	return &PredictableMixture{stream: s}, nil
}

// Add takes a value; one outside the range, or beyond the population, is an error and is not counted.
func (p *PredictableMixture) Add(x float64) error {
	u, err := p.take(x)
	if err != nil {
		return err
	}
	const boldest = 0.5 // λ must stay below 1
	lambda := math.Min(p.bet(), boldest)
	a, b := p.expect()
	d := u - p.mean()
	p.centre += lambda * (u + b)
	p.slope += lambda * a
	p.spread += d * d * (-math.Log1p(-lambda) - lambda)
	p.learn(u)
	half := math.Log(2/(1-p.plan.Confidence)) + p.spread
	p.narrow((p.centre-half)/p.slope, (p.centre+half)/p.slope)
	return nil
}

// Betting is the hedged capital sequence (Waudby-Smith and Ramdas 2024, Theorem 3; without replacement: §5): for each
// candidate mean m two gamblers bet on values above and below m, and a candidate is out for good once either has turned
// half the stake into 1/α. Candidates stand on a grid, and the capitals are monotone in m, so that the answer errs to the
// wide side by at most one step. A value costs time in proportion to the candidates that are left.
type Betting struct {
	stream

	step     float64
	first    int       // grid index of the first candidate
	above    []float64 // log capital of who bets on values above m, by candidate
	below    []float64 // of who bets on values below m
	required float64   // ln(2/α)
}

// The fewest and the most steps of a grid.
const (
	stepsLeast = 10
	stepsMost  = 1 << 24
)

// NewBetting returns an empty stream with so many steps of the grid, at least 10; 1000 gives bounds to a thousandth of the
// range.
func NewBetting(p Plan, steps int) (*Betting, error) {
	s, err := newStream(p)
	if err != nil {
		return nil, err
	}
	if steps < stepsLeast || steps > stepsMost {
		return nil, invalid("want from %d to %d steps, not %d", stepsLeast, stepsMost, steps)
	}
	return &Betting{
		stream: s, step: 1 / float64(steps), above: make([]float64, steps+1), below: make([]float64, steps+1),
		required: math.Log(2 / (1 - p.Confidence)),
	}, nil
}

// Add takes a value; one outside the range, or beyond the population, is an error and is not counted.
func (b *Betting) Add(x float64) error {
	u, err := b.take(x)
	if err != nil {
		return err
	}
	lambda := b.bet()
	slope, offset := b.expect()
	low, high := 0.0, 1.0
	for i := range b.above {
		candidate := float64(b.first+i) * b.step
		m := slope*candidate - offset
		if m < 0 || m > 1 {
			continue // what a finite population leaves possible shuts these out
		}
		b.above[i] += gain(lambda, u-m, m)
		b.below[i] += gain(lambda, m-u, 1-m)
		if b.above[i] >= b.required {
			low = math.Max(low, candidate)
		}
		if b.below[i] >= b.required {
			high = math.Min(high, candidate)
		}
	}
	b.learn(u)
	b.narrow(low, high)
	b.drop()
	return nil
}

// gain returns ln(1 + min(λ, c/stake)·d) where −d is at most stake, so that no bet loses more than the share c.
func gain(lambda, d, stake float64) float64 {
	const share = 0.5
	if lambda*stake > share {
		lambda = share / stake
	}
	return math.Log1p(lambda * d)
}

// drop forgets the candidates that the interval has left behind.
func (b *Betting) drop() {
	from, to := 0, len(b.above)
	for from < to && float64(b.first+from)*b.step < b.low {
		from++
	}
	for to > from && float64(b.first+to-1)*b.step > b.high {
		to--
	}
	b.above, b.below, b.first = b.above[from:to], b.below[from:to], b.first+from
}
