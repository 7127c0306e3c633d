package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/estimate"
	"github.com/quadrat-dev/quadrat/internal/server"
)

const liveScript = `KAPPA indoor AS
SELECT   mean(temperature), proportion(temperature > 26), variance(temperature), count(temperature > 26)
FROM     sense.temperature
WHERE    building_type <> 'others'
GROUP BY cooling_type
SAMPLE   ALL STRATIFIED BY region ROTATING
WINDOW   3s GRACE 2s
PRIVACY  LOCAL EPSILON 4 PER 15s BETWEEN 10 AND 40`

// clusteredScript draws buildings within regions.
const clusteredScript = `KAPPA indoor AS
SELECT   mean(temperature), proportion(temperature > 26), count(temperature > 26)
FROM     sense.temperature
GROUP BY cooling_type
SAMPLE   ALL STRATIFIED BY region CLUSTERED BY building
WINDOW   3s GRACE 2s
PRIVACY  LOCAL EPSILON 4 PER 15s BETWEEN 10 AND 40`

// served is a result as the server tells it.
type served struct {
	WindowStart string `json:"window_start"`
	Final       bool
	Cell        map[string]string
	Statistic   string
	Value       *float64
	StdError    float64 `json:"std_error"`
	Low         float64 `json:"ci_low"`
	High        float64 `json:"ci_high"`
	DF          float64 `json:"degrees_of_freedom"`
	Deff        float64 `json:"design_effect"`
	Sampling    float64 `json:"variance_sampling"`
	Privacy     float64 `json:"variance_privacy"`
	Panel       int
	Reports     int
	Bin         *servedBin
	Change      *servedChange
}

// servedBin is the category of a result.
type servedBin struct {
	Index      int
	Low, High  float64
	Consistent *float64
}

// servedChange is a change as the server tells it.
type servedChange struct {
	Value    float64
	StdError float64 `json:"std_error"`
	Low      float64 `json:"ci_low"`
	High     float64 `json:"ci_high"`
	Sampling float64 `json:"variance_sampling"`
	Privacy  float64 `json:"variance_privacy"`
	Since    string
	Matched  int
}

// What the server answered live, quadrat estimate answers from the export, in every window and cell, to the last digits.
func TestEstimateAnswersWhatTheServerAnswered(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	url, results := answers(t, ctx, liveScript, "--windows", "2")
	for _, format := range []string{"parquet", "csv"} {
		dir := filepath.Join(t.TempDir(), format)
		must(t, ctx, "export", "indoor", "--server", url, "--what", "reports", "--format", format, "--out", dir)
		compared := compareServed(t, ctx, results, []statisticKind{
			{"mean", "mean(score)", "t"}, {"proportion", "mean(score)", "wilson"}, {"variance", "variance(score)", "log"}, {"count", "total(score)", "wilson"},
		}, "--data", dir, "--stratum", "stratum", "--fpc", "stratum_population")
		if compared < 16 { // two windows, four statistics, all cells together and at least one apart
			t.Errorf("compared %d results only", compared)
		}
	}
}

// The same of a cluster sample of which a fifth of the devices, and so some whole buildings, are silent.
func TestEstimateAnswersForClusters(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	url, results := answers(t, ctx, clusteredScript, "--windows", "2", "--offline", "0.2")
	silent := 0
	for _, r := range results {
		silent += r.Panel - r.Reports
	}
	if silent == 0 {
		t.Error("nobody was silent")
	}
	dir := filepath.Join(t.TempDir(), "parquet")
	must(t, ctx, "export", "indoor", "--server", url, "--what", "reports", "--format", "parquet", "--out", dir)
	compared := compareServed(t, ctx, results, []statisticKind{
		{"mean", "mean(score)", "t"}, {"proportion", "mean(score)", "wilson"}, {"count", "total(score)", "wilson"},
	}, "--data", dir, "--stratum", "stratum", "--cluster", "cluster,device", "--fpc", "stratum_clusters,cluster_population")
	if compared < 12 { // two windows, three statistics, all cells together and at least one apart
		t.Errorf("compared %d results only", compared)
	}
}

