package reanalysis_test

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/reanalysis"
	"github.com/quadrat-dev/quadrat/query/script"
)

func watch(t *testing.T, a reanalysis.Archive, question string, tell func(*reanalysis.Answered) error) error {
	t.Helper()
	q, err := script.ParseStored(question)
	if err != nil {
		t.Fatal(err)
	}
	return reanalysis.Watch(t.Context(), a, record("rotating"), q, reanalysis.Config{Now: time.UnixMilli(100 * minuteMs)}, tell)
}

// TestEarlyAnswersHoldTogether asks 2,000 windows at once, each of which is a repetition of its own, and counts in how many all early
// intervals hold the truth. If that were 95 %, fewer than 0.95 − 4.75·√(0.95·0.05/2000) = 0.927 would come once in a million runs.
// Intervals of a single look, each right for itself, must fail it, else nothing is tested.
func TestEarlyAnswersHoldTogether(t *testing.T) {
	const windows = 2000
	for _, c := range []struct {
		name    string
		noise   float64
		answers float64
		all     bool // the whole frame is due
	}{{"a share of the frame, noise, a fifth silent", 4, 0.8, false}, {"the whole frame, no noise", 0, 1, true}} {
		rng := rand.New(rand.NewPCG(17, 3))
		d := newDrawn(rng, windows)
		d.noise, d.answers = c.noise, c.answers
		if c.all {
			d.panels = [2]int{600, 400}
		}
		truth, looks := d.mean(), 0
		missed, alone, exact := map[int64]bool{}, map[int64]bool{}, 0
		files := d.write(t, rng)
		err := watch(t, files, "SELECT mean(temperature) FROM kappa.indoor WINDOW 1m", func(a *reanalysis.Answered) error {
			for _, r := range a.Results {
				start, half := r.GetWindowStart().AsTime().UnixMilli(), (r.GetCiHigh()-r.GetCiLow())/2
				off := math.Abs(r.GetValue() - truth)
				if r.GetConfidence() != 0.95 {
					t.Fatalf("a confidence of %g", r.GetConfidence())
				}
				switch {
				case a.Early:
					missed[start] = missed[start] || off > half
					alone[start] = alone[start] || off > 1.97*r.GetStdError()
				case off <= half+1e-9:
					exact++
				}
			}
			if a.Early {
				looks++
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		held := func(m map[int64]bool) float64 { return heldOf(m, windows) }
		t.Logf("%s: %d early looks hold together in %.1f %%, as single ones in %.1f %%; the exact answer in %.1f %%", c.name, looks,
			100*held(missed), 100*held(alone), 100*float64(exact)/windows)
		if held(missed) < 0.927 || held(alone) > 0.927 || looks < 3 {
			t.Errorf("%s: %d early looks hold together in %.1f %%, as single ones in %.1f %%", c.name, looks, 100*held(missed), 100*held(alone))
		}
	}
}

// TestEarlyIntervalsOfSharesHoldTogether is the same of a proportion, whose interval is a score interval, and of a median, whose interval
// inverts a test. Both are answered with noise, a fifth of the devices is silent.
func TestEarlyIntervalsOfSharesHoldTogether(t *testing.T) {
	const windows, warm, bins = 2000, 22, 10
	rng := rand.New(rand.NewPCG(18, 3))
	d := newDrawn(rng, windows)
	bit := func(x float64) float64 {
		if x > warm {
			return 1
		}
		return 0
	}
	share, below := 0.0, make([]float64, bins) // of the population, in each bin
	bounds := privacy.Bounds{Lo: 10e6, Hi: 36e6}
	binOf := func(x float64) uint32 {
		return bounds.Bin(privacy.Micro(1e6*min(max(x, 10), 36)), bins)
	}
	for _, of := range d.readings {
		for _, x := range of {
			share += bit(x) / 1000
			below[binOf(x)] += 1.0 / 1000
		}
	}
	set, err := mechanisms.InReport("subset", mechanisms.Price{Report: 3e6}, bins)
	if err != nil {
		t.Fatal(err)
	}
	source := privacy.NewSeeded(4)
	for _, c := range []struct {
		name  string
		truth float64
		plan  *quadratv1.StatisticPlan
		say   func(x float64) (score *float64, answer *uint64)
	}{
		{
			name: "proportion(temperature > 22)", truth: share,
			plan: &quadratv1.StatisticPlan{
				Kind: "proportion", Reading: "temperature", Summary: "avg", Comparison: ">", ThresholdMicro: warm * 1e6, Mechanism: "warner",
			},
			say: func(x float64) (*float64, *uint64) { // true with probability 0.8
				said := bit(x)
				if rng.Float64() < 0.2 {
					said = 1 - said
				}
				return new((said - 0.2) / 0.6), nil
			},
		},
		{
			name: "median(temperature)", truth: interpolated(below, 10, 36, 0.5),
			plan: &quadratv1.StatisticPlan{
				Kind: "quantile", ShareMicro: 5e5, Reading: "temperature", Summary: "avg", Categories: bins, LoMicro: 10e6, HiMicro: 36e6, Mechanism: "subset",
			},
			say: func(x float64) (*float64, *uint64) {
				report, err := set.Randomise(binOf(x), source, make([]byte, 0, 8))
				if err != nil {
					t.Fatal(err)
				}
				var whole [8]byte
				copy(whole[:], report)
				supported, err := set.Supported(whole[:set.Bytes()], nil)
				if err != nil {
					t.Fatal(err)
				}
				answer := uint64(0)
				for _, v := range supported {
					answer |= 1 << v
				}
				return nil, &answer
			},
		},
	} {
		name := c.name
		c.plan.Name = name
		plan := record("rotating")
		plan.Revisions[0].Device.Statistics, plan.Revisions[0].Device.EpsilonMicro = []*quadratv1.StatisticPlan{c.plan}, 3e6
		q, err := script.ParseStored("SELECT " + name + " FROM kappa.indoor WINDOW 1m")
		if err != nil {
			t.Fatal(err)
		}
		looks, missed, alone := 0, map[int64]bool{}, map[int64]bool{}
		err = reanalysis.Watch(t.Context(), d.told(t, rng, name, c.say), plan, q, reanalysis.Config{Now: time.UnixMilli(100 * minuteMs)}, func(a *reanalysis.Answered) error {
			if !a.Early {
				return nil
			}
			looks++
			for _, r := range a.Results {
				start := r.GetWindowStart().AsTime().UnixMilli()
				missed[start] = missed[start] || r.CiLow == nil || r.GetCiLow() > c.truth || r.GetCiHigh() < c.truth
				alone[start] = alone[start] || math.Abs(r.GetValue()-c.truth) > 1.97*r.GetStdError()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d early looks hold together in %.1f %%, as single ones in %.1f %%", name, looks, 100*heldOf(missed, windows), 100*heldOf(alone, windows))
		// Intervals that were each right for themselves alone would not hold together, or nothing is tested.
		if heldOf(missed, windows) < 0.927 || heldOf(alone, windows) > 0.94 || looks < 3 {
			t.Errorf("%s: %d early looks hold together in %.1f %%, as single ones in %.1f %%", name, looks, 100*heldOf(missed, windows), 100*heldOf(alone, windows))
		}
	}
}

// heldOf is the share of windows in which nothing was missed.
func heldOf(missed map[int64]bool, windows int) float64 {
	n := 0
	for _, bad := range missed {
		if !bad {
			n++
		}
	}
	return float64(n) / float64(windows)
}

// interpolated is the quantile of a population whose shares in bins of equal width are known, a straight line within each.
func interpolated(shares []float64, lo, hi, p float64) float64 {
	width, sum := (hi-lo)/float64(len(shares)), 0.0
	for i, s := range shares {
		if sum+s >= p {
			return lo + width*(float64(i)+(p-sum)/s)
		}
		sum += s
	}
	return hi
}

// told writes reports of another statistic, each what say makes of a reading.
func (d *drawn) told(t *testing.T, rng *rand.Rand, statistic string, say func(float64) (*float64, *uint64)) files {
	t.Helper()
	var out files
	var rows []told
	noise := 0.8 * 0.2 / (0.6 * 0.6)
	names := []string{"north", "south"}
	for w := range d.windows {
		from := len(rows)
		for h, of := range d.readings {
			for _, i := range rng.Perm(len(of))[:d.panels[h]] {
				if rng.Float64() >= d.answers {
					continue
				}
				r := told{row: row{WindowStart: int64(w) * minuteMs, Statistic: statistic, Stratum: names[h], Cell: "{}"}, Random: rng.Float64()}
				if r.Score, r.Answer = say(of[i]); r.Score != nil {
					r.NoiseVariance = &noise
				}
				rows = append(rows, r)
			}
			out.strata = append(out.strata, reanalysis.Stratum{
				WindowStartMs: int64(w) * minuteMs, Statistic: statistic, Stratum: names[h], Population: int64(len(of)), Panel: int64(d.panels[h]),
			})
		}
		slices.SortFunc(rows[from:], func(a, b told) int { return cmp.Compare(a.Random, b.Random) })
	}
	out.path = filepath.Join(t.TempDir(), "told.parquet")
	if err := parquet.WriteFile(out.path, rows, parquet.MaxRowsPerRowGroup(20_000)); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestEarlyAnswersEndExactly holds the last answer against the one that is asked for at once; what is read grows, and intervals shrink.
func TestEarlyAnswersEndExactly(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a := newDrawn(rng, 50).write(t, rng)
	const question = "SELECT mean(temperature), total(temperature) FROM kappa.indoor GROUP BY region"
	want := ask(t, a, question)
	var got []*reanalysis.Answered
	if err := watch(t, a, question, func(a *reanalysis.Answered) error { got = append(got, a); return nil }); err != nil {
		t.Fatal(err)
	}
	last := got[len(got)-1]
	if len(got) < 3 || last.Early || last.Share != 1 || len(last.Results) != len(want.Results) {
		t.Fatalf("%d answers, the last of %g with %d results", len(got), last.Share, len(last.Results))
	}
	for i, r := range last.Results {
		w := want.Results[i]
		if math.Abs(r.GetValue()-w.GetValue()) > 1e-9*math.Abs(w.GetValue()) || math.Abs(r.GetCiLow()-w.GetCiLow()) > 1e-9*math.Abs(w.GetCiLow()) ||
			r.GetReports() != w.GetReports() || r.GetResponseRate() != w.GetResponseRate() {
			t.Errorf("%v: %g from %g with %d reports, want %g from %g with %d", r.GetCell(), r.GetValue(), r.GetCiLow(), r.GetReports(), w.GetValue(),
				w.GetCiLow(), w.GetReports())
		}
	}
	width := math.Inf(1)
	for i, answer := range got {
		r := answer.Results[0]
		if w := r.GetCiHigh() - r.GetCiLow(); w >= width {
			t.Errorf("answer %d has an interval of %g, the one before of %g", i, w, width)
		} else {
			width = w
		}
		if i > 0 && (answer.Share <= got[i-1].Share || answer.Rows < got[i-1].Rows || !got[i-1].Early) {
			t.Errorf("answer %d of %g of the reports follows one of %g", i, answer.Share, got[i-1].Share)
		}
	}
}

// TestEarlyAnswersStop ends when the one who is told says so.
func TestEarlyAnswersStop(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a := newDrawn(rng, 50).write(t, rng)
	enough, told := errors.New("enough"), 0
	err := watch(t, a, "SELECT mean(temperature) FROM kappa.indoor", func(*reanalysis.Answered) error { told++; return enough })
	if !errors.Is(err, enough) || told != 1 {
		t.Errorf("%d answers, %v", told, err)
	}
}
