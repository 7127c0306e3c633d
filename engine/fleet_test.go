package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/privacy"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

const (
	windowMs = 1000
	graceMs  = 200
)

var epoch = time.UnixMilli(1_800_000_000_000).UTC()

// firstWindow is the index of the window that begins at epoch.
const firstWindow = 1_800_000_000_000 / windowMs

// world is a fleet, a kappa and everything that an engine needs.
type world struct {
	// scoring gives the score of a value in place of the statistic, when it is set: that of one category.
	scoring  func(s statistic, value int64) float64
	t        *testing.T
	rand     *rand.Rand
	broker   *broker.Broker
	registry *fleet.Registry
	clock    *clock.Manual
	sink     *memorySink
	folder   string
	record   *quadratv1.KappaRecord
	stop     func()
	engine   *Engine
	panes    int64                 // of a window of results; 0 stands for 1
	compiled map[string]*statistic // by their plans, as bytes
}

func newWorld(t *testing.T, seed uint64) *world {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := broker.Ensure(t.Context(), b.JetStream(), broker.Limits{}); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, rand: rand.New(rand.NewPCG(seed, 1)), broker: b, registry: fleet.New(fleet.NewKeyer([16]byte{1})),
		clock: clock.NewManual(epoch.Add(-time.Hour)), sink: newMemorySink(), folder: t.TempDir(),
		compiled: map[string]*statistic{},
	}
	return w
}

// join lets a device say hello at a moment.
func (w *world) join(id string, attributes map[string]string, at time.Time) {
	w.t.Helper()
	err := w.registry.Hello(&quadratv1.Hello{
		Device: id, Attributes: attributes,
		Capabilities: []*quadratv1.Capability{{Name: "sense.temperature", Open: true}},
		Limits:       &quadratv1.Limits{EpsilonMicro: 8e6, PeriodMs: 3.6e6, Models: []string{"local", "none"}},
		Mechanisms:   []string{"three-output"},
	}, at)
	if err != nil {
		w.t.Fatal(err)
	}
}

// populate joins so many devices with random regions and cells, some without.
func (w *world) populate(n int) {
	regions, kinds := []string{"asia", "europe", "africa", ""}, []string{"mixed", "air", ""}
	for i := range n {
		attributes := map[string]string{"floor": fmt.Sprint(i % 3)}
		if region := regions[w.rand.IntN(len(regions))]; region != "" {
			attributes["region"] = region
		}
		if kind := kinds[w.rand.IntN(len(kinds))]; kind != "" {
			attributes["cooling"] = kind
		}
		w.join(fmt.Sprintf("d%d", i), attributes, epoch.Add(-2*time.Hour))
	}
}

// deploy makes a kappa over the fleet as it is, partitioned over a lap.
func (w *world) deploy(ref string, lap uint32, groupBy []string, statistics ...*quadratv1.StatisticPlan) *quadratv1.KappaRecord {
	w.t.Helper()
	model := "local"
	if statistics[0].GetMechanism() == "none" {
		model = "none"
	}
	plan := &quadratv1.DevicePlan{
		Ref: ref, Name: "name-" + ref, Revision: 1, FromWindow: firstWindow, WindowMs: windowMs, GraceMs: graceMs,
		Salt: []byte("0123456789abcdef"), Capability: "sense.temperature", StratifiedBy: []string{"region"}, LapWindows: lap,
		Statistics: statistics, Model: model, EpsilonMicro: 4e6, EpsilonPeriodMicro: 4e6, PeriodMs: 3.6e6, GroupBy: groupBy,
		Confidence: 0.95,
	}
	for _, name := range []string{"asia", "europe", "africa", ""} {
		plan.Strata = append(plan.Strata, w.stratum(plan, name))
	}
	w.record = &quadratv1.KappaRecord{
		Version: 1, Kappa: &quadratv1.Kappa{Ref: ref, Name: plan.GetName()},
		Revisions: []*quadratv1.PlanRevision{{Device: plan, Plan: &quadratv1.Plan{Rotation: "rotating"}}},
	}
	return w.record
}