// gatewayScript asks gateways and devices of their own.
const gatewayScript = `KAPPA indoor AS
SELECT   mean(temperature), proportion(temperature > 26), count(temperature > 26)
FROM     sense.temperature
GROUP BY cooling_type
SAMPLE   ALL
WINDOW   3s GRACE 2s
PRIVACY  GATEWAY EPSILON 4 PER 15s BETWEEN 10 AND 40`

// The same where 150 gateways tell sums over up to four units, of which a fifth are silent, beside 900 devices of their own.
func TestEstimateAnswersForGateways(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	url, results := answers(t, ctx, gatewayScript, "--windows", "2", "--offline", "0.2", "--devices", "900", "--gateways", "150", "--units", "4")
	dir := filepath.Join(t.TempDir(), "parquet")
	must(t, ctx, "export", "indoor", "--server", url, "--what", "reports", "--format", "parquet", "--out", dir)
	compared := compareServed(t, ctx, results, []statisticKind{
		{"mean", "mean(score)", "t"}, {"proportion", "mean(score)", "wilson"}, {"count", "total(score)", "wilson"},
	}, "--data", dir, "--stratum", "stratum", "--cluster", "cluster,device", "--fpc", "stratum_clusters,cluster_population")
	if compared < 12 { // two windows, three statistics, all cells together and at least one apart
		t.Errorf("compared %d results only", compared)
	}
}

// answers starts a server, lets devices answer a kappa, and returns the results when all reports are in them.
func answers(t *testing.T, ctx context.Context, question string, simulate ...string) (url string, results []served) {
	t.Helper()
	address := liveServer(t, ctx)
	url = "http://" + address.HTTP
	ended := make(chan []byte, 1)
	go func() {
		said, _ := try(ctx, append([]string{"simulate", "--nats", address.NATS, "--devices", "1500", "--seed", "7"}, simulate...)...)
		ended <- said
	}()
	waitFor(t, ctx, func() bool {
		var devices struct{ Total int }
		return json.Unmarshal(must(t, ctx, "devices", "--server", url, "--format", "json"), &devices) == nil && devices.Total == 1500
	})
	script := filepath.Join(t.TempDir(), "question.sql")
	write(t, script, question)
	must(t, ctx, "put", script, "--server", url)
	var summary struct{ Summary struct{ Heard int } }
	if err := json.Unmarshal(<-ended, &summary); err != nil || summary.Summary.Heard == 0 {
		t.Fatalf("simulate: %+v, %v", summary, err)
	}
	waitFor(t, ctx, func() bool {
		var out struct{ Results []served }
		raw := must(t, ctx, "get", "indoor", "--server", url, "--format", "json", "--since", "2000-01-01T00:00:00Z")
		if err := json.Unmarshal(raw, &out); err != nil {
			t.Fatal(err)
		}
		results = out.Results
		reports, inCells := 0, 0 // a window's results come one after the other
		for _, r := range results {
			switch {
			case r.Bin != nil && r.Bin.Index > 0: // the same reports again
			case r.Final && len(r.Cell) == 0:
				reports += r.Reports
			case r.Final:
				inCells += r.Reports
			}
		}
		return reports == summary.Summary.Heard && inCells == reports
	})
	return url, results
}

// statisticKind is the kind of a statistic and what makes it of its scores.
type statisticKind struct{ prefix, stat, interval string }

