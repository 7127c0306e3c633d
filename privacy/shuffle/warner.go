package shuffle

import "math"

// Warner is the ε of a batch of Warner's randomised response, whatever bits the others have: not a bound but the figure of the batch
// that tells most, in either direction. It is never below that, and up to a thousand reports at most a thousandth above it; of
// more reports groups of batches are judged together, which makes it some thousandths larger.
//
// Answers have two values, so that all that a shuffled batch tells is how many are ones: X + B, where B answers for the one device
// and X, a sum of independent bits, for the others. Others whose bits are random are a mixture of others whose bits are known,
// and tell no more than the worst of those (joint convexity); so a batch is how many of the others have a one. Exchanging zeros
// and ones turns one direction into the other, so one of them over all batches is both. The probabilities of X are log-concave
// (Keilson and Gerber 1971), so that the event which tells most is a tail (Neyman and Pearson).
//
// Not each of many batches is computed. All those with at least i ones and j zeros among the others tell no more than the small
// batch of these alone: the rest only adds to the number seen, independently of the device in question. A group of batches that
// is innocent by that is done with; another one is halved.
func (s Setting) Warner() (float64, error) {
	if err := s.Validate(); err != nil {
		return 0, err
	}
	keep := 1 / (1 + math.Exp(-s.Local.Float64()))
	others := s.Reports - 1
	grains := 1000
	if s.Reports > finest {
		grains = 200
	}
	grain := max(1, s.Reports/grains)
	return s.least(func(e float64) float64 {
		if s.innocent(e, keep, 0, others, grain) {
			return 0
		}
		return 1
	}), nil
}

// finest is the largest batch that is judged in a thousand groups.
const finest = 10_000

// innocent says that no batch with from…to ones among the others has a divergence of more than δ at ε. A group of grain batches
// that can't be told to be innocent together is taken not to be.
func (s Setting) innocent(e, keep float64, from, to, grain int) bool {
	if crowd := (crowd{ones: from, zeros: s.Reports - 1 - to, keep: keep}); crowd.divergence(e) <= s.Delta {
		return true
	}
	if to-from < grain {
		return false
	}
	middle := from + (to-from)/2
	// Batches of many ones tell most, so that they are looked at first.
	return s.innocent(e, keep, middle+1, to, grain) && s.innocent(e, keep, from, middle, grain)
}

// crowd is the others in a batch, of whom some have a one, some a zero, and each answers with its own bit with the probability keep.
type crowd struct {
	ones, zeros int
	keep        float64
}

// divergence is the largest P(A) − e^ε·P′(A) over events A, where P is the number of ones in a batch of the crowd and a device with
// a one, and P′ that of the crowd and a device with a zero. With X for the number of ones in the answers of the crowd it is
// the largest a·P(X = m−1) − (e^ε−1)·P(X ≥ m), a = keep − e^ε(1−keep), since P − e^ε·P′ of m is a·P(X = m−1) − b·P(X = m) with
// b = a + e^ε − 1.
func (c crowd) divergence(e float64) float64 {
	a := c.keep - math.Exp(e)*(1-c.keep)
	if a <= 0 {
		return 0
	}
	more := math.Expm1(e)
	x := c.answers()
	// The first m at which a·P(X = m−1) is no less than b·P(X = m): the ratio of the two grows with m.
	low, high := x.least(), x.most()+1
	for low < high {
		if middle := low + (high-low)/2; a*x.at(middle-1) >= (a+more)*x.at(middle) {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return max(0, a*x.at(low-1)-more*x.from(low))
}

// answers is the distribution of the number of ones in a crowd's answers: the sum of two binomial numbers.
func (c crowd) answers() sum {
	x := sum{truths: binomial(c.ones, c.keep), lies: binomial(c.zeros, 1-c.keep)}
	x.above = make([]float64, len(x.truths.weights)+1)
	for i := len(x.truths.weights) - 1; i >= 0; i-- {
		x.above[i] = x.above[i+1] + x.truths.weights[i]
	}
	return x
}

// sum is the distribution of the sum of two independent numbers.
type sum struct {
	truths, lies weighed
	above        []float64 // sums of the weights of truths, from each on
}

func (x sum) least() int { return x.truths.first + x.lies.first }

func (x sum) most() int { return x.least() + len(x.truths.weights) + len(x.lies.weights) - 2 }

// at is the probability of a number.
func (x sum) at(number int) float64 {
	p, rest := 0.0, number-x.least()
	for i := max(0, rest-len(x.truths.weights)+1); i < len(x.lies.weights) && i <= rest; i++ {
		p += x.lies.weights[i] * x.truths.weights[rest-i]
	}
	return p
}

// from is the probability of that number or a larger one.
func (x sum) from(number int) float64 {
	p, rest := 0.0, number-x.least()
	for i, w := range x.lies.weights {
		if rest-i < len(x.above) {
			p += w * x.above[max(0, rest-i)]
		}
	}
	return p
}
