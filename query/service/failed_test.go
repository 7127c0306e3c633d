package service_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
)

// journal is a log that may be read while it is written.
type journal struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// TestRefusedKappaLeavesNothing: what the engine refuses is neither stored nor listed, and the next start finds the rest.
func TestRefusedKappaLeavesNothing(t *testing.T) {
	b := openBroker(t, t.TempDir())
	s := stackOn(t, b, nil)
	ref := s.put(indoor)
	s.engine.refuse("bad")
	s.object(http.StatusInternalServerError, http.MethodPut, "/kappa", "KAPPA bad AS SELECT 1")
	s.engine.refuse(ref)
	s.object(http.StatusInternalServerError, http.MethodPost, "/kappa/"+ref, `{"params":{"n":7}}`)
	if list := s.object(http.StatusOK, http.MethodGet, "/kappa", "")["kappas"].([]any); len(list) != 1 || list[0].(map[string]any)["revision"] != 1.0 {
		t.Errorf("list %v", list)
	}
	want := s.engine.kappas[ref]
	s.stop()
	after := stackOn(t, b, nil)
	if got := after.engine.kappas; len(got) != 1 || !proto.Equal(got[ref], want) {
		t.Errorf("after a restart the engine is told %v, want %v", got, want)
	}
}

// TestBadRecordsDoNotStopTheServer: one that the engine refuses and one that is no record stand in the list as failed, can
// be deleted and nothing else, and are told to no device.
func TestBadRecordsDoNotStopTheServer(t *testing.T) {
	b := openBroker(t, t.TempDir())
	s := stackOn(t, b, nil)
	good, bad := s.put(indoor), s.put("KAPPA bad AS SELECT 1")
	s.stop()
	kv, err := b.JetStream().KeyValue(t.Context(), broker.BucketPlans)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "kappa.kbrokn", []byte("no record")); err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	after := stackOn(t, b, func(c *service.Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
		c.Engine.(*engine).refuse(bad)
	})
	for _, ref := range []string{bad, "kbrokn"} {
		if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "ref="+ref) {
			t.Errorf("the log does not name %s:\n%s", ref, log)
		}
	}
	states := map[string]any{}
	for _, k := range after.object(http.StatusOK, http.MethodGet, "/kappa", "")["kappas"].([]any) {
		states[k.(map[string]any)["ref"].(string)] = k.(map[string]any)["state"]
	}
	if len(states) != 3 || states[good] != "running" || states[bad] != "failed" || states["kbrokn"] != "failed" {
		t.Errorf("states %v", states)
	}
	if plans, _, live := after.service.Since(0); len(live) != 1 || live[0] != good || len(plans) != 1 {
		t.Errorf("devices hear of %v: %d plans", live, len(plans))
	}
	after.clock.Set(start.Add(90 * time.Second)) // a redraw leaves them alone
	for _, ref := range []string{bad, "kbrokn"} {
		after.object(http.StatusServiceUnavailable, http.MethodPost, "/kappa/"+ref, `{"paused":true}`)
		after.object(http.StatusOK, http.MethodGet, "/kappa/"+ref+"/plan", "")
		after.object(http.StatusOK, http.MethodGet, "/kappa/"+ref, "")
	}
	after.object(http.StatusServiceUnavailable, http.MethodPut, "/kappa", "KAPPA bad AS SELECT 1")
	for _, ref := range []string{bad, "kbrokn"} {
		if status, _, body := after.call(http.MethodDelete, "/kappa/"+ref, ""); status != http.StatusNoContent {
			t.Errorf("delete %s: %d %s", ref, status, body)
		}
	}
	after.engine.refuse("")
	after.put("KAPPA bad AS SELECT 1")
	after.stop()
	if again := stackOn(t, b, nil); len(again.engine.kappas) != 2 {
		t.Errorf("%d kappas, want 2", len(again.engine.kappas))
	}
}

