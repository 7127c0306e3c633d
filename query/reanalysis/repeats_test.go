package reanalysis_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/reanalysis"
	"github.com/quadrat-dev/quadrat/query/script"
)

// told is a row of a device that answers again and again, or of a cluster.
type told struct {
	row

	Device            string  `parquet:"device"`
	Random            float64 `parquet:"random,split"`
	Answer            *uint64 `parquet:"answer,optional"`
	Cluster           string  `parquet:"cluster,dict"`
	ClusterPopulation *int64  `parquet:"cluster_population,optional"`
	StratumClusters   *int64  `parquet:"stratum_clusters,optional"`
}

// repeated writes what repetitions of so many windows each told, and a record of who was asked when.
type repeated struct {
	windows int // of a repetition
	rows    []told
	strata  []reanalysis.Stratum
}

func (r *repeated) stratum(repetition, window int, s reanalysis.Stratum) int64 {
	s.WindowStartMs = int64(repetition*r.windows+window) * minuteMs
	s.Stratum = "north"
	r.strata = append(r.strata, s)
	return s.WindowStartMs
}

func (r *repeated) write(t *testing.T) files {
	t.Helper()
	path := filepath.Join(t.TempDir(), "reports.parquet")
	if err := parquet.WriteFile(path, r.rows); err != nil {
		t.Fatal(err)
	}
	return files{path: path, strata: r.strata}
}

// askOf asks a question about repetitions, each of which is an asked window.
func askOf(t *testing.T, a reanalysis.Archive, record *quadratv1.KappaRecord, question string) (*reanalysis.Answered, error) {
	t.Helper()
	return askWith(t, a, record, question, reanalysis.Config{Now: time.UnixMilli(100 * minuteMs)})
}

func askWith(t *testing.T, a reanalysis.Archive, record *quadratv1.KappaRecord, question string, config reanalysis.Config) (*reanalysis.Answered, error) {
	t.Helper()
	q, err := script.ParseStored(question)
	if err != nil {
		t.Fatal(err)
	}
	return reanalysis.Answer(t.Context(), a, record, q, config)
}

// of is a record of one statistic whose devices answer again after a lap.
func of(lap uint32, change func(*quadratv1.DevicePlan)) *quadratv1.KappaRecord {
	r := record("rotating")
	d := r.Revisions[0].Device
	d.LapWindows, d.GroupBy = lap, nil
	if lap == 1 {
		r.Revisions[0].Plan.Rotation = "fixed"
	}
	change(d)
	return r
}

// fixedRows are repetitions in each of which other devices of a population are asked in every window, whose readings hardly move. A fifth
// of the devices is silent, and a fifth of the answers of the others is lost.
func fixedRows(t *testing.T, rng *rand.Rand, repetitions, windows int) (files, float64) {
	t.Helper()
	const population, panel, noise = 400, 50, 1.0
	readings, mean := make([]float64, population), 0.0
	for i := range readings {
		readings[i] = 20 + 2*rng.NormFloat64()
		mean += readings[i] / population
	}
	out := repeated{windows: windows}
	for b := range repetitions {
		due := rng.Perm(population)[:panel]
		for w := range windows {
			start := out.stratum(b, w, reanalysis.Stratum{Statistic: "mean(temperature)", Population: population, Panel: panel})
			for at, i := range due {
				if at%5 == 0 || rng.Float64() < 0.2 {
					continue
				}
				score, variance := readings[i]+0.3*math.Sin(float64(i+w))+math.Sqrt(noise)*rng.NormFloat64(), noise
				out.rows = append(out.rows, told{
					row: row{
						WindowStart: start, Statistic: "mean(temperature)", Stratum: "north", Cell: "{}", Score: &score, NoiseVariance: &variance,
					}, Device: fmt.Sprintf("%016x", i), Random: rng.Float64(),
				})
			}
		}
	}
	wiggle := 0.0
	for i := range readings {
		for w := range windows {
			wiggle += 0.3 * math.Sin(float64(i+w)) / float64(population*windows)
		}
	}
	return out.write(t), mean + wiggle
}

// within tells whether a share of so many repetitions can be of intervals at 95 %: the bounds are 4.9 standard errors away, which one
// in a million runs leaves, and half a percent more for what is asymptotic.
func within(share float64, repetitions int) bool {
	far := 4.9*math.Sqrt(0.95*0.05/float64(repetitions)) + 0.005
	return share > 0.95-far && share < 0.95+far
}

