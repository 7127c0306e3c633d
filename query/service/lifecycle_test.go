package service_test

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
)

const indoor = "KAPPA indoor AS SELECT mean(temperature) FROM sense.temperature"

func TestLifeOfAKappa(t *testing.T) {
	s := newStack(t, nil)
	status, header, body := s.call(http.MethodPut, "/kappa?n=400", indoor, "Content-Type", "text/plain")
	ref := strings.TrimPrefix(header.Get("Location"), "/kappa/")
	if status != http.StatusCreated || !regexp.MustCompile(`^k[2-9a-hj-km-np-z]{5}$`).MatchString(ref) {
		t.Fatalf("status %d, location %q: %s", status, header.Get("Location"), body)
	}
	if !strings.Contains(body, `"population":12000`) {
		t.Errorf("no plan in %s", body)
	}
	if got := s.planner.drafts[0].Params["n"]; got != 400 {
		t.Errorf("$n is %v", got)
	}
	again := s.object(http.StatusOK, http.MethodPut, "/kappa?n=400", indoor)
	if again["ref"] != ref {
		t.Errorf("the same script again has reference %v, want %s", again["ref"], ref)
	}
	s.object(http.StatusConflict, http.MethodPut, "/kappa?n=400", indoor+" WHERE a = 1")
	s.object(http.StatusConflict, http.MethodPut, "/kappa?n=401", indoor)
	list := s.object(http.StatusOK, http.MethodGet, "/kappa", "")["kappas"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["state"] != "running" || list[0].(map[string]any)["created"] != "2026-11-20T10:00:10Z" {
		t.Errorf("list %v", list)
	}
	byName := s.object(http.StatusOK, http.MethodGet, "/kappa/indoor/plan", "")
	if byName["kappa"].(map[string]any)["ref"] != ref || byName["kappa"].(map[string]any)["script"] != indoor {
		t.Errorf("plan %v", byName)
	}
	if status, header, body := s.call(http.MethodDelete, "/kappa/indoor", ""); status != http.StatusNoContent || body != "" || header.Get("Content-Type") != "" {
		t.Errorf("delete: %d %q", status, body)
	}
	if len(s.engine.kappas) != 0 {
		t.Error("the engine still has it")
	}
	s.object(http.StatusNotFound, http.MethodDelete, "/kappa/indoor", "")
	s.object(http.StatusNotFound, http.MethodGet, "/kappa/indoor", "")
	s.object(http.StatusOK, http.MethodGet, "/kappa/"+ref, "") // its results stay
	if next := s.put(indoor); next == ref {
		t.Error("a deleted kappa's reference was used again")
	}
}

func TestErrorsTellWhatToDo(t *testing.T) {
	s := newStack(t, nil)
	for _, path := range []string{"/kappa", "/explain"} {
		method := map[string]string{"/kappa": http.MethodPut, "/explain": http.MethodPost}[path]
		broken := s.object(http.StatusBadRequest, method, path, "SELECT\nBROKEN")
		detail := broken["details"].([]any)[0].(map[string]any)
		if broken["code"] != 3.0 || detail["line"] != 2.0 || detail["column"] != 7.0 || detail["hint"] != "write mean(x)" ||
			detail["message"] != "a statistic is expected" {
			t.Errorf("%s: %v", path, broken)
		}
		infeasible := s.object(http.StatusUnprocessableEntity, method, path, `{"script": "IMPOSSIBLE"}`, "Content-Type", "application/json")
		detail = infeasible["details"].([]any)[0].(map[string]any)
		if detail["best_margin"] != 0.5 || detail["best_panel"] != 200.0 || detail["options"].([]any)[0] != "a longer window" {
			t.Errorf("%s: %v", path, infeasible)
		}
		s.object(http.StatusBadRequest, method, path, "")
		s.object(http.StatusBadRequest, method, path+"?n=many", indoor)
		s.object(http.StatusBadRequest, method, path, `{"scrip": "x"}`)
		s.object(http.StatusRequestEntityTooLarge, method, path, strings.Repeat("x", 2<<20))
	}
	s.object(http.StatusNotFound, http.MethodGet, "/kappa/k22222", "")
	s.object(http.StatusNotFound, http.MethodGet, "/nowhere", "")
	s.object(http.StatusMethodNotAllowed, http.MethodPatch, "/kappa", "")
	s.object(http.StatusMethodNotAllowed, http.MethodDelete, "/devices", "")
	s.object(http.StatusNotFound, http.MethodPost, "/kappa/k22222", `{"paused":true}`)
	s.object(http.StatusRequestEntityTooLarge, http.MethodPost, "/kappa/x", strings.Repeat(" ", 2<<20)+"{}")
	s.object(http.StatusNotFound, http.MethodGet, "/devices/nobody", "")
	ref := s.put(indoor)
	s.object(http.StatusBadRequest, http.MethodPost, "/kappa/"+ref, `{}`)
	s.object(http.StatusBadRequest, http.MethodGet, "/kappa/"+ref+"?limit=200000", "")
	s.object(http.StatusBadRequest, http.MethodGet, "/kappa/"+ref+"?since=yesterday", "")
	s.object(http.StatusBadRequest, http.MethodGet, "/kappa/"+ref+"?sins=2026-11-20T10:00:00Z", "")
	s.object(http.StatusBadRequest, http.MethodGet, "/kappa/"+ref+"/export?what=secrets", "")
}

func TestUpdateMakesARevision(t *testing.T) {
	s := newStack(t, nil)
	ref := s.put(indoor)
	plans, err := s.broker.Conn().SubscribeSync(broker.SubjectPlan)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.broker.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	for i, step := range []struct {
		body  string
		state string
	}{{`{"paused":true}`, "paused"}, {`{"params":{"n":500}}`, "paused"}, {`{"paused":false}`, "running"}} {
		kappa := s.object(http.StatusOK, http.MethodPost, "/kappa/indoor", step.body)["kappa"].(map[string]any)
		if kappa["state"] != step.state || kappa["revision"] != float64(i+2) {
			t.Errorf("after %s: %v", step.body, kappa)
		}
		message, err := plans.NextMsg(time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		told := &quadratv1.PlanBroadcast{}
		if err := proto.Unmarshal(message.Data, told); err != nil {
			t.Fatal(err)
		}
		if told.GetPreviousVersion() != uint64(i+1) || told.GetPlanSetVersion() != uint64(i+2) ||
			told.GetPlan().GetPaused() != (step.state == "paused") {
			t.Errorf("after %s devices hear %v", step.body, told)
		}
	}
	s.object(http.StatusUnprocessableEntity, http.MethodPost, "/kappa/indoor", `{"params":{"n":5000}}`)
	s.object(http.StatusOK, http.MethodPost, "/kappa/indoor", `{"paused":false}`)
	got := s.engine.kappas[ref]
	if got.GetKappa().GetRevision() != 4 || got.GetKappa().GetParams()["n"] != 500 {
		t.Errorf("the engine has %v", got.GetKappa())
	}
	if salts := string(got.GetRevisions()[0].GetDevice().GetSalt()); salts != string(got.GetRevisions()[1].GetDevice().GetSalt()) || len(salts) != 16 {
		t.Error("a revision has another salt, or none")
	}
}

// TestOtherSitesChangeNothing: what a browser sends for a page of another site may read and not write.
func TestOtherSitesChangeNothing(t *testing.T) {
	s := newStack(t, nil)
	ref := s.put(indoor)
	for _, header := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Origin", "https://other.example"}} {
		plain := append([]string{"Content-Type", "text/plain"}, header...)
		refused := s.object(http.StatusForbidden, http.MethodPost, "/kappa/"+ref, `{"paused":true}`, plain...)
		if refused["code"] != 7.0 {
			t.Errorf("%v: %v", header, refused)
		}
		s.object(http.StatusForbidden, http.MethodDelete, "/kappa/"+ref, "", header...)
		s.object(http.StatusOK, http.MethodGet, "/kappa", "", header...)
	}
	s.object(http.StatusOK, http.MethodPost, "/kappa/"+ref, `{"paused":true}`, "Origin", s.http.URL, "Sec-Fetch-Site", "same-origin")
}

// TestNotReadyWhileTheEngineWaits: a server whose disk is full answers, but is not ready, and keeps the cause to its log.
func TestNotReadyWhileTheEngineWaits(t *testing.T) {
	var fault atomic.Pointer[error]
	s := newStack(t, func(c *service.Config) {
		c.Fault = func() error {
			if err := fault.Load(); err != nil {
				return *err
			}
			return nil
		}
	})
	full := errors.New("commit: /secret/path: no space left on device")
	fault.Store(&full)
	if status, _, body := s.call(http.MethodGet, "/readyz", ""); status != http.StatusServiceUnavailable || strings.Contains(body, "secret") {
		t.Errorf("%d %s", status, body)
	}
	s.object(http.StatusOK, http.MethodGet, "/kappa", "")
	fault.Store(nil)
	s.ready()
}

// TestPauseNeedsNoPlan pauses a kappa that could not be planned any more, and fails to resume it.
func TestPauseNeedsNoPlan(t *testing.T) {
	s := newStack(t, nil)
	ref := s.put(indoor)
	s.planner.refuse(true)
	paused := s.object(http.StatusOK, http.MethodPost, "/kappa/indoor", `{"paused":true}`)
	if kappa := paused["kappa"].(map[string]any); kappa["state"] != "paused" || kappa["revision"] != 2.0 {
		t.Errorf("paused: %v", kappa)
	}
	if plan := paused["plan"].(map[string]any); plan["revision"] != 2.0 || plan["population"] != 12000.0 {
		t.Errorf("its plan: %v", plan)
	}
	revisions := s.engine.kappas[ref].GetRevisions()
	if len(revisions) != 2 || revisions[0].GetDevice().GetPaused() || !revisions[1].GetDevice().GetPaused() {
		t.Errorf("the engine has %v", revisions)
	}
	s.object(http.StatusUnprocessableEntity, http.MethodPost, "/kappa/indoor", `{"paused":false}`)
	s.planner.refuse(false)
	s.object(http.StatusOK, http.MethodPost, "/kappa/indoor", `{"paused":false}`)
}

func TestRestartRemembers(t *testing.T) {
	b := openBroker(t, t.TempDir())
	s := stackOn(t, b, nil)
	ref := s.put(indoor)
	gone := s.put("SELECT 2")
	s.object(http.StatusOK, http.MethodPost, "/kappa/indoor", `{"paused":true}`)
	if status, _, _ := s.call(http.MethodDelete, "/kappa/"+gone, ""); status != http.StatusNoContent {
		t.Fatal(status)
	}
	want := s.engine.kappas[ref]
	s.stop()
	after := stackOn(t, b, nil)
	if got := after.engine.kappas[ref]; !proto.Equal(got, want) || len(after.engine.kappas) != 1 {
		t.Errorf("after a restart the engine is told %v, want %v", after.engine.kappas, want)
	}
	plans, version, live := after.service.Since(0)
	if version != 4 || len(live) != 1 || live[0] != ref || len(plans) != 2 {
		t.Errorf("version %d, live %v, %d plans", version, live, len(plans))
	}
	if plans, _, _ := after.service.Since(version); len(plans) != 0 {
		t.Errorf("%d plans for a device that has all", len(plans))
	}
	if plans, _, _ := after.service.Since(version + 7); len(plans) != 2 {
		t.Errorf("%d plans for a device of another plan set", len(plans))
	}
	after.object(http.StatusOK, http.MethodGet, "/kappa/"+gone, "")
	kept := after.object(http.StatusOK, http.MethodPut, "/kappa", indoor)
	if kept["ref"] != ref {
		t.Errorf("reference %v, want %s", kept["ref"], ref)
	}
}

func TestRedrawFollowsTheFrame(t *testing.T) {
	s := newStack(t, nil)
	s.planner.set(0, "")
	ref := s.put(indoor)
	<-s.engine.applied
	state := func() any {
		return s.object(http.StatusOK, http.MethodGet, "/kappa/indoor/plan", "")["kappa"].(map[string]any)["state"]
	}
	if got := state(); got != "waiting" {
		t.Errorf("state %v", got)
	}
	s.planner.set(12_000, "the frame was empty")
	s.clock.Set(start.Add(90 * time.Second)) // the middle of the plan's first window
	record := <-s.engine.applied
	s.planner.set(12_000, "")
	next := record.GetRevisions()[1].GetDevice()
	if next.GetRevision() != 2 || next.GetFromWindow() != record.GetRevisions()[0].GetDevice().GetFromWindow()+1 {
		t.Errorf("new revision %v", next)
	}
	eventually(t, "the state is running", func() bool { return state() == "running" })
	if _, _, live := s.service.Since(0); live[0] != ref {
		t.Errorf("live %v", live)
	}
}

func TestResults(t *testing.T) {
	s := newStack(t, nil)
	ref := s.put(indoor)
	empty := s.object(http.StatusOK, http.MethodGet, "/kappa/"+ref, "")["results"].([]any)
	if len(empty) != 0 {
		t.Errorf("results %v before any", empty)
	}
	asia := map[string]string{"region": "asia"}
	s.publish(result(ref, 10, 1, asia), result(ref, 10, 1, nil), result(ref, 11, 1, nil), result(ref, 12, 1, nil), result(ref, 12, 1, asia),
		result(ref, 11, 2, nil), result(ref, 11, 1, nil))
	get := func(query string) []any {
		return s.object(http.StatusOK, http.MethodGet, "/kappa/indoor"+query, "")["results"].([]any)
	}
	eventually(t, "the revision of window 11 arrived", func() bool {
		all := get("?since=1970-01-01T00:11:00Z&until=1970-01-01T00:12:00Z")
		return len(all) == 1 && all[0].(map[string]any)["revision"] == 2.0
	})
	newest := get("")
	if len(newest) != 2 || newest[0].(map[string]any)["window_start"] != "1970-01-01T00:12:00Z" {
		t.Fatalf("the latest window is %v", newest)
	}
	if first := newest[0].(map[string]any); len(first["cell"].(map[string]any)) != 0 || first["value"] != 21.0 || first["final"] != true ||
		len(first["warnings"].([]any)) != 0 {
		t.Errorf("first result %v", first)
	}
	if got := len(get("?limit=3")); got != 3 {
		t.Errorf("%d results with limit 3", got)
	}
	all := get("?since=1970-01-01T00:00:00Z")
	if len(all) != 6 || all[0].(map[string]any)["window_start"] != "1970-01-01T00:01:00Z" {
		t.Errorf("%d results of all, first %v; want the archive's before the index's", len(all), all[0])
	}
	_, header, text := s.call(http.MethodGet, "/kappa/indoor", "", "Accept", "text/csv")
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil || len(rows) != 3 || header.Get("Content-Type") != "text/csv; charset=utf-8" || rows[1][2] != "1970-01-01T00:12:00Z" {
		t.Errorf("csv: %v %v", err, rows)
	}
	_, _, stream := s.call(http.MethodGet, "/kappa/indoor", "", "Accept", "application/vnd.apache.arrow.stream")
	reader, err := ipc.NewReader(strings.NewReader(stream))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Release()
	if !reader.Next() || reader.Record().NumRows() != 2 {
		t.Error("arrow: not two rows")
	}
	if _, _, text := s.call(http.MethodGet, "/kappa/indoor/export?what=reports", ""); text != "reports of "+ref {
		t.Errorf("export: %s", text)
	}
}

// readEvents reads n events of a stream and gives their ids and data.
func (s *stack) readEvents(n int, header ...string) (ids, data []string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.http.URL+"/kappa/indoor", http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	for len(data) < n && lines.Scan() {
		if id, ok := strings.CutPrefix(lines.Text(), "id: "); ok {
			ids = append(ids, id)
		}
		if d, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
			data = append(data, d)
		}
	}
	if len(data) != n {
		s.t.Fatalf("%d events of %d: %v", len(data), n, lines.Err())
	}
	return ids, data
}

