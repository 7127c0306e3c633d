package reanalysis_test

import (
	"context"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/reanalysis"
	"github.com/quadrat-dev/quadrat/query/script"
)

const minuteMs = 60_000

// row is the columns of a stored report that are read.
type row struct {
	WindowStart   int64    `parquet:"window_start,timestamp(millisecond)"`
	Statistic     string   `parquet:"statistic,dict"`
	Stratum       string   `parquet:"stratum,dict"`
	Cell          string   `parquet:"cell,dict"`
	Score         *float64 `parquet:"score,optional"`
	NoiseVariance *float64 `parquet:"noise_variance,optional,dict"`
}

// files is an archive of one Parquet file.
type files struct {
	path   string
	strata []reanalysis.Stratum
}

func (f files) ReportFiles(context.Context, string, time.Time, time.Time) ([]tabular.File, func(), error) {
	opened, err := tabular.AtPaths(f.path)
	return opened, func() {}, err
}

func (f files) Strata(context.Context, string, time.Time, time.Time) iter.Seq2[reanalysis.Stratum, error] {
	return func(yield func(reanalysis.Stratum, error) bool) {
		for _, s := range f.strata {
			if !yield(s, nil) {
				return
			}
		}
	}
}

func record(rotation string) *quadratv1.KappaRecord {
	return &quadratv1.KappaRecord{
		Kappa: &quadratv1.Kappa{Ref: "k1", Name: "indoor"},
		Revisions: []*quadratv1.PlanRevision{{
			Device: &quadratv1.DevicePlan{
				Ref: "k1", WindowMs: minuteMs, Confidence: 0.95, StratifiedBy: []string{"region"}, GroupBy: []string{"cooling"},
				Strata: []*quadratv1.StratumPlan{
					{Name: "north", Members: []*quadratv1.AttributeValues{{Values: []string{"north"}}}},
					{Name: "south", Members: []*quadratv1.AttributeValues{{Values: []string{"south"}}}},
				},
				Statistics: []*quadratv1.StatisticPlan{{Name: "mean(temperature)", Kind: "mean", Reading: "temperature", Summary: "avg"}},
			},
			Plan: &quadratv1.Plan{Rotation: rotation},
		}},
	}
}

// fleet is devices whose readings stay, in two strata, that take turns over a lap.
type fleet struct {
	readings [2][]float64
	lap      int
	noise    float64
}

func newFleet(rng *rand.Rand) *fleet {
	f := &fleet{lap: 8, noise: 4}
	for h, n := range []int{240, 160} {
		for range n {
			f.readings[h] = append(f.readings[h], 20+3*float64(h)+2*rng.NormFloat64())
		}
	}
	return f
}

func (f *fleet) mean() float64 {
	sum, n := 0.0, 0
	for _, of := range f.readings {
		for _, x := range of {
			sum, n = sum+x, n+1
		}
	}
	return sum / float64(n)
}

// report writes the reports of some windows, devices in a new random order in each lap-long turn.
func (f *fleet) report(t *testing.T, rng *rand.Rand, path string, windows int) files {
	t.Helper()
	out := files{path: path}
	var rows []row
	names, order := []string{"north", "south"}, [2][]int{rng.Perm(len(f.readings[0])), rng.Perm(len(f.readings[1]))}
	for w := range windows {
		for h, of := range f.readings {
			from, to := len(of)*(w%f.lap)/f.lap, len(of)*(w%f.lap+1)/f.lap
			for _, i := range order[h][from:to] {
				score, variance := of[i]+math.Sqrt(f.noise)*rng.NormFloat64(), f.noise
				cell := `{"cooling":"no"}`
				if i%3 == 0 {
					cell = `{"cooling":"yes"}`
				}
				rows = append(rows, row{
					WindowStart: int64(w) * minuteMs, Statistic: "mean(temperature)", Stratum: names[h], Cell: cell, Score: &score, NoiseVariance: &variance,
				})
			}
			out.strata = append(out.strata, reanalysis.Stratum{
				WindowStartMs: int64(w) * minuteMs, Statistic: "mean(temperature)", Stratum: names[h], Population: int64(len(of)), Panel: int64(to - from),
			})
		}
	}
	if err := parquet.WriteFile(path, rows); err != nil {
		t.Fatal(err)
	}
	return out
}

