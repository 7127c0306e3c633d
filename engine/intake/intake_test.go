package intake

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// patience bounds every wait of these tests; none of them depends on how long things take below it.
const patience = time.Minute

var keyer = fleet.NewKeyer([16]byte{9})

// behind maps devices to their gateways.
type behind map[string]string

func (b behind) Lookup(device string) (*fleet.Row, bool) {
	gateway, known := b[device]
	return &fleet.Row{ID: device, Gateway: gateway}, known
}

type bench struct {
	broker *broker.Broker
	intake *Intake
	conn   *nats.Conn
	counts *prometheus.Registry
}

// counted reads a counter, of one cause unless the cause is empty.
func (b *bench) counted(t *testing.T, name, cause string) float64 {
	t.Helper()
	families, err := b.counts.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (cause == "" || m.GetLabel()[0].GetValue() == cause) {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func setUp(t testing.TB, devices Devices, change func(*Config)) *bench {
	t.Helper()
	b, err := broker.Open(context.Background(), broker.Config{StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	if err := broker.Ensure(context.Background(), b.JetStream(), broker.Limits{}); err != nil {
		t.Fatal(err)
	}
	counts := prometheus.NewRegistry()
	config := Config{
		Conn: b.Conn(), JetStream: b.JetStream(), Keyer: keyer, Devices: devices, Registerer: counts, StorePatience: patience,
	}
	if change != nil {
		change(&config)
	}
	i, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := i.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = i.Close() })
	conn, err := nats.Connect(b.URL(), nats.Timeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return &bench{broker: b, intake: i, conn: conn, counts: counts}
}

func encode(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func single(t testing.TB, r *quadratv1.Report) []byte {
	t.Helper()
	return encode(t, &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Report{Report: r}})
}

func (b *bench) ask(t *testing.T, device string, body []byte) *quadratv1.IntakeReply {
	t.Helper()
	m, err := b.conn.Request(broker.PrefixIn+device, body, patience)
	if err != nil {
		t.Fatal(err)
	}
	reply := &quadratv1.IntakeReply{}
	if err := proto.Unmarshal(m.Data, reply); err != nil {
		t.Fatal(err)
	}
	return reply
}

// found reads REPORTS with the generated code and counts each report, by its content behind the key.
func (b *bench) found(t *testing.T) map[string]int {
	t.Helper()
	stream, err := b.broker.JetStream().Stream(t.Context(), broker.StreamReports)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if err != nil {
			t.Fatal(err)
		}
		batch := &quadratv1.StoredBatch{}
		if err := proto.Unmarshal(m.Data, batch); err != nil || batch.GetVersion() != 1 {
			t.Fatalf("message %d: %v", seq, err)
		}
		for _, g := range batch.GetGroups() {
			for i, key := range g.GetDevice() {
				if m.Subject != broker.ReportSubject(fleet.Partition(fleet.Key(key))) {
					t.Errorf("key %x on %s", key, m.Subject)
				}
				out[fmt.Sprint(key, g.GetKappa(), g.GetRevision(), g.GetWindow(), g.GetStatistic()[i], g.GetValue()[i])]++
			}
		}
	}
	return out
}

func line(device string, r *quadratv1.Report) string {
	return fmt.Sprint(uint64(keyer.Key(device)), r.GetKappa(), r.GetRevision(), r.GetWindow(), r.GetStatistic(), r.GetValue())
}

func TestStoresWhatItAnswers(t *testing.T) {
	b := setUp(t, behind{}, func(c *Config) { c.BatchReports = 50 })
	want := map[string]int{}
	var mu sync.Mutex
	var group sync.WaitGroup
	for worker := range 20 {
		group.Go(func() {
			for n := range 40 {
				device := fmt.Sprintf("d-%d_%d", worker, n)
				r := &quadratv1.Report{
					Device: device, Kappa: fmt.Sprint("k", n%3), Revision: 1 + uint32(n%2), Window: int64(n) * 1e9,
					Statistic: uint32(n % 4), Value: int64(n-20) << n,
				}
				if got := b.ask(t, device, single(t, r)); got.GetStatus() != quadratv1.IntakeReply_STATUS_STORED {
					t.Errorf("answer %v", got)
				}
				mu.Lock()
				want[line(device, r)]++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if got := b.found(t); !maps.Equal(got, want) {
		t.Errorf("%d reports in the stream, want %d", len(got), len(want))
	}
	if got := b.counted(t, "quadrat_intake_reports_stored_total", ""); got != 800 {
		t.Errorf("%v counted", got)
	}
}

func TestRejects(t *testing.T) {
	b := setUp(t, behind{"a": "gate", "b": "gate", "c": "other"}, nil)
	good := &quadratv1.Report{Device: "dev", Kappa: "k", Revision: 1, Window: 5, Value: 3}
	with := func(change func(*quadratv1.Report)) []byte {
		r := proto.Clone(good).(*quadratv1.Report)
		change(r)
		return single(t, r)
	}
	gate := func(change func(*quadratv1.GatewayBatch)) []byte {
		g := &quadratv1.GatewayBatch{
			Gateway: "gate", Kappa: "k", Revision: 1, Window: 5, Device: []string{"a", "b"}, Statistic: []uint32{0, 1}, Value: []int64{2, 3},
		}
		change(g)
		return encode(t, &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: g}})
	}
	cases := []struct {
		name, device string
		body         []byte
		cause        fault
	}{
		{"empty", "dev", nil, faultMalformed},
		{"truncated", "dev", single(t, good)[:5], faultMalformed},
		{"noise", "dev", []byte("\xff\xff\xff"), faultMalformed},
		{"other device", "else", single(t, good), faultIdentity},
		{"no device", "dev", with(func(r *quadratv1.Report) { r.Device = "" }), faultIdentity},
		{"bad identity", "d*v", with(func(r *quadratv1.Report) { r.Device = "d*v" }), faultIdentity},
		{"long identity", long(65), with(func(r *quadratv1.Report) { r.Device = long(65) }), faultIdentity},
		{"no kappa", "dev", with(func(r *quadratv1.Report) { r.Kappa = "" }), faultReport},
		{"no revision", "dev", with(func(r *quadratv1.Report) { r.Revision = 0 }), faultReport},
		{"negative window", "dev", with(func(r *quadratv1.Report) { r.Window = -1 }), faultReport},
		{"too large", "dev", with(func(r *quadratv1.Report) { r.Kappa = long(300) }), faultSize},
		{"foreign device", "gate", gate(func(g *quadratv1.GatewayBatch) { g.Device[1] = "c" }), faultGateway},
		{"unknown device", "gate", gate(func(g *quadratv1.GatewayBatch) { g.Device[1] = "zz" }), faultGateway},
		{"not the gateway", "other", gate(func(*quadratv1.GatewayBatch) {}), faultIdentity},
		{"fewer values", "gate", gate(func(g *quadratv1.GatewayBatch) { g.Value = g.Value[:1] }), faultMalformed},
		{"no devices", "gate", gate(func(g *quadratv1.GatewayBatch) { g.Device, g.Value, g.Statistic = nil, nil, nil }), faultMalformed},
	}
	for _, c := range cases {
		got := b.ask(t, c.device, c.body)
		if got.GetStatus() != quadratv1.IntakeReply_STATUS_REJECTED || got.GetReason() == "" {
			t.Errorf("%s: answer %v", c.name, got)
		}
		if n := b.counted(t, "quadrat_intake_requests_rejected_total", string(c.cause)); n == 0 {
			t.Errorf("%s: not counted as %s", c.name, c.cause)
		}
	}
	if got := b.ask(t, "gate", gate(func(*quadratv1.GatewayBatch) {})); got.GetStatus() != quadratv1.IntakeReply_STATUS_STORED {
		t.Errorf("gateway's batch: %v", got)
	}
	if got := b.found(t); len(got) != 2 {
		t.Errorf("%d reports stored, want the gateway's 2", len(got))
	}
	if err := b.intake.Close(); err != nil {
		t.Fatal(err)
	}
	dead, err := b.broker.JetStream().Stream(t.Context(), broker.StreamDeadLetter)
	if err != nil {
		t.Fatal(err)
	}
	if got := dead.CachedInfo().State.Msgs; got != uint64(len(cases)) {
		t.Errorf("%d dead letters, want %d", got, len(cases))
	}
}

func long(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return string(b)
}

// TestNothingHalfStored fills the stream up, so that an atomic batch over many partitions is refused as a whole.
func TestNothingHalfStored(t *testing.T) {
	devices := behind{}
	names := make([]string, 500)
	for i := range names {
		names[i] = fmt.Sprint("d", i)
		devices[names[i]] = "gate"
	}
	b := setUp(t, devices, nil)
	stream, err := b.broker.JetStream().Stream(t.Context(), broker.StreamReports)
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgs = 30 // fewer than the partitions of the batch
	if _, err := b.broker.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	g := &quadratv1.GatewayBatch{
		Gateway: "gate", Kappa: "k", Revision: 1, Window: 5, Device: names, Statistic: make([]uint32, 500), Value: make([]int64, 500),
	}
	got := b.ask(t, "gate", encode(t, &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: g}}))
	if got.GetStatus() != quadratv1.IntakeReply_STATUS_RETRY {
		t.Errorf("answer %v", got)
	}
	if found := b.found(t); len(found) != 0 {
		t.Errorf("%d reports of a refused batch are stored", len(found))
	}
	config.MaxMsgs = -1
	if _, err := b.broker.JetStream().UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	got = b.ask(t, "gate", encode(t, &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: g}}))
	if found := b.found(t); got.GetStatus() != quadratv1.IntakeReply_STATUS_STORED || len(found) != 500 {
		t.Errorf("again: %v, %d stored", got, len(found))
	}
}

