package reanalysis_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"

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
		held := func(m map[int64]bool) float64 {
			n := 0
			for _, bad := range m {
				if !bad {
					n++
				}
			}
			return float64(n) / windows
		}
		t.Logf("%s: %d early looks hold together in %.1f %%, as single ones in %.1f %%; the exact answer in %.1f %%", c.name, looks,
			100*held(missed), 100*held(alone), 100*float64(exact)/windows)
		if held(missed) < 0.927 || held(alone) > 0.927 || looks < 3 {
			t.Errorf("%s: %d early looks hold together in %.1f %%, as single ones in %.1f %%", c.name, looks, 100*held(missed), 100*held(alone))
		}
	}
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
