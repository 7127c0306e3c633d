package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/estimate"
)

// servedCase is a design under which statistics are asked, and how many of its results must have been compared.
type servedCase struct {
	statistics, sample, privacy string
	simulate                    []string
	least                       int
	changes                     int      // results that tell a change
	window                      string   // 3s where empty
	panes                       int      // of a window; 0 for one
	columns                     []string // of the design, for an estimator that is told nothing else; nil where none can be
}

// columnar is what the statistics that columns suffice for are of scores.
func columnar() []statisticKind {
	return []statisticKind{
		{"mean", "mean(score)", "t"}, {"proportion", "mean(score)", "wilson"}, {"count", "total(score)", "wilson"}, {"variance", "variance(score)", "log"},
	}
}

// scored is the statistics whose answers are scores, but for those that only devices can be asked.
const scored = "mean(temperature), total(temperature), proportion(temperature > 26), count(temperature > 26)"

func servedCases() map[string]servedCase {
	return map[string]servedCase{
		"scores": {
			statistics: scored + ", variance(temperature), ratio(temperature, max(temperature))", sample: "SAMPLE ALL STRATIFIED BY region",
			privacy: "LOCAL EPSILON 4 PER 15s BETWEEN 10 AND 40", simulate: []string{"--offline", "0.1"}, least: 30,
			columns: []string{"--stratum", "stratum", "--fpc", "stratum_population"},
		},
		"categories": {
			statistics: "histogram(temperature, 8), histogram(temperature, 100), frequency(last(temperature)), quantile(temperature, 0.9), " +
				"median(temperature), distribution(temperature, 12)",
			sample:  "SAMPLE ALL STRATIFIED BY region",
			privacy: "LOCAL EPSILON 4 PER 15s BETWEEN 10 AND 40", least: 300,
		},
		"per value": {
			statistics: "histogram(temperature, 6), frequency(last(temperature))", sample: "SAMPLE ALL",
			privacy: "LOCAL EPSILON 8 PER VALUE REPORT 4 BETWEEN 10 AND 40", least: 100,
		},
		"clusters": {
			statistics: scored + ", histogram(temperature, 8), frequency(last(temperature)), quantile(temperature, 0.9), median(temperature)",
			sample:     "SAMPLE ALL STRATIFIED BY region CLUSTERED BY building",
			privacy:    "LOCAL EPSILON 4 PER 15s BETWEEN 10 AND 40", simulate: []string{"--offline", "0.2"}, least: 100,
			columns: []string{"--stratum", "stratum", "--cluster", "cluster,device", "--fpc", "stratum_clusters,cluster_population"},
		},
		"gateways": {
			statistics: scored + ", histogram(temperature, 8), frequency(last(temperature)), quantile(temperature, 0.9), median(temperature)",
			sample:     "SAMPLE ALL", privacy: "GATEWAY EPSILON 4 PER 15s BETWEEN 10 AND 40",
			simulate: []string{"--offline", "0.2", "--devices", "900", "--gateways", "150", "--units", "4"}, least: 100,
			columns: []string{"--stratum", "stratum", "--cluster", "cluster,device", "--fpc", "stratum_clusters,cluster_population"},
		},
		"fixed": {
			statistics: "mean(temperature), count(temperature > 26), quantile(temperature, 0.8)", sample: "SAMPLE ALL STRATIFIED BY region FIXED",
			privacy: "LOCAL EPSILON 6 PER 30s BETWEEN 10 AND 40", simulate: []string{"--offline", "0.1", "--windows", "5"}, least: 40, changes: 8,
		},
		"fixed clusters": {
			statistics: "mean(temperature), proportion(temperature > 26)", sample: "SAMPLE ALL STRATIFIED BY region CLUSTERED BY building FIXED",
			privacy: "LOCAL EPSILON 6 PER 30s BETWEEN 10 AND 40", simulate: []string{"--offline", "0.1", "--windows", "4"}, least: 24, changes: 8,
		},
		"hopping": {
			statistics: scored + ", variance(temperature), ratio(temperature, max(temperature)), histogram(temperature, 8), " +
				"quantile(temperature, 0.9), distribution(temperature, 6)",
			sample: "SAMPLE ALL STRATIFIED BY region", window: "6s EVERY 2s", panes: 3,
			privacy: "LOCAL EPSILON 6 PER 1m BETWEEN 10 AND 40", simulate: []string{"--offline", "0.1", "--windows", "4"}, least: 200,
		},
		"hopping clusters": {
			statistics: "mean(temperature), total(temperature), histogram(temperature, 6), quantile(temperature, 0.9)",
			sample:     "SAMPLE ALL STRATIFIED BY region CLUSTERED BY building", window: "6s EVERY 2s", panes: 3,
			privacy: "LOCAL EPSILON 6 PER 8s BETWEEN 10 AND 40", simulate: []string{"--offline", "0.2", "--windows", "4"}, least: 100,
		},
		"hopping and fixed": {
			statistics: "mean(temperature), total(temperature), count(temperature > 26)", sample: "SAMPLE ALL FIXED", window: "8s EVERY 2s", panes: 4,
			privacy: "LOCAL EPSILON 6 PER 30s BETWEEN 10 AND 40", simulate: []string{"--offline", "0.1", "--windows", "5"}, least: 60,
		},
		"hopping gateways": {
			statistics: "mean(temperature), count(temperature > 26), histogram(temperature, 8)", sample: "SAMPLE ALL", window: "4s EVERY 2s", panes: 2,
			privacy:  "GATEWAY EPSILON 4 PER 12s BETWEEN 10 AND 40",
			simulate: []string{"--offline", "0.2", "--devices", "900", "--gateways", "150", "--units", "4"}, least: 40,
		},
	}
}