// TestCloseAnswers closes the intake under load: every request that it took is answered, and what it answered is stored.
func TestCloseAnswers(t *testing.T) {
	b := setUp(t, behind{}, nil)
	answers := make(chan *nats.Msg, 4096)
	inbox := nats.NewInbox()
	sub, err := b.conn.ChanSubscribe(inbox, answers)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	const sent = 2000
	for n := range sent {
		device := fmt.Sprint("d", n)
		body := single(t, &quadratv1.Report{Device: device, Kappa: "k", Revision: 1, Window: 5})
		if err := b.conn.PublishRequest(broker.PrefixIn+device, inbox, body); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := b.intake.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	if got := len(b.found(t)); got != sent || len(answers) != sent {
		t.Errorf("%d stored, %d answered of %d", got, len(answers), sent)
	}
	if err := b.intake.Close(); err != nil {
		t.Error("second close:", err)
	}
}

// TestDecodeDoesNotAllocate holds the path of a report free of garbage.
func TestDecodeDoesNotAllocate(t *testing.T) {
	body := single(t, &quadratv1.Report{Device: "pi-7", Kappa: "k7f3q2", Revision: 1, Window: 29_000_000, Statistic: 1, Value: 300})
	d, p, nobody := decoder{}, newPack(keyer), Devices(behind{})
	round := func() {
		for range 64 {
			if f := d.decode(body, "pi-7", nobody); f != "" {
				t.Fatal(f)
			}
			p.add(&d, "pi-7", "_INBOX.x")
		}
		p.reset()
	}
	round()
	if got := testing.AllocsPerRun(100, round); got != 0 {
		t.Errorf("%v allocations for 64 reports", got)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(single(f, &quadratv1.Report{Device: "pi-7", Kappa: "k7f3q2", Revision: 1, Window: 29, Statistic: 1, Value: 300}), "pi-7")
	f.Add(encode(f, &quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: &quadratv1.GatewayBatch{
		Gateway: "gate", Kappa: "k", Revision: 1, Window: 5, Device: []string{"a"}, Statistic: []uint32{0}, Value: []int64{2},
	}}}), "gate")
	f.Fuzz(func(t *testing.T, body []byte, device string) {
		d, p := decoder{}, newPack(keyer)
		if d.decode(body, device, behind{"a": device, "b": device}) != "" || d.parts != nil {
			return // FuzzRelease is about releases
		}
		request := &quadratv1.IntakeRequest{}
		if err := proto.Unmarshal(body, request); err != nil {
			return // texts that aren't UTF-8, which only the generated code looks at
		}
		p.add(&d, device, "")
		want := max(1, len(request.GetBatch().GetDevice()))
		if p.reports != want && len(body) < 100 {
			t.Errorf("%d reports, want %d", p.reports, want)
		}
	})
}

