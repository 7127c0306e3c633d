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

// answers starts a server, lets devices answer a kappa, and returns the results when all reports are in them, each in so many windows.
func answers(t *testing.T, ctx context.Context, question string, panes int, simulate ...string) (url string, results []served) {
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
		return reports == panes*summary.Summary.Heard && inCells == reports
	})
	return url, results
}

// statisticKind is the kind of a statistic and what makes it of its scores.
type statisticKind struct{ prefix, stat, interval string }

// compareColumns holds every served result of some statistics against an estimate that is told which columns of an exported folder are the
// design, and says how many there were.
func compareColumns(t *testing.T, ctx context.Context, results []served, kinds []statisticKind, design ...string) (compared int) {
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
