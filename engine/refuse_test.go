package engine

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestEveryRefusalIsADeadLetter sends one report for each cause and finds it again in DEADLETTER; none is counted.
func TestEveryRefusalIsADeadLetter(t *testing.T) {
	w := newWorld(t, 21)
	w.populate(200)
	record := w.deploy("k1", 2, nil, meanPlan("hybrid"), bitPlan("proportion", "warner"))
	w.start(true, func(c *Config) { c.Retention = 2 * windowMs * time.Millisecond }, record)
	for window := int64(firstWindow); window < firstWindow+4; window++ {
		w.clock.Set(end(window))
		w.closed(window, 1)
	}
	const now = firstWindow + 4
	w.clock.Set(end(now).Add(-time.Millisecond))
	good := w.answers(record, now, 1)
	rest := w.answers(record, now+1, 1)[0]
	with := func(change func(*answer)) answer {
		a := good[0]
		change(&a)
		return a
	}
	cases := map[string]answer{
		"unknown-kappa":  with(func(a *answer) { a.ref = "nobody" }),
		"wrong-revision": with(func(a *answer) { a.revision = 2 }),
		"future":         with(func(a *answer) { a.window += 100 }),
		"expired":        with(func(a *answer) { a.window = firstWindow }),
		"not-in-frame":   with(func(a *answer) { a.key++ }),
		"not-due":        with(func(a *answer) { a.key = rest.key }),
		"invalid-code":   with(func(a *answer) { a.value = -1 }),
	}
	for _, a := range cases {
		w.publishBatch(fleet.Partition(a.key), []answer{a})
	}
	wrongStatistic := with(func(a *answer) { a.statistic = 1 - a.statistic })
	w.publishBatch(fleet.Partition(wrongStatistic.key), []answer{wrongStatistic})
	w.publishBatch(fleet.Partition(good[0].key), []answer{with(func(a *answer) { a.statistic = 1 << 31 })})
	w.publishRaw(broker.ReportSubject(3), []byte("\xff\xff"))
	w.publishRaw(broker.ReportSubject(3), []byte("\x08\x02\x12\x00"))
	w.clock.Set(end(now))
	w.closed(now, 1)
	w.stop()
	if len(w.sink.rows) != 0 {
		t.Errorf("%d bad reports were counted", len(w.sink.rows))
	}
	found := map[string]int{}
	stream, err := w.broker.JetStream().Stream(t.Context(), broker.StreamDeadLetter)
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		letter := &quadratv1.DeadLetter{}
		if err := proto.Unmarshal(m.Data, letter); err != nil {
			t.Fatal(err)
		}
		if letter.GetSequence() == 0 || m.Subject != broker.DeadSubject(letter.GetCause()) {
			t.Errorf("letter %v on %s", letter, m.Subject)
		}
		found[letter.GetCause()]++
		want, known := cases[letter.GetCause()]
		if !known || letter.GetCause() == "not-due" {
			continue
		}
		batch := &quadratv1.StoredBatch{}
		if err := proto.Unmarshal(letter.GetMessage(), batch); err != nil {
			t.Fatal(err)
		}
		g := batch.GetGroups()[0]
		if g.GetKappa() != want.ref || g.GetDevice()[0] != uint64(want.key) || g.GetValue()[0] != want.value {
			t.Errorf("%s holds %v, want %v", letter.GetCause(), g, want)
		}
	}
	for cause := range cases {
		if found[cause] == 0 {
			t.Errorf("no dead letter for %s", cause)
		}
	}
	if found["not-due"] != 3 || found["malformed"] != 2 {
		t.Errorf("letters %v, want 3 not due and 2 malformed", found)
	}
}

// TestRevisionsAndPause follows a plan from one revision to the next: each window belongs to the one in force, and a
// paused one has no results.
func TestRevisionsAndPause(t *testing.T) {
	w := newWorld(t, 2)
	w.populate(120)
	record := w.deploy("k1", 2, nil, meanPlan("none"))
	next := func(revision uint32, from int64, change func(*quadratv1.DevicePlan)) {
		r := proto.Clone(record.GetRevisions()[0]).(*quadratv1.PlanRevision)
		r.Device.Revision, r.Device.FromWindow = revision, from
		change(r.Device)
		record.Revisions = append(record.Revisions, r)
	}
	next(2, firstWindow+1, func(d *quadratv1.DevicePlan) { d.Paused = true })
	next(3, firstWindow+2, func(d *quadratv1.DevicePlan) {
		d.Where = &quadratv1.Predicate{
			Op: "=", Attribute: "floor", Values: []*quadratv1.Literal{{Text: "1"}},
		}
	})
	w.start(true, nil, record)
	w.clock.Set(end(firstWindow + 2))
	w.closed(firstWindow+2, 1)
	w.stop()
	floor := uint32(0)
	for _, r := range w.registry.Frame(fleet.Query{}, epoch) {
		if r.Attributes["floor"] == "1" {
			floor++
		}
	}
	results := w.sink.newest()
	if len(results) != 2 || results[0].GetPlanRevision() != 1 || results[1].GetPlanRevision() != 3 {
		t.Fatalf("results %v", results)
	}
	if results[0].GetPopulation() != 120 || results[1].GetPopulation() != floor || results[0].GetFrame() == results[1].GetFrame() {
		t.Errorf("populations %d and %d, want 120 and %d", results[0].GetPopulation(), results[1].GetPopulation(), floor)
	}
	if results[0].Value != nil || len(results[0].GetWarnings()) == 0 {
		t.Errorf("an estimate without reports: %v", results[0])
	}
}

// TestResultsStream finds the results in RESULTS as the sink got them.
func TestResultsStream(t *testing.T) {
	w := newWorld(t, 2)
	w.populate(120)
	record := w.deploy("k1", 2, []string{"cooling"}, meanPlan("none"))
	w.start(true, nil, record)
	w.clock.Set(end(firstWindow).Add(-time.Millisecond))
	w.publish(w.answers(record, firstWindow, 0.3), 100)
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	w.stop()
	stream, err := w.broker.JetStream().Stream(t.Context(), broker.StreamResults)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range w.sink.results {
		m, err := stream.GetMsg(t.Context(), uint64(i+1))
		if err != nil {
			t.Fatal(err)
		}
		got := &quadratv1.Result{}
		if err := proto.Unmarshal(m.Data, got); err != nil || !proto.Equal(got, want) {
			t.Errorf("message %d is %v, want %v: %v", i, got, want, err)
		}
		if m.Subject != broker.ResultSubject("k1") || m.Header.Get(jetstream.MsgIDHeader) == "" {
			t.Errorf("subject %s, header %v", m.Subject, m.Header)
		}
	}
	population, panel := int64(0), int64(0)
	for _, h := range w.sink.strata {
		population, panel = population+h.Population, panel+h.Panel
	}
	if first := w.sink.results[0]; population != 120 || panel != int64(first.GetPanel()) || len(w.sink.strata) != 4 {
		t.Errorf("strata hold %d devices, %d due; want 120 and %d", population, panel, first.GetPanel())
	}
	if first := w.sink.results[0]; len(first.GetCell()) != 0 || first.GetResponseRate() > 0.5 || len(first.GetWarnings()) == 0 {
		t.Errorf("no warning of low response: %v", first)
	}
}
