package server_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

const stratifiedQuestion = `KAPPA indoor AS
SELECT mean(temperature), proportion(temperature > 26) FROM sense.temperature
GROUP BY cooling_type
SAMPLE ALL STRATIFIED BY region ROTATING WINDOW 1m GRACE 5s
PRIVACY LOCAL EPSILON 4 PER 10m BETWEEN 10 AND 40`

// asked is a server whose kappa has closed some windows, with a fifth of the fleet silent.
func asked(t *testing.T, windows int) *world {
	t.Helper()
	return askedBy(t, stratifiedQuestion, windows)
}

// askedBy is asked with another kappa.
func askedBy(t *testing.T, script string, windows int) *world {
	t.Helper()
	return askedOf(t, script, windows, 4000, simulate.Config{})
}

// askedOf is askedBy with another fleet.
func askedOf(t *testing.T, script string, windows, devices int, of simulate.Config) *world {
	t.Helper()
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, t.TempDir(), now)
	of.Offline = 0.2
	fleet := w.join(devices, of)
	t.Cleanup(fleet.Close)
	put, err := w.api.Put(t.Context(), script, nil)
	if err != nil {
		t.Fatal(err)
	}
	heard(t, fleet, put.GetRef())
	w.pass(fleet, windows)
	return w
}

func key(r *quadratv1.Result) string {
	return fmt.Sprint(r.GetWindowStart().AsTime().Unix(), r.GetStatistic(), r.GetCell(), r.GetBin().GetIndex())
}

// near says whether two optional numbers are equal to 1e-9.
func near(a, b *float64) bool {
	if a == nil || b == nil {
		return a == b
	}
	return math.Abs(*a-*b) <= 1e-9*max(1, math.Abs(*b))
}

// TestQueryOverOwnWindowsIsLive asks stored reports for what the kappa told itself.
func TestQueryOverOwnWindowsIsLive(t *testing.T) {
	const windows = 6
	w := asked(t, windows)
	live := w.told(windows)
	answer, err := w.api.Query(t.Context(), `SELECT mean(temperature), proportion(temperature > 26) FROM kappa.indoor GROUP BY cooling_type WINDOW 1m`)
	if err != nil {
		t.Fatal(err)
	}
	if answer.GetWindows() < windows || answer.GetRowsRead() == 0 {
		t.Errorf("%d windows, %d rows", answer.GetWindows(), answer.GetRowsRead())
	}
	got := map[string]*quadratv1.Result{}
	for _, r := range answer.GetResults() {
		got[key(r)] = r
	}
	numbers := 0
	for _, r := range live {
		x := got[key(r)]
		if x == nil {
			if r.Value != nil {
				t.Errorf("no answer for %s", key(r))
			}
			continue
		}
		if r.Value != nil {
			numbers++
		}
		for name, pair := range map[string][2]*float64{
			"value": {x.Value, r.Value}, "std_error": {x.StdError, r.StdError}, "low": {x.CiLow, r.CiLow}, "high": {x.CiHigh, r.CiHigh},
			"sampling": {x.VarianceSampling, r.VarianceSampling}, "privacy": {x.VariancePrivacy, r.VariancePrivacy},
			"effect": {x.DesignEffect, r.DesignEffect}, "degrees": {x.DegreesOfFreedom, r.DegreesOfFreedom},
		} {
			if !near(pair[0], pair[1]) {
				t.Errorf("%s: %s differs: %v, live %v", key(r), name, deref(pair[0]), deref(pair[1]))
			}
		}
		if x.GetReports() != r.GetReports() {
			t.Errorf("%s: %d reports, live %d", key(r), x.GetReports(), r.GetReports())
		}
	}
	if numbers < windows*4 {
		t.Errorf("only %d live numbers to compare with", numbers)
	}
}

// told waits until that many windows have results, and gives them.
func (w *world) told(windows int) []*quadratv1.Result {
	w.t.Helper()
	var got []*quadratv1.Result
	until(w.t, fmt.Sprintf("%d windows have results", windows), func() bool {
		var err error
		if got, err = w.api.Results(w.t.Context(), "indoor", client.Span{Limit: 10_000}); err != nil {
			w.t.Fatal(err)
		}
		starts := map[int64]bool{}
		for _, r := range got {
			starts[r.GetWindowStart().AsTime().Unix()] = true
		}
		return len(starts) >= windows
	})
	return got
}

func deref(x *float64) any {
	if x == nil {
		return nil
	}
	return *x
}