// TestRedrawKnowsWhatTheFirstPlanKnew: the draft of a redraw has what the plan before it supposed, and what was measured.
func TestRedrawKnowsWhatTheFirstPlanKnew(t *testing.T) {
	s := newStack(t, nil)
	statistic := &quadratv1.StatisticPlan{Name: "mean(temperature)", Kind: "mean", Reading: "temperature"}
	s.planner.tell(statistic, 3)
	ref := s.put(indoor)
	<-s.engine.applied
	s.planner.set(12_000, "the fleet grew")
	s.clock.Set(start.Add(90 * time.Second))
	<-s.engine.applied
	s.planner.set(12_000, "")
	if known := s.planner.newest().Known; len(known) != 1 || known[0].StdDev != 3 || !proto.Equal(known[0].Statistic, statistic) {
		t.Errorf("the redraw knows %+v", known)
	}
	window := start.UnixMilli()/windowMs + 2
	measured := result(ref, window, 1, nil)
	measured.StdError, measured.Population, measured.PlanRevision = new(0.1), 12_000, 2 // of 200 reports
	s.publish(measured)
	eventually(t, "the result is there", func() bool {
		return len(s.object(http.StatusOK, http.MethodGet, "/kappa/indoor", "")["results"].([]any)) == 1
	})
	s.planner.set(12_000, "the fleet shrank")
	s.clock.Set(start.Add(210 * time.Second))
	<-s.engine.applied
	known := s.planner.newest().Known
	if len(known) != 2 || known[0].StdDev != 3 || known[1].StdDev < 1.41 || known[1].StdDev > 1.43 { // 0.1·√(200/(1−f))
		t.Errorf("the second redraw knows %+v", known)
	}
}

func TestHTTPNamesWhatIsWrong(t *testing.T) {
	s := newStack(t, nil)
	ref := s.put(indoor)
	for _, c := range []struct{ method, path, allow string }{
		{http.MethodPatch, "/kappa", "GET, PUT"},
		{http.MethodDelete, "/devices", "GET"},
		{http.MethodPut, "/kappa/" + ref, "DELETE, GET, POST"},
		{http.MethodPost, "/kappa/" + ref + "/plan", "GET"},
		{http.MethodGet, "/explain", "POST"},
		{http.MethodPost, "/healthz", "GET"},
		{http.MethodDelete, "/openapi.json", "GET"},
		{http.MethodPost, "/", "GET"},
	} {
		status, header, body := s.call(c.method, c.path, "")
		if status != http.StatusMethodNotAllowed || header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %d, Allow %q, want %q: %s", c.method, c.path, status, header.Get("Allow"), c.allow, body)
		}
	}
	if status, header, _ := s.call(http.MethodGet, "/nowhere", ""); status != http.StatusNotFound || header.Get("Allow") != "" {
		t.Errorf("an unknown path: %d, Allow %q", status, header.Get("Allow"))
	}
	for body, want := range map[string]string{
		`{"pausd":true}`: `unknown field "pausd"`, `{"paused":"yes"}`: "paused: true or false", `{"params":{"n":"x"}}`: "params.n: a number",
		`{"params":[1]}`: "params: an object", `paused`: "no JSON object", `{"ref":"k22222","paused":true}`: "ref: ", ``: "no JSON object",
	} {
		got := s.object(http.StatusBadRequest, http.MethodPost, "/kappa/"+ref, body)["message"].(string)
		if !strings.Contains(got, want) || !strings.Contains(got, `{"paused": true}`) || strings.Contains(got, "proto") {
			t.Errorf("%s: %q, want %q in it", body, got, want)
		}
	}
	for _, query := range []string{"?from=2026-11-20T10:00:00Z", "?limit=many", "?until=soon"} {
		got := s.object(http.StatusBadRequest, http.MethodGet, "/kappa/"+ref+query, "", "Accept", "text/event-stream")["message"].(string)
		if plain := s.object(http.StatusBadRequest, http.MethodGet, "/kappa/"+ref+query, "")["message"]; got != plain {
			t.Errorf("%s: %q, without events %q", query, got, plain)
		}
	}
}

// moved is an archive whose rows were put in other files while they were read.
type moved struct{}

// replaced is what storage says then.
type replaced struct{}

func (replaced) Error() string { return "secret/part-1-2.parquet: gone" }
func (replaced) Again() bool   { return true }

func (moved) Results(context.Context, service.Span) ([]*quadratv1.Result, error) {
	return nil, fmt.Errorf("stored results: %w", replaced{})
}

func (moved) Export(context.Context, io.Writer, string, service.Span) error {
	return fmt.Errorf("export: %w", replaced{})
}

// TestWhatWasReplacedIsAskedForAgain: callers are told to ask again, with the code that clients do so for, and not of files.
func TestWhatWasReplacedIsAskedForAgain(t *testing.T) {
	s := newStack(t, func(c *service.Config) { c.Archive = moved{} })
	ref := s.put(indoor)
	for _, path := range []string{"?since=2020-01-01T00:00:00Z", "/export?what=reports"} {
		got := s.object(http.StatusServiceUnavailable, http.MethodGet, "/kappa/"+ref+path, "")
		if text := got["message"].(string); !strings.Contains(text, "ask again") || strings.Contains(text, "secret") {
			t.Errorf("%s: %q", path, text)
		}
	}
}
