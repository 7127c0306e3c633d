package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
	"github.com/quadrat-dev/quadrat/storage"
)

var floodLasts = flag.Duration("flood", 5*time.Second, "how long TestFloodStaysWithinMemory floods; make flood does so for longer")

const (
	floodFolder   = "QUADRAT_FLOOD_FOLDER" // of the server that a test process is, when it is set
	floodMemory   = 512 << 20
	floodEngine   = 4000 // reports a second that the engine is let count
	floodTimes    = 20
	floodGateways = 32
	floodUnits    = 250
	floodWindow   = floodGateways * floodUnits * time.Second / floodEngine / floodTimes
	floodPatience = 5 * time.Minute
	floodScript   = `KAPPA flood AS SELECT mean(temperature) FROM sense.temperature GROUP BY cooling
SAMPLE ALL STRATIFIED BY region WINDOW 100ms GRACE 50ms PRIVACY NONE BETWEEN 10 AND 40`
)

func TestMain(m *testing.M) {
	if folder := os.Getenv(floodFolder); folder != "" {
		if err := serveFlood(folder); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// slowSink takes a while for each report until it is let go.
type slowSink struct {
	engine.Sink

	free <-chan struct{}
}

func (s slowSink) Batch(b *column.Batch) error {
	timer := time.NewTimer(time.Duration(b.Len()) * time.Second / floodEngine)
	defer timer.Stop()
	select {
	case <-s.free:
	case <-timer.C:
	}
	return s.Sink.Batch(b)
}

// serveFlood is a server whose engine is slow until a line comes on standard input, and which ends when that ends.
func serveFlood(folder string) error {
	memory.Collector(floodMemory)
	free := make(chan struct{})
	const any = "127.0.0.1:0"
	config := server.Config{Data: folder, HTTP: any, GRPC: any, NATSListen: any, Memory: floodMemory}
	s, err := server.Start(context.Background(), config.SlowedBy(func(to engine.Sink) engine.Sink { return slowSink{Sink: to, free: free} }))
	if err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(s.Addresses()); err != nil {
		return errors.Join(err, s.Close())
	}
	lines := bufio.NewScanner(os.Stdin)
	if lines.Scan() {
		close(free)
	}
	for lines.Scan() {
	}
	return s.Close()
}

// flooded is a server in a process of its own and the fleet that floods it.
type flooded struct {
	t       *testing.T
	folder  string
	process *exec.Cmd
	input   io.WriteCloser
	at      server.Addresses
	ref     string
	version uint32
	first   int64
	sent    atomic.Int64 // reports that were answered with STORED
	again   atomic.Int64 // requests that were told to come again, or heard nothing
}

// For a while the devices send twenty times what the engine can take, and strangers send large junk besides. The process never takes
// more than its budget. Then the engine catches up, every report is answered, and each is counted and stored once, and no other.
func TestFloodStaysWithinMemory(t *testing.T) {
	f := startFlooded(t)
	f.join()
	windows := int64(*floodLasts / floodWindow)
	var junk, devices sync.WaitGroup
	for i := range 4 {
		junk.Go(func() { f.junk(i, time.Now().Add(*floodLasts)) })
	}
	for g := range floodGateways {
		devices.Go(func() { f.report(g, windows) })
	}
	junk.Wait()
	answered := make(chan struct{})
	go func() {
		devices.Wait()
		close(answered)
	}()
	select { // a long flood fills the disk that reports may take: then they wait for the engine
	case <-answered:
	case <-time.After(time.Minute):
	}
	behind := f.behind()
	if _, err := io.WriteString(f.input, "go\n"); err != nil {
		t.Fatal(err)
	}
	<-answered
	for begun := time.Now(); f.behind() > 0; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > floodPatience {
			t.Fatalf("the engine is still %d reports behind", f.behind())
		}
	}
	f.endMost()
	if want := windows * floodGateways * floodUnits; f.sent.Load() != want {
		t.Errorf("%d reports were answered, %d were sent", f.sent.Load(), want)
	}
	t.Logf("%d reports, %d requests were told to come again; after the flood the engine was %d reports behind", f.sent.Load(), f.again.Load(), behind)
	if behind < 100 {
		t.Errorf("the engine was only %d reports behind: that was no flood", behind)
	}
	f.check()
}

func startFlooded(t *testing.T) *flooded {
	t.Helper()
	f := &flooded{t: t, folder: t.TempDir()}
	f.process = exec.CommandContext(t.Context(), os.Args[0])
	f.process.Env = append(os.Environ(), floodFolder+"="+f.folder)
	f.process.Stderr = os.Stderr
	out, err := f.process.StdoutPipe()
	if err == nil {
		f.input, err = f.process.StdinPipe()
	}
	if err == nil {
		err = f.process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &f.at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *flooded) connect() *nats.Conn {
	f.t.Helper()
	conn, err := nats.Connect(f.at.NATS, nats.Timeout(floodPatience), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // who sends junk is cut off now and then
	if err != nil {
		f.t.Fatal(err)
	}
	return conn
}

func unitName(g, i int) string { return fmt.Sprintf("g%d-%d", g, i) }

// join announces the fleet and deploys the kappa.
func (f *flooded) join() {
	f.t.Helper()
	hello := func(conn *nats.Conn, h *quadratv1.Hello) *quadratv1.HelloReply {
		reply := &quadratv1.HelloReply{}
		body, err := proto.Marshal(h)
		var m *nats.Msg
		if err == nil {
			m, err = conn.Request(wire.HelloSubject(h.GetDevice()), body, floodPatience)
		}
		if err == nil {
			err = proto.Unmarshal(m.Data, reply)
		}
		if err != nil || reply.GetError() != "" {
			f.t.Error(err, reply.GetError())
		}
		return reply
	}
	var group sync.WaitGroup
	for g := range floodGateways {
		group.Go(func() {
			conn := f.connect()
			defer conn.Close()
			hello(conn, &quadratv1.Hello{Device: fmt.Sprint("g", g)})
			for i := range floodUnits {
				hello(conn, &quadratv1.Hello{
					Device: unitName(g, i), Gateway: fmt.Sprint("g", g),
					Attributes:   map[string]string{"region": fmt.Sprint("r", i%7), "cooling": fmt.Sprint("c", i%4)},
					Capabilities: []*quadratv1.Capability{{Name: "sense.temperature", Open: true}},
					Limits:       &quadratv1.Limits{EpsilonMicro: 8e6, PeriodMs: 3.6e6, Models: []string{"local", "none"}},
				})
			}
		})
	}
	group.Wait()
	api, err := client.New("http://"+f.at.HTTP, client.Options{})
	if err != nil {
		f.t.Fatal(err)
	}
	put, err := api.Put(f.t.Context(), floodScript, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.ref = put.GetRef()
	conn := f.connect()
	defer conn.Close()
	plans := hello(conn, &quadratv1.Hello{Device: "g0"}).GetPlans()
	if len(plans) != 1 {
		f.t.Fatalf("%d plans", len(plans))
	}
	f.version, f.first = plans[0].GetRevision(), max(plans[0].GetFromWindow(), time.Now().UnixMilli()/floodWindow.Milliseconds()+1)
}

// report sends what a gateway's units say in each window, as soon as it ends, whatever became of the one before, until all is
// answered.
func (f *flooded) report(g int, windows int64) {
	conn := f.connect()
	defer conn.Close()
	var group sync.WaitGroup
	defer group.Wait()
	most := time.UnixMilli((f.first + windows) * floodWindow.Milliseconds()).Add(floodPatience) // none need be answered while the flood lasts
	for window := f.first; window < f.first+windows; window++ {
		time.Sleep(time.Until(time.UnixMilli((window + 1) * floodWindow.Milliseconds())))
		batch := &quadratv1.GatewayBatch{Gateway: fmt.Sprint("g", g), Kappa: f.ref, Revision: f.version, Window: window}
		for i := range floodUnits {
			batch.Device, batch.Statistic = append(batch.Device, unitName(g, i)), append(batch.Statistic, 0)
			batch.Value = append(batch.Value, 20e6+int64(i))
		}
		body, err := proto.Marshal(&quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: batch}})
		if err != nil {
			f.t.Error(err)
			return
		}
		group.Go(func() {
			for ; time.Now().Before(most); time.Sleep(20 * time.Millisecond) {
				m, err := conn.Request(broker.PrefixIn+fmt.Sprint("g", g), body, 5*time.Second)
				if err != nil {
					f.again.Add(1)
					continue
				}
				reply, err := wire.DecodeIntakeReply(m.Data)
				if err != nil || reply.Status == wire.Rejected {
					f.t.Errorf("answered %+v, %v", reply, err)
					return
				}
				if reply.Status == wire.Stored {
					f.sent.Add(floodUnits)
					return
				}
				f.again.Add(1)
			}
			f.t.Error("a request was never answered")
		})
	}
}

// junk sends large requests that nobody can read until a moment, without waiting for answers.
func (f *flooded) junk(n int, until time.Time) {
	conn := f.connect()
	defer conn.Close()
	body := make([]byte, 1<<20)
	for time.Now().Before(until) {
		_ = conn.PublishRequest(fmt.Sprint(broker.PrefixIn, "junk", n), "nowhere", body) // a connection that is gone comes back
		time.Sleep(20 * time.Millisecond)
	}
}

// metric reads a metric of the server; 0 when there is none.
func (f *flooded) metric(name string) float64 {
	f.t.Helper()
	reply, err := http.Get("http://" + f.at.HTTP + "/metrics")
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	for lines := bufio.NewScanner(reply.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			x, err := strconv.ParseFloat(value, 64)
			if err != nil {
				f.t.Fatal(err)
			}
			return x
		}
	}
	return 0
}

// behind is how many reports were stored and have not been counted.
func (f *flooded) behind() int64 {
	return f.sent.Load() - int64(f.metric(`quadrat_engine_reports_total{outcome="counted"}`))
}

// endMost lets the server end, and looks at the most memory that it ever had.
func (f *flooded) endMost() {
	f.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.process.Process.Pid))
	if err != nil {
		f.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			f.t.Logf("the server had %d MiB at most", kib>>10)
			if kib<<10 > floodMemory {
				f.t.Errorf("the server had %d MiB, of %d", kib>>10, floodMemory>>20)
			}
		}
	}
	if err := f.input.Close(); err != nil {
		f.t.Fatal(err)
	}
	if err := f.process.Wait(); err != nil {
		f.t.Fatal(err)
	}
}

// check holds the stored rows against what was answered.
func (f *flooded) check() {
	f.t.Helper()
	store, err := storage.Open(filepath.Join(f.folder, "store"), storage.Config{})
	if err != nil {
		f.t.Fatal(err)
	}
	type report struct {
		start  arrow.Timestamp
		device string
	}
	found := map[report]int{}
	for record, err := range store.ScanReports(f.t.Context(), f.ref, time.Time{}, time.Time{}) {
		if err != nil {
			f.t.Fatal(err)
		}
		schema := record.Schema()
		starts := record.Column(schema.FieldIndices("window_start")[0]).(*array.Timestamp)
		devices := record.Column(schema.FieldIndices("device")[0]).(*array.String)
		for i := range int(record.NumRows()) {
			found[report{start: starts.Value(i), device: strings.Clone(devices.Value(i))}]++
		}
	}
	for r, n := range found {
		if n != 1 {
			f.t.Fatalf("a report of %s is stored %d times", r.device, n)
		}
	}
	if int64(len(found)) != f.sent.Load() {
		f.t.Errorf("%d reports are stored, %d were answered", len(found), f.sent.Load())
	}
}
