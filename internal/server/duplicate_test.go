package server_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestCopiedDiskIsSeen lets two devices speak by one name, as a disk that was copied with all that is on it makes them
// do: the presence record counts it, and a dead letter tells the operator.
func TestCopiedDiskIsSeen(t *testing.T) {
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, t.TempDir(), now)
	conn, err := nats.Connect(w.server.Addresses().NATS, nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, session := range []uint32{11, 22, 11, 22} {
		h := wire.Hello{
			Device: "pi-7", Capabilities: []wire.Capability{{Name: "sense.temperature"}}, Session: session,
			Limits: wire.Limits{EpsilonMicro: 1, PeriodMs: 1, Models: []string{"local"}},
		}
		if _, err := conn.Request(wire.HelloSubject("pi-7"), h.Append(nil), patience); err != nil {
			t.Fatal(err)
		}
	}
	d, err := w.api.Device(t.Context(), "pi-7")
	if err != nil || d.GetCounters()["duplicate_identity"] != 2 {
		t.Errorf("presence %v, %v", d.GetCounters(), err)
	}
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), broker.StreamDeadLetter)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the doubt is a dead letter", func() bool {
		m, err := stream.GetLastMsgForSubject(t.Context(), broker.DeadSubject("duplicate-identity"))
		if err != nil {
			return false
		}
		var letter quadratv1.DeadLetter
		if err := proto.Unmarshal(m.Data, &letter); err != nil || letter.GetSubject() != wire.HelloSubject("pi-7") {
			t.Fatalf("dead letter %v, %v", &letter, err)
		}
		return true
	})
}
