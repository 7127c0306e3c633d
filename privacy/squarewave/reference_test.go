package squarewave

import (
	"flag"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

// samples is how many samples of Beta(5, 2) a mean is over: few in every run, more
// for the table in docs/privacy-measured.md.
var samples = flag.Int("samples", 10, "samples of a shape")

// tenfold is over how many samples the reference's figures are means.
const tenfold = 10

// row is a line of the reference: another implementation's errors, and what ours
// are over the first ten samples here, of which the Wasserstein errors are kept.
type row struct {
	reports   int
	epsilon   privacy.Epsilon
	reference [4]float64
	kept      float64
}

func rows() []row {
	return []row{
		{1_000, 1_000_000, [4]float64{0.0365, 0.117, 0.035, 0.025}, 0.03443},
		{10_000, 1_000_000, [4]float64{0.0102, 0.033, 0.005, 0.0075}, 0.01264},
		{100_000, 500_000, [4]float64{0.0105, 0.025, 0.005, 0.016}, 0.00906},
		{100_000, 1_000_000, [4]float64{0.0054, 0.016, 0.0035, 0.0096}, 0.00444},
		{100_000, 2_000_000, [4]float64{0.0026, 0.008, 0.0017, 0.0017}, 0.00211},
	}
}

// TestNoWorseThanTheReference holds the errors over samples of Beta(5, 2) against
// another implementation's of the same algorithm, which are means over ten samples
// of its own. Three bounds:
//
//   - Theirs is a mean of ten, so an equally good algorithm may have a larger one.
//     A cell fails when ours is larger by 4.75 standard errors of the difference,
//     which happens once in 10⁶ times if both are equally good; the spread is taken
//     from our samples. So does the average over the rows of ours relative to theirs.
//   - Ours over the first ten samples is no more than 1 % above what it was when this
//     was written: the samples are the same, so that a reconstruction that is worse
//     by more shows.
//   - No rule for when to end the rounds, were it told the truth, is better by more
//     than a third: TestRoundsEndInTime.
//
// The log tells how often a mean of ten of our samples is no larger than theirs, and
// what that says of all rows together (Fisher 1925): were ours worse, theirs would
// lie among the smallest in every row. Less than 10⁻⁶ fails.
func TestNoWorseThanTheReference(t *testing.T) {
	const far = 4.75
	n := float64(*samples)
	relative, doubt := 0.0, 0.0 // the average and its variance
	var rarities []float64
	for _, c := range rows() {
		all := make([][4]float64, *samples)
		for seed := range all {
			shape, err := sample(t, c.epsilon, c.reports, uint64(seed)).Shape(Smoothed)
			if err != nil || !shape.Converged {
				t.Fatalf("%d reports at ε=%v: %v after %d rounds", c.reports, c.epsilon, err, shape.Rounds)
			}
			all[seed] = errorsOf(shape.Share)
		}
		for k, name := range []string{"Wasserstein", "Kolmogorov", "median", "95th percentile"} {
			column := make([]float64, len(all))
			for i := range all {
				column[i] = all[i][k]
			}
			mean, spread := moments(column)
			unsure := spread * math.Sqrt(1/n+1.0/tenfold)
			if limit := c.reference[k] + far*unsure; mean > limit {
				t.Errorf("%d reports at ε=%v: %s error %.4f, reference %.4f, limit %.4f", c.reports, c.epsilon, name, mean, c.reference[k], limit)
			}
			rare := tensBelow(column, c.reference[k])
			t.Logf("%d reports at ε=%v: %s error %.4f, reference %.4f, as small in %.1f %% of means of ten",
				c.reports, c.epsilon, name, mean, c.reference[k], 100*rare)
			if k > 0 {
				continue
			}
			rarities = append(rarities, rare)
			share := 1 / c.reference[k] / float64(len(rows()))
			relative, doubt = relative+share*mean, doubt+share*share*unsure*unsure
			if *samples >= tenfold {
				first, _ := moments(column[:tenfold])
				if first > 1.01*c.kept {
					t.Errorf("%d reports at ε=%v: %s error %.5f over the first ten samples, was %.5f", c.reports, c.epsilon, name, first, c.kept)
				}
			}
		}
	}
	t.Logf("the Wasserstein error is %.3f of the reference's, standard error %.3f", relative, math.Sqrt(doubt))
	if relative > 1+far*math.Sqrt(doubt) {
		t.Errorf("the Wasserstein error is %.3f of the reference's, standard error %.3f", relative, math.Sqrt(doubt))
	}
	if p := fisher(rarities); p < 1e-6 {
		t.Errorf("the Wasserstein errors of the reference are small in all rows, p = %.2g", p)
	} else {
		t.Logf("the Wasserstein errors of the reference in all rows: p = %.2g", p)
	}
}

// fisher combines independent probabilities: −2Σln p is χ² with two degrees of freedom
// for each.
func fisher(ps []float64) float64 {
	half, term, sum := 0.0, 1.0, 0.0
	for _, p := range ps {
		half -= math.Log(math.Max(p, 1e-5)) // no fewer of 100,000 can be seen
	}
	for i := range ps {
		sum += term
		term *= half / float64(i+1)
	}
	return sum * math.Exp(-half)
}

// TestRoundsEndInTime ends the rounds where the shape is nearest to the truth, which
// nobody can who doesn't know it, and compares: the rule of Shape costs no more than a
// third. The log tells how often a mean of ten of these best shapes is no larger
// than the reference's.
func TestRoundsEndInTime(t *testing.T) {
	for _, c := range rows() {
		ours, best := make([]float64, *samples), make([]float64, *samples)
		for seed := range ours {
			tally := sample(t, c.epsilon, c.reports, uint64(seed))
			shape, err := tally.Shape(Smoothed)
			if err != nil {
				t.Fatal(err)
			}
			ours[seed], _ = distances(shape.Share)
			best[seed] = min(ours[seed], nearest(tally, 2*shape.Rounds))
		}
		mean, _ := moments(ours)
		least, _ := moments(best)
		t.Logf("%d reports at ε=%v: Wasserstein error %.4f, of the best rounds %.4f; reference %.4f, as small in %.1f %% of means of ten of the best",
			c.reports, c.epsilon, mean, least, c.reference[0], 100*tensBelow(best, c.reference[0]))
		if mean > least*4/3 {
			t.Errorf("%d reports at ε=%v: Wasserstein error %.4f, of the best rounds %.4f", c.reports, c.epsilon, mean, least)
		}
	}
}

// nearest returns the least Wasserstein error of a shape after 8, 16, 24… rounds.
func nearest(tally *Tally, roundsMax int) float64 {
	e := newRounds(tally)
	share := make([]float64, len(tally.counts))
	for j := range share {
		share[j] = 1 / float64(len(share))
	}
	best := 1.0
	for r := 1; r <= roundsMax; r++ {
		e.round(share)
		e.smooth(share)
		if r%8 == 0 {
			d, _ := distances(share)
			best = min(best, d)
		}
	}
	return best
}

// moments returns mean and standard deviation.
func moments(of []float64) (mean, spread float64) {
	n := float64(len(of))
	for _, x := range of {
		mean += x / n
	}
	for _, x := range of {
		spread += (x - mean) * (x - mean) / (n - 1)
	}
	return mean, math.Sqrt(spread)
}

// tensBelow returns the share of means of ten values, drawn with replacement, that
// are no larger than a limit.
func tensBelow(of []float64, limit float64) float64 {
	const draws = 100_000
	rng, below := rand.New(rand.NewPCG(1, 10)), 0
	for range draws {
		sum := 0.0
		for range tenfold {
			sum += of[rng.IntN(len(of))]
		}
		if sum <= tenfold*limit {
			below++
		}
	}
	return float64(below) / draws
}

// below is the distribution function of Beta(5, 2).
func below(x float64) float64 { return x * x * x * x * x * (6 - 5*x) }

// quantile inverts it by bisection.
func quantile(p float64) float64 {
	lo, hi := 0.0, 1.0
	for hi-lo > 1e-12 {
		if middle := (lo + hi) / 2; below(middle) < p {
			lo = middle
		} else {
			hi = middle
		}
	}
	return lo
}

// errorsOf returns the Wasserstein and Kolmogorov distances of a shape from
// Beta(5, 2), and the errors of its median and 95th percentile.
func errorsOf(share []float64) (out [4]float64) {
	shape := Shape{Share: share}
	out[0], out[1] = distances(share)
	out[2] = math.Abs(shape.Quantile(0.5) - quantile(0.5))
	out[3] = math.Abs(shape.Quantile(0.95) - quantile(0.95))
	return out
}

// distances returns the Wasserstein and Kolmogorov distances, from four places in
// each bin.
func distances(share []float64) (wasserstein, kolmogorov float64) {
	const inBin = 4
	sum, places := 0.0, float64(inBin*len(share))
	for j, s := range share {
		for i := range inBin {
			part := (float64(i) + 0.5) / inBin
			d := math.Abs(sum + part*s - below((float64(j)+part)/float64(len(share))))
			wasserstein += d / places
			kolmogorov = math.Max(kolmogorov, d)
		}
		sum += s
	}
	return wasserstein, kolmogorov
}

// secondOfSix draws from Beta(5, 2), which is the second largest of six uniform
// numbers.
func secondOfSix(rng *rand.Rand) float64 {
	six := []float64{rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64(), rng.Float64()}
	slices.Sort(six)
	return six[4]
}
