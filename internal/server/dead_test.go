package server_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

// metrics is what /metrics says.
func (w *world) metrics() string {
	w.t.Helper()
	reply, err := http.Get("http://" + w.server.Addresses().HTTP + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// TestEveryMetricIsExplained holds what /metrics tells, and the causes of dead letters among it, against the page that operators read,
// and the page against what /metrics tells.
func TestEveryMetricIsExplained(t *testing.T) {
	page, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	w := open(t, t.TempDir(), clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)))
	names, causes := map[string]bool{}, 0
	if _, err := w.api.List(t.Context()); err != nil { // requests tell of themselves once there was one
		t.Fatal(err)
	}
	for line := range strings.Lines(w.metrics()) {
		if name, ok := strings.CutPrefix(line, "# HELP quadrat_"); ok {
			name, _, _ = strings.Cut(name, " ")
			names[name] = true
			if !strings.Contains(string(page), "`quadrat_"+name) {
				t.Errorf("docs/operations.md does not explain quadrat_%s", name)
			}
		}
		for _, label := range []string{
			`quadrat_engine_reports_total{outcome="`, `quadrat_intake_requests_rejected_total{cause="`, `quadrat_fleet_doubts_total{cause="`,
		} {
			if cause, ok := strings.CutPrefix(line, label); ok {
				cause, _, _ = strings.Cut(cause, `"`)
				causes++
				if !strings.Contains(string(page), "`"+cause+"`") {
					t.Errorf("docs/operations.md does not explain the cause %s", cause)
				}
			}
		}
	}
	if len(names) < 30 || causes < 15 {
		t.Errorf("%d metrics and %d causes: too few to hold anything against", len(names), causes)
	}
	for _, match := range regexp.MustCompile("`quadrat_([a-z_]+)[`{]").FindAllStringSubmatch(string(page), -1) {
		if name := match[1]; !names[name] && !strings.HasPrefix(name, "member_") { // of engines of a cluster; TestRoles looks at those
			t.Errorf("docs/operations.md explains quadrat_%s, which /metrics does not tell", name)
		}
	}
}

// kept waits until so many dead letters are kept.
func (w *world) kept(n uint64) *quadratv1.ListDeadResponse {
	w.t.Helper()
	var page *quadratv1.ListDeadResponse
	until(w.t, fmt.Sprintf("%d dead letters are kept", n), func() bool {
		var err error
		if page, err = w.api.Dead(w.t.Context(), &quadratv1.ListDeadRequest{}); err != nil {
			w.t.Fatal(err)
		}
		return page.GetTotal() == n
	})
	return page
}

// TestReplayCountsOnce sends a report of a window to come twice: both are dead letters. Replayed when the window has come, and
// once more through a third copy that comes late, the report is counted once.
func TestReplayCountsOnce(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, t.TempDir(), now)
	conn, err := nats.Connect(w.server.Addresses().NATS, nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, device := range []string{"pi-7", "pi-8"} {
		hello := wire.Hello{
			Device: device, Capabilities: []wire.Capability{{Name: "sense.temperature", Open: true}},
			Limits: wire.Limits{EpsilonMicro: 1, PeriodMs: 1, Models: []string{"none"}},
		}
		if _, err := conn.Request(wire.HelloSubject(device), hello.Append(nil), time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	put, err := w.api.Put(t.Context(), "KAPPA indoor AS SELECT mean(temperature) FROM sense.temperature WINDOW 1m PRIVACY NONE", nil)
	if err != nil {
		t.Fatal(err)
	}
	start := now.Now().Add(10 * time.Minute)
	report := wire.Report{Device: "pi-7", Kappa: put.GetRef(), Revision: 1, Window: start.UnixMilli() / 60_000, Value: 21_000_000}
	say := func() {
		m, err := conn.Request(wire.InSubject("pi-7"), report.AppendRequest(nil), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if reply, err := wire.DecodeIntakeReply(m.Data); err != nil || reply.Status != wire.Stored {
			t.Fatalf("answer %v, %v", reply, err)
		}
	}
	say()
	say()
	for _, l := range w.kept(2).GetLetters() {
		if l.GetCause() != "future" || l.GetKind() != "stored" || l.GetUnfit() != "" || l.GetReportSequence() == 0 {
			t.Errorf("letter %v", l)
		}
	}
	now.Set(start.Add(30 * time.Second))
	reply, err := w.api.ReplayDead(t.Context(), &quadratv1.ReplayDeadRequest{Cause: "future"})
	if err != nil || reply.GetReplayed() != 2 || reply.GetKeptTotal() != 0 {
		t.Fatalf("replay: %v, %v", reply, err)
	}
	say()
	until(t, "the engine has read both", func() bool { // it reads behind the answer
		return strings.Contains(w.metrics(), `quadrat_engine_reports_total{outcome="duplicate"} 2`+"\n")
	})
	if rows := w.exported("reports"); rows != 1 {
		t.Errorf("%d reports counted of one that came five times", rows)
	}
	for _, line := range []string{
		`quadrat_engine_reports_total{outcome="counted"} 1`, `quadrat_engine_reports_total{outcome="duplicate"} 2`,
		`quadrat_engine_reports_total{outcome="future"} 2`, `quadrat_engine_reports_total{outcome="unknown-kappa"} 0`,
		`quadrat_intake_requests_rejected_total{cause="wrong-identity"} 0`, `quadrat_dead_letters_replayed_total{outcome="replayed"} 2`,
	} {
		if text := w.metrics(); !strings.Contains(text, line+"\n") {
			t.Errorf("/metrics has no %s", line)
		}
	}
	w.kept(0)
	var refused *client.Error
	if _, err := w.api.DeadLetter(t.Context(), 1); !errors.As(err, &refused) || refused.HTTPStatus != http.StatusNotFound {
		t.Errorf("a letter that was replayed: %v", err)
	}
}