// TestFixedPanelsAreOneSample takes windows together in which the same devices answer. Were their answers independent the interval would
// hold the truth far too rarely; so it does of a part of the reports.
func TestFixedPanelsAreOneSample(t *testing.T) {
	const repetitions, windows = 1500, 6
	rng := rand.New(rand.NewPCG(11, 1))
	a, truth := fixedRows(t, rng, repetitions, windows)
	fixed := of(1, func(*quadratv1.DevicePlan) {})
	for _, sample := range []string{"", " SAMPLE 60 PERCENT"} {
		question := fmt.Sprintf("SELECT mean(temperature) FROM kappa.indoor%s WINDOW %dm", sample, windows)
		answer, err := askOf(t, a, fixed, question)
		if err != nil {
			t.Fatal(err)
		}
		share := covered(answer, truth)
		t.Logf("%q: %.1f %%", sample, 100*share)
		if len(answer.Results) != repetitions || !within(share, repetitions) {
			t.Errorf("%q: of %d intervals %.1f %% hold the truth", sample, len(answer.Results), 100*share)
		}
		if w := answer.Results[0].GetWarnings(); len(w) > 0 {
			t.Errorf("%q", w)
		}
		apart, err := askOf(t, a, of(100, func(*quadratv1.DevicePlan) {}), question)
		if err != nil {
			t.Fatal(err)
		}
		if share := covered(apart, truth); share > 0.85 {
			t.Errorf("%q: taken as independent %.1f %% hold the truth, so that nothing is tested", sample, 100*share)
		}
	}
}

// permanentRows are repetitions in each of which other devices say their category in every window with one permanent answer.
func permanentRows(t *testing.T, rng *rand.Rand, repetitions, windows, population int, price mechanisms.Price) (files, float64) {
	t.Helper()
	const panel, k = 60, 3
	warm := population * 3 / 10 // of the first category
	set, err := mechanisms.InReport(memo.Name, price, k)
	if err != nil {
		t.Fatal(err)
	}
	mechanism := set.(*memo.Mechanism)
	out := repeated{windows: windows}
	var scratch []uint32
	for b := range repetitions {
		due, keys := rng.Perm(population)[:panel], make([]*privacy.Key, panel)
		for i := range keys {
			var secret [privacy.SecretBytes]byte
			for at := 0; at < len(secret); at += 8 {
				binary.LittleEndian.PutUint64(secret[at:], rng.Uint64())
			}
			keys[i] = privacy.NewKey(&secret)
		}
		for w := range windows {
			start := out.stratum(b, w, reanalysis.Stratum{Statistic: "frequency", Population: int64(population), Panel: panel})
			for at, i := range due {
				if population > panel && (at%6 == 0 || rng.Float64() < 0.1) {
					continue
				}
				category := uint32(0)
				if i >= warm {
					category = 1 + uint32(i%2)
				}
				report, err := mechanism.Answer(keys[at], "room", int64(w), category, nil)
				if err != nil {
					t.Fatal(err)
				}
				var whole [8]byte
				copy(whole[:], report)
				if scratch, err = mechanism.Supported(whole[:mechanism.Bytes()], scratch[:0]); err != nil {
					t.Fatal(err)
				}
				answer := uint64(0)
				for _, v := range scratch {
					answer |= 1 << v
				}
				out.rows = append(out.rows, told{
					row:    row{WindowStart: start, Statistic: "frequency", Stratum: "north", Cell: "{}"},
					Device: fmt.Sprintf("%016x", i), Random: rng.Float64(), Answer: &answer,
				})
			}
		}
	}
	return out.write(t), float64(warm) / float64(population)
}

// permanentPlan is a record of such a kappa.
func permanentPlan(lap uint32, price mechanisms.Price) *quadratv1.KappaRecord {
	return of(lap, func(d *quadratv1.DevicePlan) {
		d.EpsilonMicro, d.EpsilonValueMicro = uint64(price.Report), uint64(price.Value)
		d.Statistics = []*quadratv1.StatisticPlan{{
			Name: "frequency", Kind: "frequency", Reading: "temperature", Summary: "last", Categories: 3, Mechanism: memo.Name, HiMicro: 2e6,
		}}
	})
}

