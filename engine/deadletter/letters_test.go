package deadletter_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine/deadletter"
	"github.com/quadrat-dev/quadrat/engine/intake"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// patience bounds every wait; none of the tests depends on how long things take below it.
const patience = time.Minute

// secret stands in every message and must stand in no view.
const secret = 7_310_553

// moment is the server's clock.
var moment = time.UnixMilli(1_800_000_000_123).UTC()

// behind maps devices to their gateways.
type behind map[string]string

func (b behind) Lookup(device string) (*fleet.Row, bool) {
	gateway, known := b[device]
	return &fleet.Row{ID: device, Gateway: gateway}, known
}

// bench is a broker with an intake and the letters.
type bench struct {
	t       *testing.T
	broker  *broker.Broker
	devices behind
	letters *deadletter.Letters
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := broker.Ensure(t.Context(), b.JetStream(), broker.Limits{}); err != nil {
		t.Fatal(err)
	}
	w := &bench{t: t, broker: b, devices: behind{}}
	in, err := intake.New(intake.Config{
		Conn: b.Conn(), JetStream: b.JetStream(), Keyer: fleet.NewKeyer([16]byte{9}), Devices: w.devices, StorePatience: patience,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close() })
	w.letters, err = deadletter.New(deadletter.Config{Conn: b.Conn(), JetStream: b.JetStream(), Devices: w.devices, Clock: clock.NewManual(moment)})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// bury stores a letter and gives its sequence.
func (w *bench) bury(cause, subject string, message []byte, length int) uint64 {
	w.t.Helper()
	body, err := proto.Marshal(&quadratv1.DeadLetter{Cause: cause, Subject: subject, Message: message, MessageBytes: uint64(length)})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.publish(broker.DeadSubject(cause), body)
}

func (w *bench) publish(subject string, body []byte) uint64 {
	w.t.Helper()
	ack, err := w.broker.JetStream().PublishMsg(w.t.Context(), &nats.Msg{Subject: subject, Data: body})
	if err != nil {
		w.t.Fatal(err)
	}
	return ack.Sequence
}

// stored counts the messages of REPORTS.
func (w *bench) stored() uint64 {
	w.t.Helper()
	stream, err := w.broker.JetStream().Stream(w.t.Context(), broker.StreamReports)
	if err != nil {
		w.t.Fatal(err)
	}
	return stream.CachedInfo().State.Msgs
}

func (w *bench) replay(sequences []uint64, cause string, replayed, kept uint64) *quadratv1.ReplayDeadResponse {
	w.t.Helper()
	out, err := w.letters.Replay(w.t.Context(), sequences, cause)
	if err != nil {
		w.t.Fatal(err)
	}
	if out.GetReplayed() != replayed || out.GetKeptTotal() != kept || len(out.GetKept()) != int(kept) {
		w.t.Fatalf("replay of %v %q: %v, want %d replayed and %d kept", sequences, cause, out, replayed, kept)
	}
	return out
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func batch(t *testing.T, gateway string, devices ...string) []byte {
	t.Helper()
	b := &quadratv1.GatewayBatch{Gateway: gateway, Kappa: "k1", Revision: 1, Window: 5, Device: devices}
	for range devices {
		b.Statistic, b.Value = append(b.GetStatistic(), 0), append(b.GetValue(), secret)
	}
	return encode(t, &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: b}})
}

func refused(t *testing.T, version uint32, keys ...uint64) []byte {
	t.Helper()
	g := &quadratv1.StoredGroup{Kappa: "k1", Revision: 1, Window: 5, Device: keys}
	for range keys {
		g.Statistic, g.Value = append(g.GetStatistic(), 0), append(g.GetValue(), secret)
	}
	return encode(t, &quadratv1.StoredBatch{Version: version, Groups: []*quadratv1.StoredGroup{g}})
}

