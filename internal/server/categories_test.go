package server_test

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// play asks a fleet that replays real readings a question, for so many windows, and gives their results with what is true.
func play(t *testing.T, question string, devices, windows, perWindow int) ([]*quadratv1.Result, *simulate.Truth, *world) {
	t.Helper()
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, t.TempDir(), now)
	fleet := w.join(devices, simulate.Config{})
	t.Cleanup(fleet.Close)
	put, err := w.api.Put(t.Context(), question, nil)
	if err != nil {
		t.Fatal(err)
	}
	truth := heard(t, fleet, put.GetRef())
	w.pass(fleet, windows)
	return w.results(windows * perWindow), truth, w
}

// TestManyCategories asks real readings for histograms of more bins than a word has bits, one by subset selection and one by
// local hashing, from the script over devices to the results: the intervals hold the truth as often as they say, and the
// squared errors are as large as the standard errors say.
func TestManyCategories(t *testing.T) {
	const devices, windows = 6000, 2
	results, truth, _ := play(t, `KAPPA indoor AS SELECT histogram(temperature, 200), histogram(temperature, 1024) AS fine
		FROM sense.temperature SAMPLE ALL STRATIFIED BY region ROTATING WINDOW 1m GRACE 2s
		PRIVACY LOCAL EPSILON 4 PER 2m BETWEEN 15 AND 35`, devices, windows, 200+1024)
	type tally struct {
		mechanism                               string
		cells, covered                          int
		errors, variances, consistent, estimate float64
	}
	all := map[string]*tally{"histogram(temperature, 200)": {mechanism: "subset"}, "fine": {mechanism: "olh"}}
	for _, r := range results {
		of := all[r.GetStatistic()]
		want, ok := truth.InBin(r.GetWindowStart().AsTime(), r.GetStatistic(), r.GetCell(), r.GetBin().GetIndex())
		if !ok || r.Value == nil || r.GetPrivacy().GetMechanism() != of.mechanism {
			t.Fatalf("%s %v by %s: %v", r.GetStatistic(), r.GetBin(), r.GetPrivacy().GetMechanism(), r.GetWarnings())
		}
		of.cells++
		if r.GetCiLow() <= want && want <= r.GetCiHigh() {
			of.covered++
		}
		of.errors += (r.GetValue() - want) * (r.GetValue() - want)
		of.variances += r.GetStdError() * r.GetStdError()
		of.consistent += r.GetBin().GetConsistent() / windows
		of.estimate += r.GetValue() / windows
	}
	for name, of := range all {
		rate, ratio := 100*float64(of.covered)/float64(of.cells), of.errors/of.variances
		t.Logf("%s: %.1f %% of %d intervals hold the truth, squared errors %.3f of what is said", name, rate, of.cells, ratio)
		// Of k cells and two windows the rate has a standard error of √(0.95·0.05/2k), 1.1 and 0.5 points were the cells independent,
		// and the ratio one of √(2/2k), 7 and 3 %. Cells hang together, at most by a factor of two: 4.9 such errors, which one run in a
		// million goes beyond, are 7.5 and 3.3 points, and a half and a fifth. A bin without noise's lattice in its favour has a point less.
		least, far := 95-8.5, 0.5
		if of.cells > 1000 {
			least, far = 95-4.3, 0.22
		}
		if rate < least || math.Abs(ratio-1) > far || math.Abs(of.consistent-1) > 1e-9 {
			t.Errorf("%s: %.1f %% of the intervals hold the truth, squared errors are %.3f of what is said, consistent shares sum to %g",
				name, rate, ratio, of.consistent)
		}
	}
}

// TestShape asks real readings for their distribution, over devices to the results: every bin has a share for display and no
// number. The shape is as near to the population's, by the Wasserstein distance, as the mechanism alone gets that is handed the
// population's own values: the distance lies within eight deviations of the mean of thirty such, which of a gamma law whose
// mean is three deviations, as it is here or more, one draw in four million exceeds.
func TestShape(t *testing.T) {
	const devices, windows, bins = 4000, 4, 32
	results, truth, _ := play(t, `KAPPA indoor AS SELECT distribution(temperature) FROM sense.temperature
		SAMPLE ALL STRATIFIED BY region ROTATING WINDOW 1m GRACE 2s
		PRIVACY LOCAL EPSILON 1 PER 4m BETWEEN 15 AND 35`, devices, windows, bins)
	shapes, wanted := map[time.Time][]float64{}, map[time.Time][]float64{}
	for _, r := range results { // in the order of their bins
		start, b := r.GetWindowStart().AsTime(), r.GetBin()
		if r.Value != nil || r.CiLow != nil || b.Consistent == nil || r.GetPrivacy().GetMechanism() != "square-wave" || r.GetReports() < 900 {
			t.Fatalf("a bin of a shape: %v", r)
		}
		want, ok := truth.InBin(start, r.GetStatistic(), r.GetCell(), b.GetIndex())
		if !ok || int(b.GetIndex()) != len(shapes[start]) {
			t.Fatalf("bin %d", b.GetIndex())
		}
		shapes[start], wanted[start] = append(shapes[start], b.GetConsistent()), append(wanted[start], want)
	}
	if len(shapes) != windows {
		t.Fatalf("%d windows", len(shapes))
	}
	for start, shape := range shapes {
		var sum, squares float64
		const samples = 30
		for seed := range uint64(samples) {
			d := apart(alone(t, wanted[start], devices/windows, seed), wanted[start])
			sum += d / samples
			squares += d * d / samples
		}
		limit := sum + 8*math.Sqrt(squares-sum*sum)
		got, total := apart(shape, wanted[start]), 0.0
		for _, share := range shape {
			total += share
		}
		t.Logf("%s: distance %.4f, of the mechanism alone %.4f on average", start.Format(time.TimeOnly), got, sum)
		if got > limit || math.Abs(total-1) > 1e-9 {
			t.Errorf("%s: distance %.4f, of the mechanism alone %.4f, limit %.4f; the shares sum to %g", start.Format(time.TimeOnly), got, sum, limit, total)
		}
	}
}

// apart is the Wasserstein distance of two distributions over the same bins, in units of the bounds' width.
func apart(a, b []float64) float64 {
	below, sum := 0.0, 0.0
	for i := range a {
		below += a[i] - b[i]
		sum += math.Abs(below) / float64(len(a))
	}
	return sum
}

// alone reconstructs a distribution from so many codes of values that are even within its bins.
func alone(t *testing.T, shares []float64, reports int, seed uint64) []float64 {
	t.Helper()
	wave, err := squarewave.New(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	tally, err := wave.NewTally(len(shares))
	if err != nil {
		t.Fatal(err)
	}
	draw, source := rand.New(rand.NewPCG(seed, 4)), privacy.NewSeeded(seed)
	for range reports {
		bin, rest := 0, draw.Float64()
		for ; bin < len(shares)-1 && rest >= shares[bin]; bin++ {
			rest -= shares[bin]
		}
		level := (float64(bin) + draw.Float64()) / float64(len(shares)) * squarewave.Levels
		code, err := wave.Randomise(uint32(level), source)
		if err != nil || tally.Add(code, 1) != nil {
			t.Fatal(err)
		}
	}
	shape, err := tally.Shape(squarewave.Penalised)
	if err != nil {
		t.Fatal(err)
	}
	return shape.Share
}
