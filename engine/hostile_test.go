package engine

import (
	"bytes"
	"context"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// letters gives the dead letters by cause.
func (w *world) letters() map[string][]*quadratv1.DeadLetter {
	w.t.Helper()
	stream, err := w.broker.JetStream().Stream(w.t.Context(), broker.StreamDeadLetter)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string][]*quadratv1.DeadLetter{}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		letter := &quadratv1.DeadLetter{}
		if err := proto.Unmarshal(m.Data, letter); err != nil {
			w.t.Fatal(err)
		}
		out[letter.GetCause()] = append(out[letter.GetCause()], letter)
	}
	return out
}

// TestAWindowHasOneNumber sends reports whose windows have numbers so large that their moments, in 64 bits, are those of windows that
// run or have passed: a device could be counted again and again, in windows that never close.
func TestAWindowHasOneNumber(t *testing.T) {
	const round = 1 << 61 // windows of 1,000 ms until 64 bits of milliseconds begin anew
	if start, _ := (&plan{windowMs: windowMs}).span(firstWindow + round); start != firstWindow*windowMs {
		t.Fatalf("the number of another window begins at %d", start)
	}
	w := newWorld(t, 23)
	w.populate(200)
	record := w.deploy("k1", 2, nil, meanPlan("hybrid"))
	w.start(true, nil, record)
	w.clock.Set(end(firstWindow - 1))
	forged := append(w.answers(record, firstWindow+round, 1), w.answers(record, firstWindow-900+round, 1)...)
	forged = append(forged, w.answers(record, firstWindow+3*round, 1)...)
	w.publish(forged, 100)
	w.caughtUp()
	if s := w.engine.Status(); s.OpenWindows != 0 {
		t.Errorf("%d windows are open for numbers that no window has", s.OpenWindows)
	}
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	w.stop()
	if len(w.sink.rows) != 0 {
		t.Errorf("%d of %d reports with such numbers were counted", len(w.sink.rows), len(forged))
	}
	refused := 0
	for _, letter := range w.letters()["future"] {
		batch := &quadratv1.StoredBatch{}
		if err := proto.Unmarshal(letter.GetMessage(), batch); err != nil {
			t.Fatal(err)
		}
		for _, g := range batch.GetGroups() {
			refused += len(g.GetDevice())
		}
	}
	if refused != len(forged) {
		t.Errorf("%d of %d reports are dead letters of the future", refused, len(forged))
	}
}

// TestAMessageOfTheLargestSizeIsADeadLetter puts noise into REPORTS that is as large as a message may be, so that its letter would be
// larger than one may be: the engine keeps its beginning and goes on.
func TestAMessageOfTheLargestSizeIsADeadLetter(t *testing.T) {
	w := newWorld(t, 24)
	w.populate(100)
	record := w.deploy("k1", 1, nil, meanPlan("hybrid"))
	w.start(true, nil, record)
	noise := bytes.Repeat([]byte{0xff}, int(w.broker.Conn().MaxPayload()))
	w.publishRaw(broker.ReportSubject(3), noise)
	said := w.answers(record, firstWindow, 1)
	w.clock.Set(end(firstWindow - 1))
	w.publish(said, 100)
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	w.stop()
	if len(w.sink.rows) != len(said) {
		t.Errorf("%d of %d reports behind it were counted", len(w.sink.rows), len(said))
	}
	found := w.letters()["malformed"]
	if len(found) != 1 {
		t.Fatalf("%d letters", len(found))
	}
	if l := found[0]; l.GetMessageBytes() != uint64(len(noise)) || !bytes.HasPrefix(noise, l.GetMessage()) || len(l.GetMessage()) < 1<<10 {
		t.Errorf("the letter holds %d of %d bytes", len(l.GetMessage()), l.GetMessageBytes())
	}
}

// TestALetterFitsItsMessage takes noise of the largest size and asks how large the letter is.
func TestALetterFitsItsMessage(t *testing.T) {
	w := newWorld(t, 25)
	e, err := New(Config{JetStream: w.broker.JetStream(), Frames: w.registry, Sink: w.sink, Folder: w.folder, Clock: w.clock})
	if err != nil {
		t.Fatal(err)
	}
	most := int(w.broker.Conn().MaxPayload())
	e.take(&message{sequence: 1, subject: broker.ReportSubject(3), data: bytes.Repeat([]byte{0xff}, most)}, &e.out)
	if len(e.out.dead) != 1 {
		t.Fatalf("%d letters", len(e.out.dead))
	}
	if n := e.out.dead[0].Size(); n > most || n < most/2 {
		t.Errorf("the letter has %d bytes where %d may be sent", n, most)
	}
}

// learning is a follower that brings a record when it is asked for records.
type learning struct {
	knowing

	engine *Engine
	record *quadratv1.KappaRecord
}

func (l *learning) Records(context.Context) error { return l.engine.Apply(l.record) }

// TestAShareLearnsOfAKappaFromAnyAnswer gives a share the first answer to a kappa that was deployed elsewhere: a report, or a
// release of a gateway. It asks for the record before it refuses either.
func TestAShareLearnsOfAKappaFromAnyAnswer(t *testing.T) {
	registry := fleet.New(fleet.NewKeyer([16]byte{1}))
	h := newHouseholds(t, 6, registry, 40, 40, 1, meanPlan("hybrid"))
	due, _ := h.due(firstWindow)
	sent := &quadratv1.StoredBatch{Version: 1}
	for _, cluster := range due {
		if h.units[cluster][0] != cluster && len(sent.GetReleases()) == 0 {
			sent.Releases = append(sent.Releases, h.release(cluster, firstWindow, 0, everyone, silent))
		}
	}
	reports := &quadratv1.StoredBatch{Version: 1}
	for _, cluster := range due {
		if h.units[cluster][0] == cluster && len(reports.GetGroups()) == 0 {
			reports.Groups = append(reports.Groups, &quadratv1.StoredGroup{
				Kappa: "k1", Revision: 1, Window: firstWindow, Device: []uint64{uint64(h.keyer.Key(cluster))}, Statistic: []uint32{0}, Value: []int64{0},
			})
		}
	}
	for name, batch := range map[string]*quadratv1.StoredBatch{"release": sent, "report": reports} {
		body, err := proto.Marshal(batch)
		if err != nil {
			t.Fatal(err)
		}
		follower, w := &learning{record: h.record}, newWorld(t, 1)
		w.clock.Set(end(firstWindow))
		e, err := New(Config{
			JetStream: w.broker.JetStream(), Frames: registry, Sink: w.sink, Checkpoints: (&kept{}).own(), Clock: w.clock,
			Part: &Part{Share: 0, Shares: 1, Follower: follower},
		})
		if err != nil {
			t.Fatal(err)
		}
		follower.engine, e.inform = e, e.informer(t.Context())
		e.mu.Lock()
		e.take(&message{sequence: 1, subject: broker.ReportSubject(0), data: body}, &e.out)
		e.mu.Unlock()
		if e.out.reports != 1 || len(e.out.dead) != 0 {
			t.Errorf("%s: %d were counted and %d refused", name, e.out.reports, len(e.out.dead))
		}
	}
}
