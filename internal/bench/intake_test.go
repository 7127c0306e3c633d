package bench

import (
	"log/slog"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// TestLoadsAreStored: what the intake is measured with, it stores, a report for each that is counted as answered.
func TestLoadsAreStored(t *testing.T) {
	config := Config{Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)}
	b, err := openBroker(t.Context(), config, "intake")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	stop, err := startIntake(b)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop() }()
	for _, l := range []load{singles(1), batches()} {
		m, err := b.Conn().Request(broker.PrefixIn+"bench-0", l.body("bench-0"), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		if reply, err := wire.DecodeIntakeReply(m.Data); err != nil || reply.Status != wire.Stored {
			t.Fatalf("%d reports: %+v, %v", l.reports, reply, err)
		}
	}
	state, err := streamState(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	if state.Msgs <= 1 { // the devices of a batch are of many partitions
		t.Errorf("%d messages are stored", state.Msgs)
	}
}