// TestPermanentNoiseIsBounded asks a census, whose variance is all noise: over four windows with one noise it is that of one window.
func TestPermanentNoiseIsBounded(t *testing.T) {
	const windows = 4
	price := mechanisms.Price{Report: 3e6, Value: 4e6}
	a, _ := permanentRows(t, rand.New(rand.NewPCG(16, 1)), 1, windows, 60, price)
	variance := func(minutes int) float64 {
		answer, err := askOf(t, a, permanentPlan(1, price), fmt.Sprintf("SELECT frequency(temperature) FROM kappa.indoor WINDOW %dm", minutes))
		if err != nil {
			t.Fatal(err)
		}
		sum, n := 0.0, 0.0
		for _, r := range answer.Results {
			if r.GetBin().GetIndex() == 0 {
				sum, n = sum+r.GetStdError()*r.GetStdError(), n+1
			}
		}
		return sum / n
	}
	if one, all := variance(1), variance(windows); one <= 0 || all < 0.9*one || all > 1.1*one {
		t.Errorf("a variance of %g over %d windows, of %g over one", all, windows, one)
	}
}

// under makes a second revision that is in force from a window on.
func under(record *quadratv1.KappaRecord, window int64, change func(*quadratv1.DevicePlan)) *quadratv1.KappaRecord {
	second := proto.CloneOf(record.Revisions[0])
	second.Device.Revision, second.Device.FromWindow = 2, window
	change(second.Device)
	record.Revisions = append(record.Revisions, second)
	return record
}

// TestPlansChangeWithinAWindow: that devices answer again is known by the plan of the windows in which they do, whatever the last plan says. Where
// what they say is put together by plan, so that the same device counts as two, the result tells of it.
func TestPlansChangeWithinAWindow(t *testing.T) {
	const windows = 6
	rows, _ := fixedRows(t, rand.New(rand.NewPCG(11, 1)), 1, windows)
	ask := func(a reanalysis.Archive, record *quadratv1.KappaRecord, statistic string) *quadratv1.Result {
		t.Helper()
		answer, err := askOf(t, a, record, fmt.Sprintf("SELECT %s(temperature) FROM kappa.indoor WINDOW %dm", statistic, windows))
		if err != nil {
			t.Fatal(err)
		}
		return answer.Results[0]
	}
	same := func(*quadratv1.DevicePlan) {}
	apart := ask(rows, of(100, same), "mean").GetStdError()
	last := ask(rows, under(of(1, same), windows-1, func(d *quadratv1.DevicePlan) { d.LapWindows = 100 }), "mean").GetStdError()
	if last < 1.2*apart {
		t.Errorf("a standard error of %g when the last plan asks nobody again, of %g when none does", last, apart)
	}
	price := mechanisms.Price{Report: 3e6, Value: 4e6}
	said, _ := permanentRows(t, rand.New(rand.NewPCG(16, 1)), 1, windows, 60, price)
	for plans, record := range map[int]*quadratv1.KappaRecord{1: permanentPlan(1, price), 2: under(permanentPlan(1, price), windows/2, same)} {
		warnings := ask(said, record, "frequency").GetWarnings()
		if warned := slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, "2 plans were in force") }); warned != (plans > 1) {
			t.Errorf("%d plans: %q", plans, warnings)
		}
	}
}

// TestSilentWindowsCount takes two windows together in the second of which one of two clusters says nothing: what it said in the first
// stands for both.
func TestSilentWindowsCount(t *testing.T) {
	out := repeated{windows: 2}
	for w := range 2 {
		start := out.stratum(0, w, reanalysis.Stratum{Statistic: "mean(temperature)", Population: 2, Panel: 2, Clusters: 2})
		for c := range 2 - w {
			score, variance := 10+10*float64(c), 0.0
			out.rows = append(out.rows, told{
				row:    row{WindowStart: start, Statistic: "mean(temperature)", Stratum: "north", Cell: "{}", Score: &score, NoiseVariance: &variance},
				Device: fmt.Sprintf("%016x", c), Cluster: fmt.Sprintf("home %d", c), ClusterPopulation: new(int64(1)), StratumClusters: new(int64(2)),
			})
		}
	}
	answer, err := askOf(t, out.write(t), of(1, func(d *quadratv1.DevicePlan) { d.ClusteredBy = "home" }),
		"SELECT mean(temperature), total(temperature) FROM kappa.indoor WINDOW 2m")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{15, 30} { // the total is of one window
		r := answer.Results[i]
		if math.Abs(r.GetValue()-want) > 1e-9 || r.GetReports() != 3 || r.GetPanel() != 4 || r.GetPopulation() != 2 || r.GetResponseRate() != 0.75 {
			t.Errorf("%s: %v", r.GetStatistic(), r)
		}
	}
}