func TestEventsFollowAndResume(t *testing.T) {
	s := newStack(t, nil)
	ref := s.put(indoor)
	s.publish(result(ref, 10, 1, nil), result(ref, 11, 1, nil))
	eventually(t, "both results are in", func() bool {
		return len(s.object(http.StatusOK, http.MethodGet, "/kappa/indoor?limit=5&since=1970-01-01T00:10:00Z", "")["results"].([]any)) == 2
	})
	ids, _ := s.readEvents(1)
	if ids[0] != "2" {
		t.Errorf("the stream begins with %v, want the newest window", ids)
	}
	s.publish(result(ref, 12, 1, nil))
	ids, data := s.readEvents(2, "Last-Event-ID", "1")
	if fmt.Sprint(ids) != "[2 3]" || !strings.Contains(data[1], `"window_start":"1970-01-01T00:12:00Z"`) {
		t.Errorf("ids %v, data %v", ids, data)
	}
}

func TestSlowReaderIsDropped(t *testing.T) {
	s := newStack(t, func(c *service.Config) { c.WatchMax = 1 })
	ref := s.put(indoor)
	stuck := make(chan struct{})
	closed := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		closed <- s.service.WatchKappa(&quadratv1.WatchKappaRequest{Ref: "indoor"}, &stuckStream{ctx: t.Context(), begun: begun, stuck: stuck})
	}()
	eventually(t, "the reader follows", func() bool {
		_, _, text := s.call(http.MethodGet, "/metrics", "")
		return strings.Contains(text, "quadrat_followers 1")
	})
	s.publish(result(ref, 10, 1, nil))
	<-begun
	for w := int64(11); w < 14; w++ {
		s.publish(result(ref, w, 1, nil))
	}
	eventually(t, "the service went on without the reader", func() bool {
		_, _, text := s.call(http.MethodGet, "/metrics", "")
		return strings.Contains(text, "quadrat_results_total 4") && strings.Contains(text, "quadrat_followers 0")
	})
	close(stuck)
	var e *service.Error
	if err := <-closed; err == nil || !asService(err, &e) || e.Code != service.Slow {
		t.Errorf("the slow reader is told %v", err)
	}
}
