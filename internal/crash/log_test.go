package crash_test

import (
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/follow"
)

// again runs what the brokers hold, reports, marks, plans and fleet, through a new cluster over a broker of its own, which nobody disturbs, and
// gives what came of the windows that begin before a moment.
func (o *town) again(keyer fleet.Keyer, c *course, until time.Time) *outcome {
	o.t.Helper()
	w := &rig{t: o.t, dir: o.t.TempDir()}
	var err error
	w.broker, err = broker.Open(o.t.Context(), broker.Config{StoreDir: filepath.Join(w.dir, "nats"), Log: slog.New(slog.DiscardHandler)})
	must(o.t, err)
	must(o.t, broker.Ensure(o.t.Context(), w.broker.JetStream(), broker.Limits{}))
	w.sender, err = w.broker.Connect("devices")
	must(o.t, err)
	defer w.close()
	w.marks = w.broker.JetStream()
	for _, name := range []string{broker.StreamReports, "KV_" + broker.BucketDevices} {
		copyStream(w, o.js, name)
	}
	w.clock = clock.NewManual(w.lastMark()) // so that no further mark is due
	w.keyer = keyer
	w.load()
	calm := newTroop(w, c, time.Second, 2)
	return calm.muster(c, until)
}

// copyStream publishes the messages of a stream in their order into that of the same name at a rig's broker.
func copyStream(w *rig, from jetstream.JetStream, name string) {
	w.t.Helper()
	stream, err := from.Stream(w.t.Context(), name)
	must(w.t, err)
	last := stream.CachedInfo().State.LastSeq
	to, err := jetstream.New(w.sender)
	must(w.t, err)
	reader := follow.Reader{Stream: stream}
	must(w.t, reader.Read(w.t.Context(), func(m follow.Message) (bool, error) {
		out := &nats.Msg{Subject: m.Subject(), Data: m.Data(), Header: nats.Header{}}
		for key, values := range m.Headers() {
			if !strings.HasPrefix(key, "Nats-") { // what these ask of a stream has been done
				out.Header[key] = values
			}
		}
		if _, err := to.PublishMsgAsync(out, jetstream.WithStallWait(patience)); err != nil {
			return false, err
		}
		return m.Position < last, nil
	}))
	select {
	case <-to.PublishAsyncComplete():
	case <-time.After(patience):
		w.t.Fatalf("%s was not copied", name)
	}
	copied, err := w.broker.JetStream().Stream(w.t.Context(), name)
	must(w.t, err)
	if got, want := copied.CachedInfo().State, stream.CachedInfo().State; got.Msgs != want.Msgs {
		w.t.Fatalf("%d messages of %s were copied of %d", got.Msgs, name, want.Msgs)
	}
}