// TestQueryOverLongerWindows takes windows together, and groups by what the strata tell.
func TestQueryOverLongerWindows(t *testing.T) {
	const windows = 6
	w := asked(t, windows)
	w.told(windows)
	one, err := w.api.Query(t.Context(), `SELECT mean(temperature), count(temperature > 26) FROM kappa.indoor WINDOW 1m`)
	if err != nil {
		t.Fatal(err)
	}
	all, err := w.api.Query(t.Context(), `SELECT mean(temperature), count(temperature > 26) FROM kappa.indoor`)
	if err != nil {
		t.Fatal(err)
	}
	sums, widths, n := map[string]float64{}, map[string]float64{}, map[string]float64{}
	for _, r := range one.GetResults() {
		if r.Value == nil {
			continue
		}
		sums[r.GetStatistic()] += r.GetValue()
		widths[r.GetStatistic()] += r.GetCiHigh() - r.GetCiLow()
		n[r.GetStatistic()]++
	}
	if len(all.GetResults()) != 2 {
		t.Fatalf("%d results", len(all.GetResults()))
	}
	for _, r := range all.GetResults() {
		// The frame doesn't change, so that the answer is near the mean of the windows' estimates: strata with few reports are taken
		// together over windows, which moves weight among them.
		mean, width := sums[r.GetStatistic()]/n[r.GetStatistic()], widths[r.GetStatistic()]/n[r.GetStatistic()]
		if math.Abs(r.GetValue()-mean) > width/4 {
			t.Errorf("%s is %g, the mean of the windows %g", r.GetStatistic(), r.GetValue(), mean)
		}
		if got := r.GetCiHigh() - r.GetCiLow(); got > 0.6*width {
			t.Errorf("%s: six windows give an interval of %g, one of %g", r.GetStatistic(), got, width)
		}
	}
	regions, err := w.api.Query(t.Context(), `SELECT mean(temperature) FROM kappa.indoor WHERE region = 'asia' GROUP BY region`)
	if err != nil {
		t.Fatal(err)
	}
	var cells []string
	for _, r := range regions.GetResults() {
		cells = append(cells, r.GetCell()["region"])
	}
	if !slices.Equal(cells, []string{"", "asia"}) {
		t.Errorf("cells %q where WHERE lets in one", cells)
	}
	if a, b := regions.GetResults()[0], regions.GetResults()[1]; !near(a.Value, b.Value) || !near(a.StdError, b.StdError) {
		t.Errorf("the only region has %g, all of it %g", b.GetValue(), a.GetValue())
	}
	_, err = w.api.Query(t.Context(), `SELECT mean(temperature) FROM kappa.indoor WHERE region = 'africa'`)
	if err == nil || !strings.Contains(err.Error(), "don't tell which of its parts") {
		t.Errorf("a condition that parts a collapsed stratum: %v", err)
	}
}

// TestQueryRefusals asks what can't be answered and looks at what is said.
func TestQueryRefusals(t *testing.T) {
	w := asked(t, 1)
	for question, want := range map[string]string{
		"SELECT mean(temperature) FROM sense.temperature":                        "line 1, column 31: expected kappa. and a name, found sense",
		"SELECT mean(humidity) FROM kappa.indoor":                                "line 1, column 8: indoor has no reports that answer mean(humidity)",
		"SELECT mean(temperature) FROM kappa.nobody":                             "no kappa has the reference or name \"nobody\"",
		"SELECT mean(temperature) FROM kappa.indoor GROUP BY city":               "line 1, column 53: the stored reports of indoor don't tell city",
		"SELECT mean(temperature) FROM kappa.indoor WINDOW 90s":                  "line 1, column 51: a window must hold whole windows of indoor",
		"SELECT mean(temperature) FROM kappa.indoor SINCE 'yesterday'":           "line 1, column 50: expected a moment",
		"SELECT mean(temperature) FROM kappa.indoor UNTIL 1d SINCE 2d":           "line 1, column 53: SINCE stands too late",
		"SELECT mean(temperature) FROM kappa.indoor SINCE '2026-11-21' UNTIL 1d": "UNTIL must be later than SINCE",
	} {
		_, err := w.api.Query(t.Context(), question)
		var refused *client.Error
		if !errors.As(err, &refused) || !strings.Contains(refused.Message, want) {
			t.Errorf("%s: %v, want %q", question, err, want)
		}
	}
}