// Every statistic that a server answers live comes again from its exported reports, named as in the script, in every window, cell
// and category: value, standard error, both parts of the variance, interval, degrees of freedom, design effect and change.
func TestEstimateAnswersEveryStatisticOfAnExport(t *testing.T) {
	for name, c := range servedCases() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			question := fmt.Sprintf("KAPPA indoor AS SELECT %s FROM sense.temperature GROUP BY cooling_type %s WINDOW %s GRACE 2s PRIVACY %s",
				c.statistics, c.sample, cmp.Or(c.window, "3s"), c.privacy)
			url, results := answers(t, ctx, question, max(1, c.panes), append([]string{"--windows", "2"}, c.simulate...)...)
			if !slices.ContainsFunc(results, func(r served) bool { return r.Reports < r.Panel }) && slices.Contains(c.simulate, "--offline") {
				t.Error("nobody was silent")
			}
			for _, format := range []string{"parquet", "csv"} {
				dir := filepath.Join(t.TempDir(), format)
				must(t, ctx, "export", "indoor", "--server", url, "--what", "reports", "--format", format, "--out", dir)
				compared, changes := compareAll(t, ctx, results, dir)
				if compared < c.least || changes < c.changes {
					t.Errorf("%s: compared %d results and %d changes only, want %d and %d", format, compared, changes, c.least, c.changes)
				}
				if c.columns == nil {
					continue
				}
				kinds := slices.DeleteFunc(columnar(), func(k statisticKind) bool { return !strings.Contains(c.statistics, k.prefix+"(") })
				least := 2 * 2 * len(kinds) // in each of two windows all cells together and at least one apart
				if compared := compareColumns(t, ctx, results, kinds, append([]string{"--data", dir}, c.columns...)...); compared < least {
					t.Errorf("%s: compared %d results of columns only, want %d", format, compared, least)
				}
			}
		})
	}
}

// servedKey is what tells results apart.
func servedKey(statistic, window, cell string, bin *servedBin) string {
	key := statistic + " " + window + " " + cell
	if bin != nil {
		key += fmt.Sprint(" ", bin.Index)
	}
	return key
}