// TestReplayPassesTheIntake lets a batch in once its device is known to stand behind the gateway, and no sooner.
func TestReplayPassesTheIntake(t *testing.T) {
	w := newBench(t)
	body := batch(t, "gw", "d1", "d2")
	seq := w.bury("not-its-gateway", "quadrat.in.gw", body, len(body))
	w.devices["d1"] = "gw"
	if out := w.replay([]uint64{seq}, "", 0, 1); !strings.Contains(out.GetKept()[0].GetReason(), "not-its-gateway") {
		t.Errorf("kept for %q", out.GetKept()[0].GetReason())
	}
	if n := w.stored(); n != 0 {
		t.Fatalf("%d messages stored of a batch that the intake refuses", n)
	}
	w.devices["d2"] = "gw"
	w.replay([]uint64{seq}, "", 1, 0)
	n := w.stored()
	if n == 0 {
		t.Fatal("nothing was stored")
	}
	w.replay([]uint64{seq}, "", 0, 1) // it is a dead letter no more
	if w.stored() != n {
		t.Error("a replayed letter was stored again")
	}
	if _, err := w.letters.Get(t.Context(), seq); !errors.Is(err, deadletter.ErrNone) {
		t.Errorf("a replayed letter is still there: %v", err)
	}
}

// TestReplayOfRefusedReports publishes what the engine refused into its own partition, once for one letter even when the
// letter outlived the first try.
func TestReplayOfRefusedReports(t *testing.T) {
	w := newBench(t)
	body := refused(t, 1, 3, 67)
	first := w.bury("unknown-kappa", "quadrat.report.3", body, len(body))
	w.bury("not-due", "quadrat.report.3", body, len(body))
	w.replay(nil, "unknown-kappa", 1, 0)
	stream, err := w.broker.JetStream().Stream(t.Context(), broker.StreamReports)
	if err != nil {
		t.Fatal(err)
	}
	m, err := stream.GetMsg(t.Context(), 1)
	if err != nil || m.Subject != "quadrat.report.3" || !bytes.HasSuffix(m.Data, body) {
		t.Fatalf("stored %v, %v", m, err)
	}
	again := &quadratv1.StoredBatch{}
	if err := proto.Unmarshal(m.Data, again); err != nil || again.GetVersion() != 1 || again.GetStoredMs() != moment.UnixMilli() {
		t.Errorf("stored %v, %v: not as of the replay", again, err)
	}
	if id := m.Header.Get("Nats-Msg-Id"); id != fmt.Sprintf("dead/%d", first) {
		t.Errorf("identity %q: a second try of the letter would be stored again", id)
	}
	w.replay(nil, "unknown-kappa", 0, 0)
	w.replay(nil, "", 1, 0)
}

// TestWhatCantBeReplayedStays tries every kind of letter that must not be let in.
func TestWhatCantBeReplayedStays(t *testing.T) {
	w := newBench(t)
	w.devices["d1"] = "gw"
	whole := batch(t, "gw", "d1")
	good := refused(t, 1, 3)
	for _, c := range []struct {
		name, subject string
		message       []byte
		length        int
		want          string
	}{
		{"a request of another device", "quadrat.in.other", whole, len(whole), "wrong-identity"},
		{"noise", "quadrat.in.gw", []byte("noise"), 5, "malformed"},
		{"a message that was cut", "quadrat.in.gw", whole, len(whole) + 1, "only the beginning"},
		{"a long message of an older letter", "quadrat.in.gw", make([]byte, 64<<10), 0, "only the beginning"},
		{"a hello", "quadrat.hello.gw", whole, len(whole), "hello"},
		{"a mark", "quadrat.report.clock", good, len(good), "takes no reports"},
		{"another stream's subject", "quadrat.result.k1", good, len(good), "takes no reports"},
		{"no subject", "", good, len(good), "takes no reports"},
		{"a partition that there is not", "quadrat.report.64", refused(t, 1, 64), 1, "takes no reports"},
		{"another partition's device", "quadrat.report.4", good, len(good), "not of the partition"},
		{"another version", "quadrat.report.3", refused(t, 2, 3), 1, "not of a form"},
		{"no reports", "quadrat.report.3", encode(t, &quadratv1.StoredBatch{Version: 1}), 1, "not of a form"},
		{"noise in REPORTS", "quadrat.report.3", []byte{1, 2, 3}, 3, "not of a form"},
	} {
		seq := w.bury("test", c.subject, c.message, c.length)
		view, err := w.letters.Get(t.Context(), seq)
		if err != nil || !strings.Contains(view.GetUnfit(), c.want) {
			t.Errorf("%s: unfit %q, want %q (%v)", c.name, view.GetUnfit(), c.want, err)
		}
		if out := w.replay([]uint64{seq}, "", 0, 1); !strings.Contains(out.GetKept()[0].GetReason(), c.want) {
			t.Errorf("%s: kept for %q, want %q", c.name, out.GetKept()[0].GetReason(), c.want)
		}
	}
	seq := w.publish(broker.DeadSubject("test"), nil)
	w.replay([]uint64{seq, 0, 99}, "", 0, 3)
	if n := w.stored(); n != 0 {
		t.Errorf("%d messages were let in", n)
	}
}