// TestPermanentNoiseIsNotAveragedAway takes windows together in which devices give permanent answers, so that noise repeats.
func TestPermanentNoiseIsNotAveragedAway(t *testing.T) {
	const repetitions, windows = 1500, 4
	price := mechanisms.Price{Report: 3e6, Value: 4e6}
	rng := rand.New(rand.NewPCG(12, 1))
	a, truth := permanentRows(t, rng, repetitions, windows, 400, price)
	question := fmt.Sprintf("SELECT frequency(temperature) FROM kappa.indoor WINDOW %dm", windows)
	first := func(record *quadratv1.KappaRecord) float64 {
		answer, err := askOf(t, a, record, question)
		if err != nil {
			t.Fatal(err)
		}
		held, n := 0, 0
		for _, r := range answer.Results {
			if r.GetBin().GetIndex() == 0 {
				n++
				if r.CiLow != nil && r.GetCiLow() <= truth && truth <= r.GetCiHigh() {
					held++
				}
			}
		}
		if n != repetitions {
			t.Fatalf("%d answers", n)
		}
		return float64(held) / float64(n)
	}
	share := first(permanentPlan(1, price))
	t.Logf("%.1f %%", 100*share)
	if far := 4.9 * math.Sqrt(0.95*0.05/repetitions); share < 0.95-far { // the noise has a bound only: intervals may be too long
		t.Errorf("%.1f %% hold the truth", 100*share)
	}
	if share := first(permanentPlan(100, price)); share > 0.9 {
		t.Errorf("taken as independent %.1f %% hold the truth, so that nothing is tested", 100*share)
	}
}

// TestClustersAnswerAgain takes two laps together, in each of which the same clusters answer.
func TestClustersAnswerAgain(t *testing.T) {
	const repetitions, lap, windows, clusters, panel, size = 1500, 2, 4, 80, 12, 5
	rng := rand.New(rand.NewPCG(13, 1))
	readings, mean := [clusters][size]float64{}, 0.0
	for c := range readings {
		home := 20 + 2*rng.NormFloat64()
		for i := range readings[c] {
			readings[c][i] = home + rng.NormFloat64()
			mean += readings[c][i] / (clusters * size)
		}
	}
	out := repeated{windows: windows}
	for b := range repetitions {
		order := rng.Perm(clusters)
		for w := range windows {
			start := out.stratum(b, w, reanalysis.Stratum{Statistic: "mean(temperature)", Population: clusters * size, Panel: panel * size, Clusters: clusters})
			from := w % lap * panel
			for at, c := range order[from : from+panel] {
				for i := range size {
					if at%6 == 0 || rng.Float64() < 0.2 {
						continue
					}
					score, variance := readings[c][i]+rng.NormFloat64(), 1.0
					out.rows = append(out.rows, told{
						row: row{
							WindowStart: start, Statistic: "mean(temperature)", Stratum: "north", Cell: "{}", Score: &score, NoiseVariance: &variance,
						}, Device: fmt.Sprintf("%016x", c*size+i), Random: rng.Float64(),
						Cluster: fmt.Sprintf("home %d", c), ClusterPopulation: new(int64(size)), StratumClusters: new(int64(clusters)),
					})
				}
			}
		}
	}
	a := out.write(t)
	question := fmt.Sprintf("SELECT mean(temperature) FROM kappa.indoor WINDOW %dm", windows)
	plan := func(lap uint32) *quadratv1.KappaRecord {
		return of(lap, func(d *quadratv1.DevicePlan) { d.ClusteredBy = "home" })
	}
	answer, err := askOf(t, a, plan(lap), question)
	if err != nil {
		t.Fatal(err)
	}
	// The two panels of a lap are disjoint, which no variance knows: intervals are too long by 18 % at most where 24 of 80 are drawn.
	share := covered(answer, mean)
	t.Logf("%.1f %%", 100*share)
	if far := 4.9 * math.Sqrt(0.95*0.05/repetitions); share < 0.95-far || share > 0.99 {
		t.Errorf("%.1f %% hold the truth", 100*share)
	}
	apart, err := askOf(t, a, plan(100), question)
	if err != nil {
		t.Fatal(err)
	}
	if share := covered(apart, mean); share > 0.9 {
		t.Errorf("taken as independent %.1f %% hold the truth, so that nothing is tested", 100*share)
	}
	// A part of the rows is no sample of clusters, and early answers are the exact one alone.
	if _, err := askOf(t, a, plan(lap), "SELECT mean(temperature) FROM kappa.indoor SAMPLE 10 PERCENT"); err == nil ||
		!strings.Contains(err.Error(), "belong together") {
		t.Errorf("a part of the rows of clusters: %v", err)
	}
	q, err := script.ParseStored(question)
	if err != nil {
		t.Fatal(err)
	}
	answers := 0
	err = reanalysis.Watch(t.Context(), a, plan(lap), q, reanalysis.Config{Now: time.UnixMilli(100 * minuteMs)}, func(early *reanalysis.Answered) error {
		answers++
		if early.Early || early.Share != 1 || early.Results[7].GetValue() != answer.Results[7].GetValue() {
			t.Errorf("early %v, of %g", early.Early, early.Share)
		}
		return nil
	})
	if err != nil || answers != 1 {
		t.Errorf("%d answers, %v", answers, err)
	}
}