// compareServed holds every served result against an estimate from an exported folder, and says how many there were.
func compareServed(t *testing.T, ctx context.Context, results []served, kinds []statisticKind, design ...string) (compared int) {
	t.Helper()
	common := append([]string{"--weight", "weight", "--noise-variance", "noise_variance", "--format", "json"}, design...)
	for _, kind := range kinds {
		byWindow, byCell := map[string]estimate.Result{}, map[string]estimate.Result{}
		flags := append([]string{"--stat", kind.stat, "--interval", kind.interval, "--where", "statistic in ('" + statisticOf(t, results, kind.prefix) + "')"}, common...)
		flags = append([]string{"estimate"}, flags...)
		collect(t, must(t, ctx, append(flags, "--by", "window_start")...), byWindow)
		collect(t, must(t, ctx, append(flags, "--by", "window_start,cell")...), byCell)
		for _, r := range results {
			if r.Value == nil || !strings.HasPrefix(r.Statistic, kind.prefix) {
				continue
			}
			key, from := r.WindowStart, byWindow
			if len(r.Cell) > 0 {
				cell, err := json.Marshal(r.Cell)
				if err != nil {
					t.Fatal(err)
				}
				key, from = r.WindowStart+string(cell), byCell
			}
			e, ok := from[key]
			if !ok || e.Value == nil {
				t.Errorf("%s %s: no estimate", r.Statistic, key)
				continue
			}
			compared++
			for what, pair := range map[string][2]float64{
				"value": {*e.Value, *r.Value}, "standard error": {*e.StdError, r.StdError}, "low": {*e.CILow, r.Low}, "high": {*e.CIHigh, r.High},
				"degrees of freedom": {*e.DegreesOfFreedom, r.DF}, "design effect": {known(e.DesignEffect), r.Deff},
				"variance, sampling": {*e.VarianceSampling, r.Sampling}, "variance, privacy": {*e.VariancePrivacy, r.Privacy},
			} {
				if kind.prefix == "variance" && strings.HasPrefix(what, "variance, ") {
					// Rows don't say what the mechanism makes of a fourth power, so that all of it is the noise's.
					pair = [2]float64{*e.VarianceSampling + *e.VariancePrivacy, r.Sampling + r.Privacy}
				}
				tolerance := 1e-9
				if r.StdError == 0 { // the sums of rows in another order leave 1e-15 of a variance, and its root is all that is left
					tolerance = 1e-6
				}
				if math.Abs(pair[0]-pair[1]) > tolerance*max(1, math.Abs(pair[1])) {
					t.Errorf("%s %s: %s %.12g, served %.12g", r.Statistic, key, what, pair[0], pair[1])
				}
			}
		}
	}
	t.Logf("compared %d results", compared)
	return compared
}

// known is a number, 0 for one that isn't known.
func known(x *float64) float64 {
	if x == nil {
		return 0
	}
	return *x
}

func statisticOf(t *testing.T, results []served, prefix string) string {
	t.Helper()
	for _, r := range results {
		if strings.HasPrefix(r.Statistic, prefix) {
			return r.Statistic
		}
	}
	t.Fatalf("no %s among the results", prefix)
	return ""
}

// collect keys estimates by window and cell.
func collect(t *testing.T, raw []byte, into map[string]estimate.Result) {
	t.Helper()
	var out []estimate.Result
	if err := json.Unmarshal(raw, &out); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	for _, r := range out {
		into[r.By["window_start"]+r.By["cell"]] = r
	}
}

// try runs the program in this process and returns what it prints.
func try(ctx context.Context, args ...string) ([]byte, string) {
	var out, errs bytes.Buffer
	if code := run(ctx, args, &terminal{in: strings.NewReader(""), out: &out, errs: &errs}); code != exitDone {
		return nil, errs.String()
	}
	return out.Bytes(), ""
}

func must(t *testing.T, ctx context.Context, args ...string) []byte {
	t.Helper()
	out, errs := try(ctx, args...)
	if errs != "" {
		t.Fatalf("quadrat %s: %s", strings.Join(args, " "), errs)
	}
	return out
}

func waitFor(t *testing.T, ctx context.Context, done func() bool) {
	t.Helper()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatal(ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// liveServer runs `quadrat serve` in this process until the test ends.
func liveServer(t *testing.T, ctx context.Context) server.Addresses {
	t.Helper()
	ctx, stop := context.WithCancel(ctx)
	reader, writer := io.Pipe()
	ended := make(chan int, 1)
	data := t.TempDir()
	go func() {
		var errs bytes.Buffer
		ended <- run(ctx, []string{
			"serve", "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0", "--log-level", "error",
		}, &terminal{in: strings.NewReader(""), out: writer, errs: &errs})
	}()
	t.Cleanup(func() {
		stop()
		if code := <-ended; code != exitDone {
			t.Errorf("the server ends with %d", code)
		}
	})
	var a server.Addresses
	if err := json.NewDecoder(reader).Decode(&a); err != nil {
		t.Fatal(err)
	}
	return a
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
