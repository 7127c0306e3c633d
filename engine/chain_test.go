package engine

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// TestChainHoldsEachPlaceOnce: a new owner that reads the log again, and an old one that is late, add nothing that stands there; a gap is a
// fault.
func TestChainHoldsEachPlaceOnce(t *testing.T) {
	w := newWorld(t, 1)
	newCrowd(w, 2)
	owner := func() *Engine {
		e, err := New(Config{
			JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: t.TempDir(),
			Part: &Part{Share: 1, Shares: 2, Follower: knowing{}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	put := func(e *Engine, mark, previous uint64) error {
		h := handover{spot: spot{mark: mark}, share: 1, shares: 2, markMs: int64(mark), previous: previous}
		part := handed{spot: h.spot, previous: previous, body: encodeHandover(h)[0]}
		err := e.putHandover(t.Context(), &part)
		if err != nil && !errors.Is(err, errChain) { // what stands there has changed: the next try looks
			err = e.putHandover(t.Context(), &part)
		}
		return err
	}
	first, second := owner(), owner()
	for _, step := range []struct {
		by             *Engine
		mark, previous uint64
		gap            bool
	}{
		{first, 5, 0, false},
		{first, 7, 5, false},
		{second, 5, 0, false},
		{second, 7, 5, false},
		{second, 9, 7, false},
		{first, 9, 7, false},
		{first, 11, 9, false},
		{second, 11, 9, false},
		{second, 15, 13, true},
	} {
		if err := put(step.by, step.mark, step.previous); errors.Is(err, errChain) != step.gap || !step.gap && err != nil {
			t.Fatalf("mark %d: %v", step.mark, err)
		}
	}
	stream, err := w.broker.JetStream().Stream(t.Context(), broker.StreamPartials)
	if err != nil {
		t.Fatal(err)
	}
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(broker.PartialSubject(1)))
	if err != nil || info.State.Msgs != 4 {
		t.Errorf("%d handovers in the chain of 4, %v", info.State.Msgs, err)
	}
}

// TestNoResultOfAPart: a window that only some shares have closed gives no result, also when the merger is another by the time that the last
// one closes it.
func TestNoResultOfAPart(t *testing.T) {
	w := newWorld(t, 1)
	w.populate(60)
	record := w.deploy("k1", 1, nil, meanPlan("hybrid"))
	checkpoints := &kept{}
	merger := func() *Engine {
		e, err := New(Config{
			JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Checkpoints: checkpoints.own(),
			Part: &Part{Share: Merger, Shares: 2, Follower: knowing{}},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Apply(record); err != nil {
			t.Fatal(err)
		}
		e.inform = e.informer(t.Context())
		return e
	}
	of := func(e *Engine, count int64) gathered {
		k := e.kappas["k1"]
		f := k.frame(w.registry, k.plans[0], firstWindow)
		return gathered{
			ref: "k1", index: firstWindow, revision: 1, fingerprint: f.fingerprint, closes: true,
			slots: []gatheredSlot{{at: 0, moments: survey.Moments{Count: count, Mean: 20, M2: 1, Noise: 1}}},
		}
	}
	take := func(e *Engine, mark uint64, byShare ...[]gathered) []*quadratv1.Result {
		e.mu.Lock()
		defer e.mu.Unlock()
		out := &output{}
		e.take(&message{sequence: mark, markMs: end(firstWindow).UnixMilli() + int64(mark), round: &round{
			gathered: byShare, positions: []uint64{mark, mark + 1},
		}}, out)
		return out.results
	}
	e := merger()
	if got := take(e, 10, []gathered{of(e, 3)}, nil); len(got) != 0 {
		t.Fatalf("%d results when one share of two has closed the window", len(got))
	}
	e.mu.Lock()
	checkpoints.content = e.encodePart(e.encode())
	e.mu.Unlock()
	next := merger()
	half, content, err := decodePart(checkpoints.content, next.config.Part)
	if err != nil {
		t.Fatal(err)
	}
	s, err := decodeCheckpoint(content)
	if err != nil {
		t.Fatal(err)
	}
	next.sequence = s.sequence
	for i := range s.kappas {
		next.adopt(&s.kappas[i])
	}
	next.resume(half)
	if got := take(next, 12, nil, nil); len(got) != 0 {
		t.Fatalf("%d results of a later mark", len(got))
	}
	got := take(next, 14, nil, []gathered{of(next, 4)})
	if len(got) != 1 || got[0].GetReports() != 7 || got[0].GetRevision() != 1 {
		t.Fatalf("results %v", got)
	}
	again := of(next, 1)
	if got := take(next, 16, []gathered{again}, nil); len(got) != 0 {
		t.Errorf("a window was closed twice by one share: %v", got)
	}
	again.closes = false
	if got := take(next, 18, []gathered{again}, nil); len(got) != 1 || got[0].GetReports() != 8 || got[0].GetRevision() != 2 {
		t.Errorf("late reports of one share: %v", got)
	}
}
