package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/query/service"
)

// windowMs is the window of every plan that the planner of these tests draws.
const windowMs = 60_000

var nameOf = regexp.MustCompile(`^KAPPA (\w+) AS`)

// planner reads scripts of one word each: BROKEN, IMPOSSIBLE, or anything else, which is a good one.
type planner struct {
	mu         sync.Mutex // guards everything below
	population uint32
	stale      string // what Redraw answers
	refuses    bool   // every plan is infeasible
	statistic  *quadratv1.StatisticPlan
	supposed   float64 // its standard deviation in every plan
	batch      float64 // reports of the smallest batch in every plan
	drafts     []service.Draft
}

func (p *planner) Name(source string, _ map[string]float64) (string, error) {
	if strings.Contains(source, "BROKEN") {
		return "", &script.Error{Line: 2, Column: 7, Message: "a statistic is expected", Hint: "write mean(x)"}
	}
	if m := nameOf.FindStringSubmatch(source); m != nil {
		return m[1], nil
	}
	return "", nil
}

func (p *planner) Plan(_ context.Context, d service.Draft) (*quadratv1.PlanRevision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drafts = append(p.drafts, d)
	if p.refuses || strings.Contains(d.Script, "IMPOSSIBLE") || d.Params["n"] > 1000 {
		return nil, &plan.Infeasible{Reason: "too few devices", BestMargin: 0.5, BestPanel: 200, Options: []string{"a longer window"}}
	}
	from := d.Now.UnixMilli()/windowMs + 1
	revision := &quadratv1.PlanRevision{
		Device: &quadratv1.DevicePlan{
			Ref: d.Ref, Name: d.Name, Revision: d.Revision, FromWindow: from, WindowMs: windowMs, Salt: d.Salt, LapWindows: 60,
		},
		Plan: &quadratv1.Plan{
			Name: d.Name, Revision: d.Revision, Population: p.population, From: timestamppb.New(time.UnixMilli(from * windowMs)),
		},
	}
	if e := d.Params["e"]; e > 0 {
		revision.Device.EpsilonMicro, revision.Device.EpsilonPeriodMicro = uint64(e*1e6), uint64(e*1e6)
		revision.Device.PeriodMs = 60 * windowMs
		revision.Plan.Privacy = &quadratv1.Privacy{Model: "local", EpsilonPerReport: e, EpsilonPerPeriod: e, Mechanism: "warner"}
		revision.Plan.SmallestBatch = p.batch
	}
	if p.statistic != nil {
		revision.Device.Statistics = []*quadratv1.StatisticPlan{p.statistic}
		revision.Plan.Statistics = []*quadratv1.StatisticView{{Name: p.statistic.GetName(), AssumedStdDev: p.supposed}}
	}
	return revision, nil
}

// tell gives every plan a statistic and what it supposes of it.
func (p *planner) tell(statistic *quadratv1.StatisticPlan, supposed float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statistic, p.supposed = statistic, supposed
}

// newest is the draft that was planned last.
func (p *planner) newest() service.Draft {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.drafts[len(p.drafts)-1]
}

func (p *planner) Redraw(service.Draft) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.stale, nil
}

func (p *planner) set(population uint32, stale string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.population, p.stale = population, stale
}

func (p *planner) refuse(all bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuses = all
}

func (p *planner) Where(text string) (*attr.Predicate, error) {
	if text == "" {
		return nil, nil
	}
	return &attr.Predicate{Op: "=", Attribute: "region", Values: []attr.Literal{{Text: text}}}, nil
}

// engine remembers what it was told.
type engine struct {
	mu      sync.Mutex // guards kappas
	kappas  map[string]*quadratv1.KappaRecord
	applied chan *quadratv1.KappaRecord
	refuses string // the reference, or the name, of a kappa that can't be run
}

// Check fails for the kappa that can't be run.
func (e *engine) Check(r *quadratv1.KappaRecord) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if k := r.GetKappa(); e.refuses != "" && (k.GetRef() == e.refuses || k.GetName() == e.refuses) {
		return errors.New("kind \"mode\" can't be run")
	}
	return nil
}

func (e *engine) refuse(name string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.refuses = name
}

func (e *engine) Apply(r *quadratv1.KappaRecord) error {
	if err := e.Check(r); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.kappas[r.GetKappa().GetRef()] = proto.CloneOf(r)
	e.applied <- r
	return nil
}

// Checkpoint has nothing to write.
func (e *engine) Checkpoint(context.Context) error { return nil }

// Weigh says nothing of memory.
func (e *engine) Weigh(*quadratv1.PlanRevision) {}

func (e *engine) Remove(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.kappas, ref)
}

// devices is a fleet of three.
type devices struct{}

func (devices) all() []*quadratv1.Device {
	return []*quadratv1.Device{
		{Id: "a", Attributes: map[string]string{"region": "asia"}},
		{Id: "b", Attributes: map[string]string{"region": "europe"}},
		{Id: "c", Attributes: map[string]string{"region": "asia"}, PlanSetVersion: 3},
	}
}

func (f devices) Device(id string) (*quadratv1.Device, bool) {
	for _, d := range f.all() {
		if d.GetId() == id {
			return d, true
		}
	}
	return nil, false
}