func ask(t *testing.T, a reanalysis.Archive, question string) *reanalysis.Answered {
	t.Helper()
	q, err := script.ParseStored(question)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := reanalysis.Answer(t.Context(), a, record("rotating"), q, reanalysis.Config{Now: time.UnixMilli(100 * minuteMs)})
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestLongerWindowsCover counts how often the interval of five windows of a lap of eight, and of twelve, which are a lap and a half,
// holds the truth. Panels of one lap are disjoint, which the interval doesn't use: it must not be too short. With 500 repetitions
// fewer than 0.95 − 4.9·√(0.95·0.05/500) = 0.902 come once in a million runs.
func TestLongerWindowsCover(t *testing.T) {
	const repetitions, floor = 500, 0.902
	for _, windows := range []int{5, 12} {
		rng := rand.New(rand.NewPCG(5, uint64(windows)))
		f, dir, held := newFleet(rng), t.TempDir(), 0
		for range repetitions {
			r := ask(t, f.report(t, rng, filepath.Join(dir, "reports.parquet"), windows), "SELECT mean(temperature) FROM kappa.indoor").Results[0]
			if r.GetCiLow() <= f.mean() && f.mean() <= r.GetCiHigh() {
				held++
			}
		}
		if share := float64(held) / repetitions; share < floor {
			t.Errorf("%d windows: %.1f %% of the intervals hold the truth", windows, 100*share)
		}
	}
}

// TestSpanAndCells holds what a question reads and how it parts it against a plain sum over the rows.
func TestSpanAndCells(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	f := newFleet(rng)
	a := f.report(t, rng, filepath.Join(t.TempDir(), "reports.parquet"), 8)
	rows, err := parquet.ReadFile[row](a.path)
	if err != nil {
		t.Fatal(err)
	}
	answer := ask(t, a, "SELECT mean(temperature) FROM kappa.indoor WHERE cooling = 'yes' GROUP BY region WINDOW 4m SINCE '1970-01-01T00:02:00Z' UNTIL '1970-01-01T00:07:00Z'")
	if answer.Windows != 5 || len(answer.Results) != 2*3 {
		t.Fatalf("%d windows, %d results", answer.Windows, len(answer.Results))
	}
	for _, r := range answer.Results {
		from, to := max(2*minuteMs, r.GetWindowStart().AsTime().UnixMilli()), min(7*minuteMs, r.GetWindowEnd().AsTime().UnixMilli())
		var n uint32
		var weights, sum float64 // all strata of a window have one weight here: panels are proportional
		for _, x := range rows {
			region := r.GetCell()["region"]
			if x.WindowStart < from || x.WindowStart >= to || x.Cell != `{"cooling":"yes"}` || region != "" && x.Stratum != region {
				continue
			}
			n++
			weights, sum = weights+1, sum+*x.Score
		}
		if r.GetReports() != n || n == 0 || math.Abs(r.GetValue()-sum/weights) > 1e-9 {
			t.Errorf("%v %v: %d reports, mean %g; the rows have %d, %g", r.GetWindowStart().AsTime(), r.GetCell(), r.GetReports(), r.GetValue(), n, sum/weights)
		}
	}
	cells := []string{answer.Results[0].GetCell()["region"], answer.Results[1].GetCell()["region"], answer.Results[2].GetCell()["region"]}
	if !slices.Equal(cells, []string{"", "north", "south"}) {
		t.Errorf("cells %q", cells)
	}
}

// TestTotalsAreOfOneWindow says that a total over several windows is the mean of the windows'.
func TestTotalsAreOfOneWindow(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	a := newFleet(rng).report(t, rng, filepath.Join(t.TempDir(), "reports.parquet"), 8)
	r := ask(t, a, "SELECT total(temperature), mean(temperature) FROM kappa.indoor").Results
	if ratio := r[0].GetValue() / r[1].GetValue(); math.Abs(ratio-400) > 1e-6 {
		t.Errorf("a total of %g times the mean, of 400 devices", ratio)
	}
	if r[0].GetPopulation() != 400 {
		t.Errorf("a population of %d", r[0].GetPopulation())
	}
}

// TestRefusals asks what can't be answered and looks at what is said.
func TestRefusals(t *testing.T) {
	categories := func(k uint32, kind string) *quadratv1.StatisticPlan {
		return &quadratv1.StatisticPlan{
			Name: "x", Kind: kind, Reading: "temperature", Summary: "avg", Categories: k, Mechanism: "none", HiMicro: 40e6,
		}
	}
	for want, c := range map[string]struct {
		question string
		change   func(*quadratv1.PlanRevision)
	}{
		"up to 53 can be asked again": {"SELECT histogram(temperature, 60) FROM kappa.indoor", func(r *quadratv1.PlanRevision) {
			r.Device.Statistics = append(r.Device.Statistics, categories(60, "histogram"))
		}},
		"no reports that answer histogram(temperature, 9)": {"SELECT histogram(temperature, 9) FROM kappa.indoor", func(r *quadratv1.PlanRevision) {
			r.Device.Statistics = append(r.Device.Statistics, categories(8, "histogram"))
		}},
		"no reports that answer distribution(temperature, 12)": {"SELECT distribution(temperature, 12) FROM kappa.indoor", func(r *quadratv1.PlanRevision) {
			r.Device.Statistics = append(r.Device.Statistics, categories(16, "distribution"))
		}},
		"no reports that answer ratio(temperature, humidity)": {"SELECT ratio(temperature, humidity) FROM kappa.indoor", func(*quadratv1.PlanRevision) {}},
		"no reports that answer variance(temperature)":        {"SELECT variance(temperature) FROM kappa.indoor", func(*quadratv1.PlanRevision) {}},
	} {
		q, err := script.ParseStored(c.question)
		if err != nil {
			t.Fatal(err)
		}
		of := record("rotating")
		c.change(of.Revisions[0])
		_, err = reanalysis.Answer(t.Context(), files{}, of, q, reanalysis.Config{})
		var refused *script.Error
		if !errors.As(err, &refused) || refused.Line != 1 || !strings.Contains(refused.Message, want) {
			t.Errorf("%s: %v, want %q", c.question, err, want)
		}
	}
}

// TestDamagedFileIsAnError reads a file that is no Parquet.
func TestDamagedFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reports.parquet")
	if err := os.WriteFile(path, []byte("PAR1 not really PAR1"), 0o600); err != nil {
		t.Fatal(err)
	}
	q, err := script.ParseStored("SELECT mean(temperature) FROM kappa.indoor")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := reanalysis.Answer(t.Context(), files{path: path}, record("rotating"), q, reanalysis.Config{}); err == nil {
		t.Error("a damaged file was read")
	}
}