// TestFixedPanelsRefuse asks what has no variance where the same devices answer in every window, and what can be asked instead.
func TestFixedPanelsRefuse(t *testing.T) {
	plan := of(1, func(d *quadratv1.DevicePlan) {
		d.Statistics = []*quadratv1.StatisticPlan{{Name: "variance(temperature)", Kind: "variance", Reading: "temperature", Summary: "avg"}}
	})
	_, err := askOf(t, files{}, plan, "SELECT variance(temperature) FROM kappa.indoor WINDOW 5m")
	var refused *script.Error
	if !errors.As(err, &refused) || refused.Column != 8 || refused.Hint != "write WINDOW 1m0s" {
		t.Errorf("%v", err)
	}
	_, err = askOf(t, files{}, plan, "SELECT variance(temperature) FROM kappa.indoor WINDOW 1m")
	if errors.As(err, &refused) && refused.Column == 8 {
		t.Errorf("its own windows: %v", err)
	}
}

// TestTooManyAnswersAreTakenAsAlike keeps fewer reports than there are: the interval is longer than it need be and says so, of categories
// nothing is said, and where panels rotate answers are taken as independent.
func TestTooManyAnswersAreTakenAsAlike(t *testing.T) {
	const windows = 6
	a, _ := fixedRows(t, rand.New(rand.NewPCG(14, 1)), 3, windows)
	question := fmt.Sprintf("SELECT mean(temperature) FROM kappa.indoor WINDOW %dm", windows)
	few := reanalysis.Config{Now: time.UnixMilli(100 * minuteMs), AnswersMost: 10}
	answer := func(record *quadratv1.KappaRecord, config reanalysis.Config) *quadratv1.Result {
		out, err := askWith(t, a, record, question, config)
		if err != nil {
			t.Fatal(err)
		}
		return out.Results[0]
	}
	fixed := of(1, func(*quadratv1.DevicePlan) {})
	exact, alike := answer(fixed, reanalysis.Config{Now: few.Now}), answer(fixed, few)
	if alike.GetValue() != exact.GetValue() || alike.GetStdError() <= exact.GetStdError() || !strings.Contains(strings.Join(alike.GetWarnings(), ""), "as alike as they can be") {
		t.Errorf("%g ± %g %q, exactly %g ± %g", alike.GetValue(), alike.GetStdError(), alike.GetWarnings(), exact.GetValue(), exact.GetStdError())
	}
	rotating := of(2, func(*quadratv1.DevicePlan) {})
	if r := answer(rotating, few); !strings.Contains(strings.Join(r.GetWarnings(), ""), "taken as independent") || r.GetStdError() >= exact.GetStdError() {
		t.Errorf("%g ± %g %q", r.GetValue(), r.GetStdError(), r.GetWarnings())
	}
	price := mechanisms.Price{Report: 3e6, Value: 4e6}
	b, _ := permanentRows(t, rand.New(rand.NewPCG(15, 1)), 2, windows, 400, price)
	_, err := askWith(t, b, permanentPlan(1, price), fmt.Sprintf("SELECT frequency(temperature) FROM kappa.indoor WINDOW %dm", windows), few)
	if err == nil || !strings.Contains(err.Error(), "at most 10 are") {
		t.Errorf("categories of too many answers: %v", err)
	}
}