func (f devices) List(where *attr.Predicate, after string, limit int) (found []*quadratv1.Device, total int, next string) {
	for _, d := range f.all() {
		if !where.Match(d.GetAttributes()) {
			continue
		}
		total++
		if d.GetId() > after && len(found) < limit {
			found = append(found, d)
		} else if d.GetId() > after && next == "" {
			next = found[len(found)-1].GetId()
		}
	}
	return found, total, next
}

// archive has one old result and exports a fixed text.
type archive struct{}

func (archive) Results(_ context.Context, span service.Span) ([]*quadratv1.Result, error) {
	old := result(span.Ref, 1, 1, nil)
	if at := old.GetWindowStart().AsTime(); at.Before(span.Since) || !span.Until.IsZero() && !at.Before(span.Until) {
		return nil, nil
	}
	return []*quadratv1.Result{old}, nil
}

func (archive) Export(_ context.Context, w io.Writer, what string, span service.Span) error {
	_, err := fmt.Fprintf(w, "%s of %s", what, span.Ref)
	return err
}

func result(ref string, window int64, revision uint32, cell map[string]string) *quadratv1.Result {
	return &quadratv1.Result{
		Kappa: "indoor", Ref: ref, WindowStart: timestamppb.New(time.UnixMilli(window * windowMs)),
		WindowEnd: timestamppb.New(time.UnixMilli((window + 1) * windowMs)), Revision: revision, Final: true, Cell: cell,
		Statistic: "mean(temperature)", Value: new(20 + float64(revision)), Confidence: 0.95, Reports: 200,
	}
}

// stack is a service with a real broker underneath and fakes beside it.
type stack struct {
	t       testing.TB
	clock   *clock.Manual
	planner *planner
	engine  *engine
	broker  *broker.Broker
	service *service.Service
	http    *httptest.Server
	stop    func()
}

var start = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func openBroker(t testing.TB, dir string) *broker.Broker {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := broker.Ensure(t.Context(), b.JetStream(), broker.Limits{}); err != nil {
		t.Fatal(err)
	}
	return b
}

func newStack(t testing.TB, change func(*service.Config)) *stack {
	t.Helper()
	return stackOn(t, openBroker(t, t.TempDir()), change)
}

// stackOn is a service that has read what the broker keeps.
func stackOn(t testing.TB, b *broker.Broker, change func(*service.Config)) *stack {
	t.Helper()
	s := &stack{
		t: t, clock: clock.NewManual(start.Add(10 * time.Second)), planner: &planner{population: 12_000}, broker: b,
		engine: &engine{kappas: map[string]*quadratv1.KappaRecord{}, applied: make(chan *quadratv1.KappaRecord, 64)},
	}
	kv, err := b.JetStream().KeyValue(t.Context(), broker.BucketPlans)
	if err != nil {
		t.Fatal(err)
	}
	cfg := service.Config{
		Planner: s.planner, Engine: s.engine, Fleet: devices{}, Plans: kv, Broadcast: b.Conn(), Results: b.JetStream(),
		Archive: archive{}, Dead: dead{}, Clock: s.clock, Entropy: rand.NewChaCha8([32]byte{1}), Heartbeat: time.Hour,
	}
	if change != nil {
		change(&cfg)
	}
	if s.service, err = service.New(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	handler, err := s.service.Handler()
	if err != nil {
		t.Fatal(err)
	}
	s.http = httptest.NewServer(handler)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.service.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		s.http.Close()
	})
	t.Cleanup(s.stop)
	s.ready()
	return s
}

// call makes a request and gives status, header and body.
func (s *stack) call(method, path, body string, header ...string) (int, http.Header, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.http.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply.StatusCode, reply.Header, string(bytes.TrimSpace(text))
}

// object calls and decodes the JSON answer, which must have this status.
func (s *stack) object(status int, method, path, body string, header ...string) map[string]any {
	s.t.Helper()
	got, _, text := s.call(method, path, body, header...)
	if got != status {
		s.t.Fatalf("%s %s: status %d, want %d: %s", method, path, got, status, text)
	}
	var out map[string]any
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		s.t.Fatalf("%s %s: %v: %s", method, path, err, text)
	}
	return out
}

// ready waits until the service says that it is.
func (s *stack) ready() {
	s.t.Helper()
	eventually(s.t, "the service is ready", func() bool {
		status, _, _ := s.call(http.MethodGet, "/readyz", "")
		return status == http.StatusOK
	})
}

// put deploys a script and gives its reference.
func (s *stack) put(text string) string {
	s.t.Helper()
	ref, ok := s.object(http.StatusCreated, http.MethodPut, "/kappa", text, "Content-Type", "text/plain")["ref"].(string)
	if !ok {
		s.t.Fatal("no reference")
	}
	return ref
}

// publish puts results on the stream and waits until the service has them.
func (s *stack) publish(results ...*quadratv1.Result) {
	s.t.Helper()
	for _, r := range results {
		raw, err := proto.Marshal(r)
		if err != nil {
			s.t.Fatal(err)
		}
		if _, err := s.broker.JetStream().Publish(s.t.Context(), broker.ResultSubject(r.GetRef()), raw); err != nil {
			s.t.Fatal(err)
		}
	}
}

// eventually polls for something that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for range 12_000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("not within a minute: %s", what)
}