// TestEarlyAnswersOverTheWire asks one question in three ways: at once, by events, and as a gRPC stream.
func TestEarlyAnswersOverTheWire(t *testing.T) {
	w := asked(t, 6)
	w.told(6)
	const question = `SELECT mean(temperature), proportion(temperature > 26) FROM kappa.indoor GROUP BY region`
	want, err := w.api.Query(t.Context(), question)
	if err != nil {
		t.Fatal(err)
	}
	if want.GetEarly() || want.GetShare() != 1 {
		t.Errorf("early %v, a share of %g", want.GetEarly(), want.GetShare())
	}
	check := func(how string, got []*quadratv1.QueryResponse) {
		t.Helper()
		if len(got) < 2 {
			t.Fatalf("%s: %d answers", how, len(got))
		}
		for i, answer := range got {
			if answer.GetEarly() != (i < len(got)-1) || i > 0 && answer.GetShare() <= got[i-1].GetShare() {
				t.Errorf("%s: answer %d of %d: early %v, of %g", how, i, len(got), answer.GetEarly(), answer.GetShare())
			}
		}
		last := got[len(got)-1]
		for i, r := range last.GetResults() {
			if x := want.GetResults()[i]; !near(r.Value, x.Value) || !near(r.CiLow, x.CiLow) || r.GetReports() != x.GetReports() {
				t.Errorf("%s: %v: %g, want %g", how, r.GetCell(), r.GetValue(), x.GetValue())
			}
		}
	}
	var got []*quadratv1.QueryResponse
	if err := w.api.WatchQuery(t.Context(), question, func(a *quadratv1.QueryResponse) error { got = append(got, a); return nil }); err != nil {
		t.Fatal(err)
	}
	check("events", got)
	conn, err := grpc.NewClient(w.server.Addresses().GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := quadratv1.NewKappaServiceClient(conn).WatchQuery(t.Context(), &quadratv1.QueryRequest{Script: question})
	if err != nil {
		t.Fatal(err)
	}
	got = nil
	for {
		answer, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, answer)
	}
	check("stream", got)
	var refused *client.Error
	err = w.api.WatchQuery(t.Context(), "SELECT mean(humidity) FROM kappa.indoor", func(*quadratv1.QueryResponse) error { return nil })
	if !errors.As(err, &refused) || refused.HTTPStatus != 400 {
		t.Errorf("a question that can't be answered: %v", err)
	}
}

// everyStatistic is a kappa, and a question that its stored reports answer as it did.
type everyStatistic struct {
	statistics, sample, window, privacy string
	minutes                             int // of its windows
	windows                             int
	devices                             int
	fleet                               simulate.Config
	kinds                               int // statistics that must have been compared
}

func everyStatistics() map[string]everyStatistic {
	const (
		all = "variance(temperature), ratio(max(temperature), min(temperature)), histogram(temperature, 8), median(temperature), " +
			"frequency(temperature), mean(temperature), count(temperature > 26), distribution(temperature, 12)"
		drawn = "mean(temperature), total(temperature), proportion(temperature > 26), count(temperature > 26), histogram(temperature, 8), median(temperature)"
		local = "LOCAL EPSILON 8 PER 10m BETWEEN 10 AND 40"
	)
	return map[string]everyStatistic{
		"devices":  {statistics: all, sample: "ALL STRATIFIED BY region", window: "1m", minutes: 1, privacy: local, kinds: 8},
		"hopping":  {statistics: all, sample: "ALL STRATIFIED BY region", window: "3m EVERY 1m", minutes: 3, privacy: local, kinds: 8},
		"clusters": {statistics: drawn, sample: "ALL STRATIFIED BY region CLUSTERED BY building", window: "1m", minutes: 1, privacy: local, kinds: 6},
		"hopping clusters": {
			statistics: drawn, sample: "ALL STRATIFIED BY region CLUSTERED BY building", window: "3m EVERY 1m", minutes: 3, privacy: local, kinds: 6,
		},
		"gateways": {
			statistics: drawn, sample: "ALL", window: "1m", minutes: 1, privacy: "GATEWAY EPSILON 8 PER 6m BETWEEN 10 AND 40", kinds: 6, devices: 900,
			fleet: simulate.Config{Gateways: 150, Units: 4},
		},
		"hopping gateways": {
			statistics: drawn, sample: "ALL", window: "2m EVERY 1m", minutes: 2, privacy: "GATEWAY EPSILON 8 PER 6m BETWEEN 10 AND 40", kinds: 6, devices: 900,
			fleet: simulate.Config{Gateways: 150, Units: 4},
		},
		"fixed, several answers of one device": {
			statistics: "mean(temperature), count(temperature > 26)", sample: "ALL STRATIFIED BY region FIXED", window: "4m EVERY 1m", minutes: 4,
			privacy: "LOCAL EPSILON 20 PER 10m BETWEEN 10 AND 40", kinds: 2, windows: 9,
		},
		"a lap within the window": {
			statistics: "mean(temperature), total(temperature), proportion(temperature > 26)", sample: "ALL STRATIFIED BY region", window: "4m EVERY 1m", minutes: 4,
			privacy: "LOCAL EPSILON 8 PER 1m BETWEEN 10 AND 40", kinds: 3, windows: 9,
		},
		"per value": {
			statistics: "histogram(temperature, 6), frequency(last(temperature))", sample: "ALL", window: "1m", minutes: 1,
			privacy: "LOCAL EPSILON 8 PER VALUE REPORT 4 BETWEEN 10 AND 40", kinds: 2,
		},
	}
}

