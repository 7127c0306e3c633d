package broker

import (
	"bytes"
	"context"
	"net"
	"runtime/trace"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

func open(t *testing.T, config Config) *Broker {
	t.Helper()
	b, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	return b
}

func TestEnsureTwiceAndReopen(t *testing.T) {
	dir := t.TempDir()
	b := open(t, Config{StoreDir: dir})
	for range 2 {
		if err := Ensure(t.Context(), b.JetStream(), Limits{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.JetStream().Publish(t.Context(), ReportSubject(63), []byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal("second close:", err)
	}
	again := open(t, Config{StoreDir: dir})
	stream, err := again.JetStream().Stream(t.Context(), StreamReports)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 1 {
		t.Fatalf("%d messages after a restart, want 1", got)
	}
	if _, err := again.JetStream().KeyValue(t.Context(), BucketDevices); err != nil {
		t.Fatal(err)
	}
}

// TestOutside joins a server by its URL, over the network.
func TestOutside(t *testing.T) {
	inner := open(t, Config{StoreDir: t.TempDir(), Token: "secret"})
	outer := open(t, Config{URL: inner.URL(), Token: "secret"})
	if err := Ensure(t.Context(), outer.JetStream(), Limits{}); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{URL: inner.URL()}); err == nil {
		t.Fatal("joined without the token")
	}
	inside := open(t, Config{URL: strings.Replace(inner.URL(), "://", "://secret@", 1)})
	if inside.URL() != inner.URL() {
		t.Errorf("shown as %s, want %s", inside.URL(), inner.URL())
	}
}

func TestAtomicBatchSpansSubjects(t *testing.T) {
	b := open(t, Config{StoreDir: t.TempDir()})
	if err := Ensure(t.Context(), b.JetStream(), Limits{}); err != nil {
		t.Fatal(err)
	}
	var messages []*nats.Msg
	for p := range uint32(Partitions) {
		messages = append(messages, &nats.Msg{Subject: ReportSubject(p), Header: nats.Header{}, Data: []byte("x")})
	}
	ack, err := jetstreamext.PublishMsgBatch(t.Context(), b.JetStream(), messages)
	if err != nil || ack.BatchSize != Partitions || ack.Sequence != Partitions {
		t.Fatalf("ack %+v, error %v", ack, err)
	}
}

// TestAcknowledgedMeansSynced traces the process while messages are stored: with the options that the package sets,
// fsync is called before the answer; without SyncAlways it is not, which shows that the test can fail.
func TestAcknowledgedMeansSynced(t *testing.T) {
	for _, always := range []bool{true, false} {
		options, err := embedded(Config{StoreDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if !options.SyncAlways {
			t.Fatal("sync is not always on")
		}
		options.SyncAlways = always
		if got := syncs(t, options); got != always {
			t.Errorf("SyncAlways %v: fsync seen is %v", always, got)
		}
	}
}

// syncs says whether storing messages called fsync.
func syncs(t *testing.T, options *server.Options) bool {
	t.Helper()
	srv, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	defer func() { srv.Shutdown(); srv.WaitForShutdown() }()
	if !srv.ReadyForConnections(readyPatience) {
		t.Fatal("server not ready")
	}
	conn, err := nats.Connect(srv.ClientURL(), nats.Timeout(readyPatience))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(readyPatience))
	if err != nil {
		t.Fatal(err)
	}
	if err := Ensure(t.Context(), js, Limits{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), readyPatience)
	defer cancel()
	if _, err := js.Publish(ctx, ReportSubject(0), []byte("x")); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := trace.Start(&out); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := js.Publish(ctx, ReportSubject(1), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	trace.Stop()
	return bytes.Contains(out.Bytes(), []byte("os.(*File).Sync"))
}

func TestRefusals(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	cases := map[string]Config{
		"address already in use": {StoreDir: t.TempDir(), Listen: taken.Addr().String()},
		"no store folder":        {},
		"is not one of":          {StoreDir: t.TempDir(), Listen: "127.0.0.1:99999"},
		"missing port":           {StoreDir: t.TempDir(), Listen: "127.0.0.1"},
		"nats://127.0":           {URL: "nats://user:secret@127.0.0.1:1"},
	}
	for want, config := range cases {
		_, err := Open(t.Context(), config)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("error %v, want %q in it and no password", err, want)
		}
	}
	for version, want := range map[string]bool{"2.11.9": false, "2.12.0": true, "2.15.2": true, "3.0.0-beta": true, "": false, "x.y": false} {
		if recent(version) != want {
			t.Errorf("recent(%q) is %v", version, !want)
		}
	}
}

func TestManyConsumers(t *testing.T) {
	b := open(t, Config{StoreDir: t.TempDir()})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	stream, err := b.JetStream().CreateStream(ctx, jetstream.StreamConfig{
		Name: "MANY", Subjects: []string{"many"}, Storage: jetstream.MemoryStorage,
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().Config.MaxConsumers; got != -1 {
		t.Fatalf("consumers are limited to %d", got)
	}
	for i := range 1001 {
		config := jetstream.ConsumerConfig{AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true}
		if _, err := stream.CreateConsumer(ctx, config); err != nil {
			t.Fatalf("consumer %d: %v", i, err)
		}
	}
}

// With a bound on memory the server works, takes messages of the largest size, and says how many clients it takes.
func TestMemoryIsBounded(t *testing.T) {
	const bytes = 24 << 20
	b := open(t, Config{StoreDir: t.TempDir(), MemoryBytes: bytes})
	if err := Ensure(t.Context(), b.JetStream(), Limits{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.JetStream().Publish(t.Context(), ReportSubject(1), make([]byte, payloadBytesMost-1)); err != nil {
		t.Fatal(err)
	}
	stream, err := b.JetStream().Stream(t.Context(), StreamReports)
	if err != nil {
		t.Fatal(err)
	}
	if m, err := stream.GetMsg(t.Context(), 1); err != nil || len(m.Data) != payloadBytesMost-1 {
		t.Fatalf("read again: %v", err)
	}
	options, err := embedded(Config{StoreDir: t.TempDir(), MemoryBytes: bytes})
	if err != nil {
		t.Fatal(err)
	}
	if options.MaxConn != clientsLeast || options.MaxPending != messagesBytesLeast || options.StreamMaxBufferedSize != messagesBytesLeast {
		t.Errorf("%d connections, %d and %d bytes", options.MaxConn, options.MaxPending, options.StreamMaxBufferedSize)
	}
	wide, err := embedded(Config{StoreDir: t.TempDir(), MemoryBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	if wide.MaxConn != 1<<30/2/clientBytes || wide.MaxPending != server.MAX_PENDING_SIZE {
		t.Errorf("%d connections, %d bytes", wide.MaxConn, wide.MaxPending)
	}
}