// TestViewsTellNoAnswer looks for what reports said, and for what a broken message may hold, in every view.
func TestViewsTellNoAnswer(t *testing.T) {
	w := newBench(t)
	report := encode(t, &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Report{Report: &quadratv1.Report{
		Device: "d7", Kappa: "tok en", Revision: 2, Window: 9, Value: secret,
	}}})
	release := encode(t, &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Release{Release: &quadratv1.GatewayRelease{
		Gateway: "gw", Kappa: "k1", Parts: []*quadratv1.ReleasePart{{Device: "d1", Values: []int64{secret}}},
	}}})
	for _, c := range []struct {
		subject, kind, devices string
		message                []byte
	}{
		{"quadrat.in.d7", "report", "d7", report},
		{"quadrat.in.gw", "batch", "d1 d2", batch(t, "gw", "d1", "d2")},
		{"quadrat.in.gw", "release", "gw", release},
		{"quadrat.report.3", "stored", "0000000000000003 0000000000000043", refused(t, 1, 3, 67)},
		{"quadrat.hello.d7", "hello", "", []byte("tok en")},
		{"quadrat.in.d7", "unreadable", "", []byte("tok en")},
	} {
		seq := w.bury("test", c.subject, c.message, len(c.message))
		v, err := w.letters.Get(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		var devices []string
		for _, g := range v.GetGroups() {
			devices = append(devices, g.GetDevices()...)
		}
		if v.GetKind() != c.kind || strings.Join(devices, " ") != c.devices || v.GetBytes() != uint64(len(c.message)) {
			t.Errorf("%s: %v", c.kind, v)
		}
		for _, told := range []string{fmt.Sprint(secret), "tok en"} {
			if strings.Contains(v.String(), told) {
				t.Errorf("%s: the view tells %s: %v", c.kind, told, v)
			}
		}
	}
}

func TestListPagesAndPurge(t *testing.T) {
	w := newBench(t)
	for i := range 7 {
		w.bury([]string{"future", "not-due"}[i%2], "quadrat.report.3", []byte{byte(i)}, 1)
	}
	var seen []uint64
	for after := uint64(0); ; {
		page, err := w.letters.List(t.Context(), &quadratv1.ListDeadRequest{Cause: "future", After: after, Limit: 3})
		if err != nil {
			t.Fatal(err)
		}
		if page.GetTotal() != 7 || page.GetBytes() == 0 || len(page.GetCauses()) != 2 || page.GetCauses()[0].GetLetters() != 4 {
			t.Errorf("census %v", page)
		}
		for _, l := range page.GetLetters() {
			seen = append(seen, l.GetSequence())
		}
		if after = page.GetNext(); after == 0 {
			break
		}
	}
	if fmt.Sprint(seen) != "[1 3 5 7]" {
		t.Errorf("listed %v", seen)
	}
	var cause *deadletter.CauseError
	if _, err := w.letters.List(t.Context(), &quadratv1.ListDeadRequest{Cause: "not.due"}); !errors.As(err, &cause) {
		t.Errorf("a cause of two tokens: %v", err)
	}
	for _, c := range []struct {
		request *quadratv1.PurgeDeadRequest
		want    uint64
	}{
		{&quadratv1.PurgeDeadRequest{Cause: "future", Until: 3}, 2},
		{&quadratv1.PurgeDeadRequest{Cause: "not-due"}, 3},
		{&quadratv1.PurgeDeadRequest{Until: 6}, 1},
		{&quadratv1.PurgeDeadRequest{}, 1},
	} {
		if got, err := w.letters.Purge(context.Background(), c.request); err != nil || got != c.want {
			t.Errorf("purge %v: %d, %v, want %d", c.request, got, err, c.want)
		}
	}
}
