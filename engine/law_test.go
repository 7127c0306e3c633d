package engine

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// TestLostFrameIsTold restarts over a registry that has forgotten devices: nothing more is counted in the open window, and
// its result says so.
func TestLostFrameIsTold(t *testing.T) {
	w := newWorld(t, 4)
	w.populate(80)
	record := w.deploy("k1", 1, nil, meanPlan("none"))
	w.start(true, nil, record)
	w.clock.Set(end(firstWindow).Add(-time.Millisecond))
	said := w.answers(record, firstWindow, 1)
	w.publish(said[:40], 100)
	w.caughtUp()
	w.stop()
	w.registry = fleet.New(fleet.NewKeyer([16]byte{1}))
	w.populate(79)
	w.start(true, nil, record)
	w.publish(said[40:], 100)
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	w.stop()
	got := w.sink.newest()[0]
	if got.GetReports() != 40 || !slices.ContainsFunc(got.GetWarnings(), func(s string) bool { return strings.Contains(s, "frame was lost") }) {
		t.Errorf("%d reports, warnings %v", got.GetReports(), got.GetWarnings())
	}
}

// TestEventTimeCloses closes a window while the clock stands, once every partition has gone beyond it, and not before.
func TestEventTimeCloses(t *testing.T) {
	w := newWorld(t, 4)
	w.populate(2000)
	record := w.deploy("k1", 1, nil, meanPlan("none"))
	e, err := New(Config{
		JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Clock: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Apply(record); err != nil {
		t.Fatal(err)
	}
	w.clock.Set(end(firstWindow + 1))
	said := w.answers(record, firstWindow, 1)
	said = append(said, w.answers(record, firstWindow+1, 1)...)
	slices.SortFunc(said, func(a, b answer) int { return int(fleet.Partition(a.key)) - int(fleet.Partition(b.key)) })
	var out output
	for i, a := range said {
		if len(out.results) > 0 {
			t.Fatalf("closed before partition %d was read", fleet.Partition(a.key))
		}
		g := &quadratv1.StoredGroup{
			Kappa: a.ref, Revision: 1, Window: a.window, Device: []uint64{uint64(a.key)}, Statistic: []uint32{0}, Value: []int64{a.value},
		}
		body, err := proto.Marshal(&quadratv1.StoredBatch{Version: 1, Groups: []*quadratv1.StoredGroup{g}})
		if err != nil {
			t.Fatal(err)
		}
		partition := fleet.Partition(a.key)
		e.take(&message{sequence: uint64(i + 1), partition: partition, subject: broker.ReportSubject(partition), data: body}, &out)
		if partition == broker.Partitions-1 && a.window == firstWindow+1 {
			break
		}
	}
	if len(out.results) != 1 || out.results[0].GetWindowStart().AsTime().UnixMilli() != firstWindow*windowMs {
		t.Errorf("results %v, want those of the first window", out.results)
	}
}

// TestDroppedRevision takes the revision of a window that has not closed away, as the bound on a record's size can: the
// engine goes on with the windows of the next one.
func TestDroppedRevision(t *testing.T) {
	w := newWorld(t, 4)
	w.populate(40)
	e, err := New(Config{
		JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Clock: w.clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	record := w.deploy("k1", 1, nil, meanPlan("none"))
	if err := e.Apply(record); err != nil {
		t.Fatal(err)
	}
	later := proto.Clone(record).(*quadratv1.KappaRecord)
	later.GetRevisions()[0].GetDevice().Revision = 2
	later.GetRevisions()[0].GetDevice().FromWindow = firstWindow + 3
	if err := e.Apply(later); err != nil {
		t.Fatal(err)
	}
	var out output
	e.take(&message{sequence: 1, partition: broker.Partitions, markMs: end(firstWindow + 3).UnixMilli()}, &out)
	if len(out.results) != 1 || out.results[0].GetPlanRevision() != 2 {
		t.Errorf("results %v, want those of the window that is left", out.results)
	}
}

func TestApplyRefuses(t *testing.T) {
	w := newWorld(t, 4)
	w.populate(40)
	e, err := New(Config{JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	good := w.deploy("k1", 2, nil, meanPlan("hybrid"))
	cases := map[string]func(*quadratv1.KappaRecord){
		"no revision":  func(r *quadratv1.KappaRecord) { r.Revisions = nil },
		"can't be run": func(r *quadratv1.KappaRecord) { r.GetRevisions()[0].GetDevice().GetStatistics()[0].Kind = "median" },
		"statistic":    func(r *quadratv1.KappaRecord) { r.GetRevisions()[0].GetDevice().GetStatistics()[0].Mechanism = "magic" },
		"bounds":       func(r *quadratv1.KappaRecord) { r.GetRevisions()[0].GetDevice().GetStatistics()[0].HiMicro = 0 },
		"out of range": func(r *quadratv1.KappaRecord) { r.GetRevisions()[0].GetDevice().Salt = nil },
		"confidence":   func(r *quadratv1.KappaRecord) { r.GetRevisions()[0].GetDevice().Confidence = 1 },
		"reference":    func(r *quadratv1.KappaRecord) { r.GetRevisions()[0].GetDevice().Ref = "k2" },
		"another one": func(r *quadratv1.KappaRecord) {
			strata := r.GetRevisions()[0].GetDevice().GetStrata()
			strata[1].Members = strata[0].GetMembers()
		},
	}
	for want, change := range cases {
		bad := proto.Clone(good).(*quadratv1.KappaRecord)
		change(bad)
		if err := e.Apply(bad); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
	}
	for range 2 {
		if err := e.Apply(good); err != nil {
			t.Fatal(err)
		}
	}
	if got := e.Status().Kappas; got != 1 {
		t.Errorf("%d kappas, want 1", got)
	}
	gone := proto.Clone(good).(*quadratv1.KappaRecord)
	gone.Deleted = timestamppb.Now()
	if err := e.Apply(gone); err != nil || e.Status().Kappas != 0 {
		t.Errorf("deleted: error %v, %d kappas", err, e.Status().Kappas)
	}
	if _, err := New(Config{ResponseFloor: 2}); err == nil || strings.Count(err.Error(), "\n") != 4 {
		t.Errorf("faults of an empty config: %v", err)
	}
}

// TestNoRunningMeanOfRepeatedPanels: where the same devices answer window after window while others rest, their sampling
// errors don't average out, and no running mean is shown. Where all take turns, or a lap is long enough for the next one
// to ask those who rested, there is one.
func TestNoRunningMeanOfRepeatedPanels(t *testing.T) {
	w := newWorld(t, 4)
	w.populate(40)
	const circle = 1 << 64
	for name, c := range map[string]struct {
		lap      uint32
		rotation string
		share    float64 // of the circle that has arcs
		repeats  bool
	}{
		"fixed":                         {1, "fixed", 1, true},
		"all take turns":                {2, "rotating", 1, false},
		"the same in every window":      {1, "rotating", 0.99, true},
		"ten laps, two fifths rest":     {6, "rotating", 0.6, true},
		"ten laps, few rest":            {6, "rotating", 0.97, false},
		"a long lap, and then the rest": {panel.TurnWindows, "rotating", 0.1, false},
	} {
		revision := w.deploy("k1", c.lap, nil, meanPlan("none")).GetRevisions()[0]
		revision.Plan.Rotation = c.rotation
		last := revision.GetDevice().GetStrata()[0].GetLast()
		for i := range last {
			last[i] = min(last[i], uint64(min(c.share*circle, math.Nextafter(circle, 0))))
		}
		if c.share == 1 {
			last[len(last)-1] = math.MaxUint64
		}
		p, err := newPlan(revision)
		if err != nil {
			t.Fatal(err)
		}
		if p.repeats != c.repeats {
			t.Errorf("%s: repeats is %v", name, p.repeats)
		}
	}
	w.clock.Set(end(firstWindow - 1))
	record := w.deploy("k1", 2, nil, meanPlan("none"))
	last := record.GetRevisions()[0].GetDevice().GetStrata()[0].GetLast()
	last[len(last)-1] = last[0] // half of the first stratum rests
	w.start(true, nil, record)
	w.script(record, 2, func() {})
	w.stop()
	for _, r := range w.sink.newest() {
		if r.Running != nil {
			t.Errorf("a running mean of repeated panels: %v", r.GetRunning())
		}
	}
}