// TestQueryOfEveryStatisticIsLive asks stored reports for what a kappa told itself, of every design, over its own windows, and over those of
// a kappa whose windows hop, whose rows are of panes. That many windows have been compared shows that both were there.
func TestQueryOfEveryStatisticIsLive(t *testing.T) {
	for name, c := range everyStatistics() {
		t.Run(name, func(t *testing.T) { c.compare(t) })
	}
}

func (c everyStatistic) compare(t *testing.T) {
	windows := max(7, c.windows)
	devices := 1500
	if c.devices > 0 {
		devices = c.devices
	}
	w := askedOf(t, fmt.Sprintf("KAPPA indoor AS SELECT %s FROM sense.temperature GROUP BY cooling_type SAMPLE %s WINDOW %s GRACE 5s PRIVACY %s",
		c.statistics, c.sample, c.window, c.privacy), windows, devices, c.fleet)
	live := w.told(windows)
	answer, err := w.api.Query(t.Context(), fmt.Sprintf("SELECT %s FROM kappa.indoor GROUP BY cooling_type WINDOW %dm", c.statistics, c.minutes))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*quadratv1.Result{}
	for _, r := range answer.GetResults() {
		got[key(r)] = r
	}
	numbers := map[string]int{}
	for _, r := range live {
		span := r.GetWindowEnd().AsTime().Sub(r.GetWindowStart().AsTime())
		if span != time.Duration(c.minutes)*time.Minute {
			t.Fatalf("a window of %v", span)
		}
		partial := slices.ContainsFunc(r.GetWarnings(), func(w string) bool { return strings.Contains(w, "of its ") && strings.Contains(w, "panes") })
		if r.GetWindowStart().AsTime().Unix()%int64(60*c.minutes) != 0 || partial {
			continue // the question has aligned windows
		}
		x := got[key(r)]
		if x == nil {
			if r.Value != nil {
				t.Errorf("no answer for %s", key(r))
			}
			continue
		}
		if r.Value != nil || r.GetBin().GetConsistent() > 0 {
			numbers[r.GetStatistic()]++
		}
		sameResult(t, x, r)
	}
	if len(numbers) != c.kinds {
		t.Errorf("only %v were compared", numbers)
	}
}

// sameResult holds an answer against a live result.
func sameResult(t *testing.T, x, r *quadratv1.Result) {
	t.Helper()
	for name, pair := range map[string][2]*float64{
		"value": {x.Value, r.Value}, "std_error": {x.StdError, r.StdError}, "low": {x.CiLow, r.CiLow}, "high": {x.CiHigh, r.CiHigh},
		"sampling": {x.VarianceSampling, r.VarianceSampling}, "privacy": {x.VariancePrivacy, r.VariancePrivacy},
		"degrees": {x.DegreesOfFreedom, r.DegreesOfFreedom}, "effect": {x.DesignEffect, r.DesignEffect},
	} {
		if !near(pair[0], pair[1]) {
			t.Errorf("%s: %s differs: %v, live %v", key(r), name, deref(pair[0]), deref(pair[1]))
		}
	}
	if b := r.GetBin(); b != nil && (b.GetLow() != x.GetBin().GetLow() || b.GetHigh() != x.GetBin().GetHigh() ||
		math.Abs(b.GetConsistent()-x.GetBin().GetConsistent()) > 1e-9) {
		t.Errorf("%s: bin %v, live %v", key(r), x.GetBin(), b)
	}
	if x.GetReports() != r.GetReports() {
		t.Errorf("%s: %d reports, live %d", key(r), x.GetReports(), r.GetReports())
	}
	if len(r.GetCell()) == 0 && (x.GetPopulation() != r.GetPopulation() || x.GetPanel() != r.GetPanel()) {
		t.Errorf("%s: %d of %d devices due, live %d of %d", key(r), x.GetPanel(), x.GetPopulation(), r.GetPanel(), r.GetPopulation())
	}
}

// TestQueryAsksAnotherShare asks a quantile that no kappa was asked for.
func TestQueryAsksAnotherShare(t *testing.T) {
	w := askedBy(t, `KAPPA indoor AS SELECT median(temperature) FROM sense.temperature
		SAMPLE ALL WINDOW 1m GRACE 5s PRIVACY LOCAL EPSILON 8 PER 10m BETWEEN 10 AND 40`, 3)
	w.told(3)
	quarter, err := w.api.Query(t.Context(), "SELECT quantile(temperature, 0.25) FROM kappa.indoor")
	if err != nil || quarter.GetResults()[0].Value == nil {
		t.Errorf("another quantile of the same reports: %v, %v", quarter, err)
	}
}