// compareAll holds every served result against what quadrat estimate makes of an exported folder, and says how many there were.
func compareAll(t *testing.T, ctx context.Context, results []served, dir string) (compared, changes int) {
	t.Helper()
	names := map[string]bool{}
	for _, r := range results {
		names[r.Statistic] = true
		if r.Change != nil {
			names["change("+r.Statistic+")"] = true
		}
	}
	flags := []string{"estimate", "--data", dir, "--format", "json"}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		flags = append(flags, "--stat", name)
	}
	again := map[string]estimate.Result{}
	for _, by := range [][]string{nil, {"--by", "window_start,cell"}} {
		var out []estimate.Result
		raw := must(t, ctx, append(slices.Clone(flags), by...)...)
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatalf("%v: %s", err, raw)
		}
		for _, e := range out {
			bin := (*servedBin)(nil)
			if e.Bin != nil {
				bin = &servedBin{Index: e.Bin.Index}
			}
			again[servedKey(e.Statistic, e.By["window_start"], e.By["cell"], bin)] = e
		}
	}
	for _, r := range results {
		shape := r.Bin != nil && r.Value == nil && r.Bin.Consistent != nil
		if !r.Final || r.Value == nil && !shape {
			continue
		}
		cell := ""
		if len(r.Cell) > 0 {
			text, err := json.Marshal(r.Cell)
			if err != nil {
				t.Fatal(err)
			}
			cell = string(text)
		}
		key := servedKey(r.Statistic, r.WindowStart, cell, r.Bin)
		e, ok := again[key]
		if !ok || e.Value == nil && !shape {
			t.Errorf("%s: no estimate: %v", key, e.Warnings)
			continue
		}
		compared++
		compareOne(t, key, e, r)
		if r.Change == nil {
			continue
		}
		changes++
		key = servedKey("change("+r.Statistic+")", r.WindowStart, cell, nil)
		change := again[key]
		if change.Value == nil || change.Matched == nil || int(*change.Matched) != r.Change.Matched || change.Since != r.Change.Since {
			t.Errorf("%s: %+v, served %+v", key, change, r.Change)
			continue
		}
		compareNumbers(t, key, r.Change.StdError == 0, map[string][2]float64{
			"value": {*change.Value, r.Change.Value}, "standard error": {*change.StdError, r.Change.StdError},
			"low": {*change.CILow, r.Change.Low}, "high": {*change.CIHigh, r.Change.High},
			"variance, sampling": {*change.VarianceSampling, r.Change.Sampling}, "variance, privacy": {*change.VariancePrivacy, r.Change.Privacy},
		})
	}
	t.Logf("compared %d results and %d changes", compared, changes)
	return compared, changes
}

// compareOne holds a result against one that was served.
func compareOne(t *testing.T, key string, e estimate.Result, r served) {
	t.Helper()
	if (r.Bin == nil) != (e.Bin == nil) {
		t.Errorf("%s: category %v, served %v", key, e.Bin, r.Bin)
		return
	}
	numbers := map[string][2]float64{}
	if r.Bin != nil {
		numbers["lower edge"], numbers["upper edge"] = [2]float64{e.Bin.Low, r.Bin.Low}, [2]float64{e.Bin.High, r.Bin.High}
		numbers["share to show"] = [2]float64{known(e.Bin.Consistent), known(r.Bin.Consistent)}
	}
	if r.Value != nil {
		maps.Copy(numbers, map[string][2]float64{
			"value": {*e.Value, *r.Value}, "standard error": {*e.StdError, r.StdError}, "low": {*e.CILow, r.Low}, "high": {*e.CIHigh, r.High},
			"degrees of freedom": {*e.DegreesOfFreedom, r.DF}, "design effect": {known(e.DesignEffect), r.Deff},
			"variance, sampling": {*e.VarianceSampling, r.Sampling}, "variance, privacy": {*e.VariancePrivacy, r.Privacy},
		})
	}
	compareNumbers(t, key, r.StdError == 0, numbers)
}

// compareNumbers allows a difference of 1e-9, relative above 1. Where there is no error at all the sums of rows in another order
// leave 1e-15 of a variance, and its root is all that is left.
func compareNumbers(t *testing.T, key string, errorless bool, numbers map[string][2]float64) {
	t.Helper()
	tolerance := 1e-9
	if errorless {
		tolerance = 1e-6
	}
	for what, pair := range numbers {
		if !(math.Abs(pair[0]-pair[1]) <= tolerance*max(1, math.Abs(pair[1]))) {
			t.Errorf("%s: %s %.17g, served %.17g", key, strings.TrimSpace(what), pair[0], pair[1])
		}
	}
}
