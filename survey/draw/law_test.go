package draw

import (
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// Bounded integers by remainder favour small ones: with 3·2^61 units the lower third would hold half the draws.
func TestBoundedIntegersAreUnbiased(t *testing.T) {
	const draws, population = 20_000, 3 << 61
	src := rand.NewPCG(6, 6)
	low := 0
	for range draws {
		s, err := SRS(src, population, 1)
		if err != nil {
			t.Fatal(err)
		}
		if s.Units[0] < population/3 {
			low++
		}
	}
	if math.Abs(float64(low)/draws-1./3) > limit(1)*math.Sqrt(2./9/draws) {
		t.Errorf("the lower third was drawn %d times of %d", low, draws)
	}
}

// The same source gives the same sample, at every call and for every design: nothing walks a map.
func TestSameSourceSameSample(t *testing.T) {
	for _, d := range designs(t) {
		var first Sample
		for turn := range 20 {
			s, err := d.draw(rand.New(rand.NewPCG(1, 9)))
			if err != nil {
				t.Fatal(err)
			}
			if turn == 0 {
				first = s
			}
			if !reflect.DeepEqual(s, first) {
				t.Fatalf("%s: %+v, then %+v", d.name, first, s)
			}
		}
	}
}

// Nothing depends on the order of the frame: probabilities, joint probabilities and samples from permanent random numbers
// move with the units.
func TestOrderOfTheFrameDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		shuffled := r.Perm(units)
		numbers := numbersOf(r, units)
		pi, err := Proportional(frameSizes, 5)
		if err != nil {
			t.Fatal(err)
		}
		moved, err := Proportional(pick(frameSizes, shuffled), 5)
		if err != nil {
			t.Fatal(err)
		}
		own := make([]panel.Number, units)
		joint, err1 := SampfordJoint(pi)
		movedJoint, err2 := SampfordJoint(moved)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		for i, k := range shuffled {
			own[i] = numbers[k]
			for j, l := range shuffled {
				if math.Abs(movedJoint[i][j]-joint[k][l]) > 1e-12 {
					t.Fatalf("joint probability of %d and %d: %g, then %g", k, l, joint[k][l], movedJoint[i][j])
				}
			}
		}
		before, err1 := Pareto(numbers, pi)
		after, err2 := Pareto(own, moved)
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		var back []int
		for _, i := range after.Units {
			back = append(back, shuffled[i])
		}
		slices.Sort(back)
		if !slices.Equal(back, before.Units) {
			t.Fatalf("%v, then %v", before.Units, back)
		}
	})
}

// A sample with a hundred more or fewer units from the same numbers keeps all that it can.
func TestOrderedSamplesAreNested(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 7))
	sizes := make([]float64, 2000)
	for k := range sizes {
		sizes[k] = math.Exp(r.NormFloat64())
	}
	numbers := numbersOf(r, len(sizes))
	var before []int
	for _, n := range []int{100, 200, 300} {
		pi, err := Proportional(sizes, n)
		if err != nil {
			t.Fatal(err)
		}
		s, err := SequentialPoisson(numbers, pi)
		if err != nil {
			t.Fatal(err)
		}
		kept := 0
		for _, k := range before {
			if _, ok := slices.BinarySearch(s.Units, k); ok {
				kept++
			}
		}
		if kept < len(before)*97/100 {
			t.Errorf("of %d units %d stay among %d", len(before), kept, n)
		}
		before = s.Units
	}
}

// Sampford's own procedure would need more than e^150 attempts here; the exact walk needs one. Another implementation fell back
// on equal probabilities without a word where rejection didn't end.
func TestSampfordAlwaysEnds(t *testing.T) {
	sizes := make([]float64, 1000)
	for k := range sizes {
		sizes[k] = 1 + float64(k%7)
	}
	pi, err := Proportional(sizes, 500)
	if err != nil {
		t.Fatal(err)
	}
	const draws = 40
	src := rand.NewPCG(3, 3)
	share := make([]float64, 7)
	for range draws {
		s, err := Sampford(src, pi)
		if err != nil || len(s.Units) != 500 {
			t.Fatal(len(s.Units), err)
		}
		for _, k := range s.Units {
			share[k%7]++
		}
	}
	for class, got := range share {
		count, p := 0., pi[class]
		for k := range sizes {
			if k%7 == class {
				count++
			}
		}
		// Draws without replacement of fixed size vary less than independent ones.
		if mean, sd := count*draws*p, math.Sqrt(count*draws*p*(1-p)); math.Abs(got-mean) > limit(7)*sd {
			t.Errorf("class %d was drawn %g times, want %g ± %g", class, got, mean, sd)
		}
	}
}

// Large and nearly certain probabilities: the joint ones still add up.
func TestJointStaysExactInLargeFrames(t *testing.T) {
	sizes := make([]float64, 160)
	for k := range sizes {
		sizes[k] = math.Exp(float64(k%40) / 8)
	}
	for _, n := range []int{2, 20, 80, 150} {
		pi, err := Proportional(sizes, n)
		if err != nil {
			t.Fatal(err)
		}
		for name, f := range map[string]func([]float64) ([][]float64, error){"Sampford": SampfordJoint, "maximum entropy": MaxEntropyJoint} {
			joint, err := f(pi)
			if err != nil {
				t.Fatalf("%s, %d: %v", name, n, err)
			}
			for k, row := range joint {
				sum := 0.0
				for l, p := range row {
					sum += p
					if !(p >= 0) || l != k && p > pi[k]*pi[l]*(1+1e-9) {
						t.Fatalf("%s, %d: π of %d and %d is %g", name, n, k, l, p)
					}
				}
				if math.Abs(sum/(float64(n)*pi[k])-1) > 1e-9 {
					t.Fatalf("%s, %d: row %d adds up to %g, want %g", name, n, k, sum, float64(n)*pi[k])
				}
			}
		}
	}
}

func TestProportionalKeepsItsLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sizes := rapid.SliceOfN(rapid.OneOf(rapid.Just(0.0), rapid.Float64Range(1e-3, 1e6), rapid.Just(1e-300), rapid.Just(1e308)), 1, 30).
			Draw(t, "sizes")
		n := rapid.IntRange(1, len(sizes)).Draw(t, "n")
		pi, err := Proportional(sizes, n)
		if err != nil {
			if survey.CodeOf(err) != survey.Infeasible {
				t.Fatal(err)
			}
			return
		}
		sum := 0.0
		for k, p := range pi {
			sum += p
			if !(p >= 0 && p <= 1) {
				t.Fatalf("unit %d: %g", k, p)
			}
			for l := range k {
				if sizes[l] > sizes[k] && pi[l] < p || sizes[l] == sizes[k] && pi[l] != p {
					t.Fatalf("units %d and %d: sizes %g and %g have %g and %g", l, k, sizes[l], sizes[k], pi[l], p)
				}
			}
		}
		if math.Abs(sum-float64(n)) > 1e-9*float64(n) {
			t.Fatalf("adds up to %g, want %d", sum, n)
		}
	})
}

func TestRefusals(t *testing.T) {
	src := rand.NewPCG(1, 1)
	nan := math.NaN()
	order := identity(4)
	cases := map[string]struct {
		code survey.Code
		err  error
	}{}
	note := func(name string, code survey.Code, err error) {
		cases[name] = struct {
			code survey.Code
			err  error
		}{code, err}
	}
	only := func(_ Sample, err error) error { return err }
	note("no units", survey.Invalid, only(SRS(src, 0, 1)))
	note("too many", survey.Infeasible, only(SRS(src, 3, 4)))
	note("no probability", survey.Invalid, only(Bernoulli(src, 3, 0)))
	note("NaN probability", survey.Invalid, only(Poisson(src, []float64{nan})))
	note("probability above 1", survey.Invalid, only(Poisson(src, []float64{1.1})))
	note("empty frame", survey.Invalid, only(Poisson(src, nil)))
	note("no whole size", survey.Invalid, only(Sampford(src, []float64{0.5, 0.6})))
	note("no whole size for Pareto", survey.Invalid, only(Pareto(numbersOf(rand.New(src), 2), []float64{0.5, 0.6})))
	note("numbers are missing", survey.Invalid, only(Pareto(numbersOf(rand.New(src), 1), []float64{0.5, 0.5})))
	note("size zero", survey.Invalid, only(MaxEntropy(src, []float64{0, 0})))
	note("unit twice in the order", survey.Invalid, only(Systematic(src, []int{0, 0}, 1)))
	note("unit beyond the order", survey.Invalid, only(SystematicProportional(src, []float64{1, 0}, []int{0, 2})))
	note("long interval", survey.Infeasible, only(SystematicStarts(src, order, 5, 1)))
	note("many starts", survey.Infeasible, only(SystematicStarts(src, order, 2, 3)))
	note("stratum without sample", survey.Invalid, only(Stratified(src, []int{0, 1}, []int{1, 0})))
	note("stratum unknown", survey.Invalid, only(Stratified(src, []int{0, 2}, []int{1, 1})))
	note("stratum too small", survey.Infeasible, only(Stratified(src, []int{0, 1}, []int{1, 2})))
	note("empty cluster", survey.Invalid, only(OneStage(src, []int{0, 2, 2}, 1)))
	note("clusters too many", survey.Infeasible, only(OneStage(src, []int{0, 1}, 3)))
	note("cluster number too large", survey.Invalid, only(OneStage(src, []int{0, math.MaxInt - 1}, 1)))
	note("cluster too small", survey.Infeasible, only(TwoStage(src, []int{0, 1}, 1, []int{1, 2})))
	note("second stage missing", survey.Invalid, only(TwoStage(src, []int{0, 1}, 1, nil)))
	note("negative group", survey.Invalid, only(OneStage(src, []int{0, -1}, 1)))
	for name, sizes := range map[string][]float64{"negative size": {1, -1}, "NaN size": {1, nan}, "infinite size": {1, math.Inf(1)}} {
		_, err := Proportional(sizes, 1)
		note(name, survey.Invalid, err)
	}
	_, err := Proportional([]float64{1, 0, 0}, 2)
	note("sizes of zero", survey.Infeasible, err)
	_, err = SuccessiveDifferences([]float64{1, nan}, 3)
	note("NaN value", survey.Invalid, err)
	_, _, err = SeveralStarts([]float64{1}, 3)
	note("one start", survey.Invalid, err)
	_, err = ByKey([]float64{nan})
	note("NaN key", survey.Invalid, err)
	note("frame beyond memory", survey.Infeasible, only(Sampford(src, half(20_000))))
	for name, c := range cases {
		if survey.CodeOf(c.err) != c.code {
			t.Errorf("%s: %v", name, c.err)
		}
	}
}

func half(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 0.5
	}
	return out
}
