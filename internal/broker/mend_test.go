package broker

import (
	"errors"
	"testing"
	"time"
)

// TestStreamsStartAnew: after a write of a stream has failed nothing is well until JetStream has been started anew; then what was acknowledged is
// there, more is taken over connections that stayed, and every write is still synced.
func TestStreamsStartAnew(t *testing.T) {
	b := open(t, Config{StoreDir: t.TempDir()})
	if err := Ensure(t.Context(), b.JetStream(), Limits{}); err != nil {
		t.Fatal(err)
	}
	publish := func(want uint64) {
		t.Helper()
		ack, err := b.JetStream().Publish(t.Context(), ReportSubject(3), []byte("x"))
		if err != nil || ack.Sequence != want {
			t.Fatalf("%v, %v; want position %d", ack, err, want)
		}
	}
	publish(1)
	if err := b.Fault(); err != nil {
		t.Fatal(err)
	}
	for want := uint64(2); want < 4; want++ { // a second time, too
		logger{b.config.Log, &b.health}.Errorf("Filestore [%s] Critical write error: %v", StreamReports, errors.ErrUnsupported)
		if err := b.Fault(); !errors.Is(err, ErrNoRoom) {
			t.Fatalf("a broken stream is told as %v", err)
		}
		for begun := time.Now(); b.Fault() != nil; time.Sleep(10 * time.Millisecond) {
			if time.Since(begun) > readyPatience {
				t.Fatal("the streams were not started anew")
			}
		}
		publish(want)
		if !b.server.JetStreamConfig().SyncAlways {
			t.Error("writes are no longer synced")
		}
	}
}