func BenchmarkIntake(b *testing.B) {
	bench := setUp(b, behind{}, nil)
	const connections, outstanding = 16, 512
	var group sync.WaitGroup
	b.ReportAllocs()
	for c := range connections {
		conn, err := nats.Connect(bench.broker.URL(), nats.Timeout(patience))
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		group.Go(func() { drive(b, conn, fmt.Sprint("d", c), b.N/connections+1, outstanding) })
	}
	group.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reports/s")
}

func drive(b *testing.B, conn *nats.Conn, device string, reports, outstanding int) {
	b.Helper()
	body := single(b, &quadratv1.Report{Device: device, Kappa: "k7f3q2", Revision: 1, Window: 29_000_000, Value: 300})
	answers := make(chan *nats.Msg, outstanding)
	inbox := nats.NewInbox()
	sub, err := conn.ChanSubscribe(inbox, answers)
	if err != nil {
		b.Error(err)
		return
	}
	defer func() { _ = sub.Unsubscribe() }()
	sent := 0
	for answered := 0; answered < reports; {
		for ; sent < reports && sent-answered < outstanding; sent++ {
			if err := conn.PublishRequest(broker.PrefixIn+device, inbox, body); err != nil {
				b.Error(err)
				return
			}
		}
		<-answers
		answered++
	}
}