func (w *world) stratum(plan *quadratv1.DevicePlan, name string) *quadratv1.StratumPlan {
	w.t.Helper()
	var numbers []panel.Number
	for _, r := range w.registry.Frame(fleet.Query{}, epoch.Add(-time.Hour)) {
		if r.Attributes["region"] == name {
			numbers = append(numbers, panel.NumberOf(panel.Salt(plan.GetSalt()), r.ID))
		}
	}
	slices.Sort(numbers)
	slots := uint32(len(plan.GetStatistics()))
	arcs := panel.Partition(len(numbers), int(plan.GetLapWindows()*slots))
	rotation, err := panel.Draw(numbers, 0, plan.GetLapWindows(), slots, arcs)
	if err != nil {
		w.t.Fatal(err)
	}
	label := name
	if label == "" {
		label = "(missing)"
	}
	return &quadratv1.StratumPlan{
		Name: label, Members: []*quadratv1.AttributeValues{{Values: []string{name}}},
		Origin: uint64(rotation.Origin), Last: rotation.Last,
	}
}

// answer is one report, before it is packed.
type answer struct {
	ref       string
	revision  uint32
	window    int64
	key       fleet.Key
	statistic uint32
	value     int64
}

// answers gives what the due devices of a window say: random codes.
func (w *world) answers(record *quadratv1.KappaRecord, window int64, response float64) []answer {
	plan := record.GetRevisions()[0].GetDevice()
	var out []answer
	for _, r := range w.registry.Frame(fleet.Query{}, time.UnixMilli(window*windowMs)) {
		for _, s := range plan.GetStrata() {
			if s.GetMembers()[0].GetValues()[0] != r.Attributes["region"] {
				continue
			}
			rotation := panel.Rotation{
				LapWindows: plan.GetLapWindows(), Slots: uint32(len(plan.GetStatistics())),
				Origin: panel.Number(s.GetOrigin()), Last: s.GetLast(),
			}
			statistic, due := rotation.Due(numberOf(plan, s, r), window)
			if !due || w.rand.Float64() > response {
				continue
			}
			out = append(out, answer{
				ref: plan.GetRef(), revision: 1, window: window, key: r.Key, statistic: statistic,
				value: w.code(plan.GetStatistics()[statistic]),
			})
		}
	}
	w.rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// numberOf is the permanent random number by which a device of a stratum takes its turn: its own, or that of its cluster.
func numberOf(plan *quadratv1.DevicePlan, s *quadratv1.StratumPlan, r *fleet.Row) panel.Number {
	if by := plan.GetClusteredBy(); by != "" {
		return panel.NumberOfCluster(panel.Salt(plan.GetSalt()), s.GetName(), r.Attributes[by], r.ID)
	}
	return panel.NumberOf(panel.Salt(plan.GetSalt()), r.ID)
}

// cluster draws the clusters that an attribute makes, in place of devices.
func (w *world) cluster(record *quadratv1.KappaRecord, attribute string) *quadratv1.KappaRecord {
	w.t.Helper()
	plan := record.GetRevisions()[0].GetDevice()
	plan.ClusteredBy = attribute
	for _, s := range plan.GetStrata() {
		var numbers []panel.Number
		for _, r := range w.registry.Frame(fleet.Query{}, epoch.Add(-time.Hour)) {
			if r.Attributes["region"] == s.GetMembers()[0].GetValues()[0] {
				numbers = append(numbers, numberOf(plan, s, r))
			}
		}
		slices.Sort(numbers)
		numbers = slices.Compact(numbers)
		slots := uint32(len(plan.GetStatistics()))
		rotation, err := panel.Draw(numbers, 0, plan.GetLapWindows(), slots, panel.Partition(len(numbers), int(plan.GetLapWindows()*slots)))
		if err != nil {
			w.t.Fatal(err)
		}
		s.Origin, s.Last = uint64(rotation.Origin), rotation.Last
	}
	return record
}

// compile makes what an engine knows of a statistic, once: the scores of all codes are thousands of numbers.
func (w *world) compile(s *quadratv1.StatisticPlan) *statistic {
	w.t.Helper()
	key, err := proto.MarshalOptions{Deterministic: true}.Marshal(s)
	if err != nil {
		w.t.Fatal(err)
	}
	if known := w.compiled[string(key)]; known != nil {
		return known
	}
	compiled, err := newStatistic(s, testPrice(s))
	if err != nil {
		w.t.Fatal(err)
	}
	w.compiled[string(key)] = &compiled
	return &compiled
}

func (w *world) code(s *quadratv1.StatisticPlan) int64 {
	bit := s.GetKind() == "proportion" || s.GetKind() == "count"
	switch {
	case s.GetMechanism() == "none" && bit:
		return w.rand.Int64N(2) * 1_000_000
	case s.GetMechanism() == "none" && s.GetCategories() > 0:
		return w.rand.Int64N(int64(s.GetCategories()))
	case s.GetMechanism() == "none":
		return s.GetLoMicro() + w.rand.Int64N(s.GetHiMicro()-s.GetLoMicro()+1)
	}
	compiled := w.compile(s)
	if b := compiled.bins; b != nil && b.Wave != nil {
		return w.rand.Int64N(int64(b.Wave.Codes()))
	} else if b != nil {
		report, err := b.Set.Randomise(uint32(w.rand.IntN(b.Categories)), privacy.NewSeeded(w.rand.Uint64()), make([]byte, 0, 8))
		if err != nil {
			w.t.Fatal(err)
		}
		return int64(binary.LittleEndian.Uint64(report[:8]))
	}
	return w.rand.Int64N(int64(len(compiled.scores)))
}

// publish stores answers, at most so many a message.
func (w *world) publish(answers []answer, most int) {
	w.t.Helper()
	byPartition := map[uint32][]answer{}
	for _, a := range answers {
		p := fleet.Partition(a.key)
		byPartition[p] = append(byPartition[p], a)
	}
	for p := range uint32(broker.Partitions) {
		for part := range slices.Chunk(byPartition[p], most) {
			w.publishBatch(p, part)
		}
	}
}

func (w *world) publishBatch(partition uint32, answers []answer) {
	w.t.Helper()
	batch := &quadratv1.StoredBatch{Version: 1}
	for _, a := range answers {
		at := slices.IndexFunc(batch.GetGroups(), func(g *quadratv1.StoredGroup) bool {
			return g.GetKappa() == a.ref && g.GetRevision() == a.revision && g.GetWindow() == a.window
		})
		if at < 0 {
			at = len(batch.GetGroups())
			batch.Groups = append(batch.Groups, &quadratv1.StoredGroup{Kappa: a.ref, Revision: a.revision, Window: a.window})
		}
		g := batch.GetGroups()[at]
		g.Device = append(g.Device, uint64(a.key))
		g.Statistic = append(g.Statistic, a.statistic)
		g.Value = append(g.Value, a.value)
	}
	body, err := proto.Marshal(batch)
	if err != nil {
		w.t.Fatal(err)
	}
	w.publishRaw(broker.ReportSubject(partition), body)
}

func (w *world) publishRaw(subject string, body []byte) {
	w.t.Helper()
	if _, err := w.broker.JetStream().Publish(w.t.Context(), subject, body); err != nil {
		w.t.Fatal(err)
	}
}

// start runs an engine; stop ends it as a killed process does unless orderly.
func (w *world) start(orderly bool, change func(*Config), records ...*quadratv1.KappaRecord) {
	w.t.Helper()
	config := Config{
		JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Clock: w.clock,
		CheckpointEvery: 5 * time.Millisecond, ReviseAfter: 100 * time.Millisecond, RecordRows: 64,
	}
	if change != nil {
		change(&config)
	}
	e, err := New(config)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, r := range records {
		if err := e.Apply(r); err != nil {
			w.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.run(ctx, orderly) }()
	w.engine = e
	w.stop = func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, ErrFenced) {
			w.t.Error(err)
		}
		w.stop = func() {}
	}
	w.t.Cleanup(func() { w.stop() })
}

// end is the moment at which a window closes.
func end(window int64) time.Time { return time.UnixMilli((window+1)*windowMs + graceMs).UTC() }

// from is when the window of results begins that ends with a window of devices.
func (w *world) from(window int64) int64 { return (window + 1 - max(1, w.panes)) * windowMs }

// closed waits until a window has results of at least this revision.
func (w *world) closed(window int64, revision uint32) {
	w.t.Helper()
	w.sink.wait(w.t, fmt.Sprintf("revision %d of window %d", revision, window-firstWindow), func() bool {
		return slices.ContainsFunc(w.sink.results, func(r *quadratv1.Result) bool {
			return r.GetWindowStart().AsTime().UnixMilli() == w.from(window) && r.GetRevision() >= revision
		})
	})
}

// caughtUp waits until the engine has read all of REPORTS.
func (w *world) caughtUp() {
	w.t.Helper()
	stream, err := w.broker.JetStream().Stream(w.t.Context(), broker.StreamReports)
	if err != nil {
		w.t.Fatal(err)
	}
	for last := stream.CachedInfo().State.LastSeq; w.engine.Status().Sequence < last; {
		time.Sleep(time.Millisecond)
	}
}
