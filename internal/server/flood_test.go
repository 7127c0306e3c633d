package server_test

import (
	"flag"
	"fmt"
	"iter"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
	"github.com/quadrat-dev/quadrat/storage"
)

var floodLasts = flag.Duration("flood", 5*time.Second, "how long TestFloodStaysWithinMemory floods; make flood does so for longer")

const (
	floodMemory   = 512 << 20
	floodEngine   = 4000 // reports a second that the engine is let count
	floodTimes    = 20
	floodGateways = 32
	floodUnits    = 250
	floodWindow   = floodGateways * floodUnits * time.Second / floodEngine / floodTimes
	floodPatience = 5 * time.Minute
	floodAnswer   = 10 * time.Second // that a device waits for an answer
	floodPause    = time.Second      // before it sends again, at first: as devices do, longer each time and by chance
	floodScript   = `KAPPA flood AS SELECT mean(temperature) FROM sense.temperature GROUP BY cooling
SAMPLE ALL STRATIFIED BY region WINDOW 100ms GRACE 50ms PRIVACY NONE BETWEEN 10 AND 40`
)

// flooded is servers in processes of their own and the fleet that floods them.
type flooded struct {
	t        *testing.T
	counts   []*child         // those that count
	at       server.Addresses // that devices and callers ask
	gateways int
	units    int // behind each gateway
	window   time.Duration
	script   string
	ref      string
	version  uint32
	first    int64
	sent     atomic.Int64 // reports that were answered with STORED
	again    atomic.Int64 // requests that were told to come again, or heard nothing
	never    atomic.Int64 // requests that were not answered for good
}

// For a while the devices send twenty times what the engine can take, and strangers send large junk besides. The process never takes
// more than its budget. Then the engine catches up, every report is answered, and each is counted and stored once, and no other.
func TestFloodStaysWithinMemory(t *testing.T) {
	f := startFlooded(t)
	f.flood()
	f.counts[0].endWithin("the server")
	store, err := storage.Open(filepath.Join(f.counts[0].served.Folder, "store"), storage.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f.check(store.ScanReports(t.Context(), f.ref, time.Time{}, time.Time{}))
}

// flood joins the fleet, lets it send, and waits until all that was answered is counted.
func (f *flooded) flood() {
	f.t.Helper()
	f.join()
	windows := int64(*floodLasts / f.window)
	var junk, devices sync.WaitGroup
	for i := range 4 {
		junk.Go(func() { f.junk(i, time.Now().Add(*floodLasts)) })
	}
	for g := range f.gateways {
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
	for _, c := range f.counts {
		c.letGo()
	}
	<-answered
	if n := f.never.Load(); n > 0 {
		f.t.Fatalf("%d requests were never answered", n)
	}
	f.catchUp()
	if want := windows * int64(f.gateways*f.units); f.sent.Load() != want {
		f.t.Errorf("%d reports were answered, %d were sent", f.sent.Load(), want)
	}
	f.t.Logf("%d reports, %d requests were told to come again; after the flood the engine was %d reports behind", f.sent.Load(), f.again.Load(), behind)
	if behind < 100 {
		f.t.Errorf("the engine was only %d reports behind: that was no flood", behind)
	}
}

func startFlooded(t *testing.T) *flooded {
	t.Helper()
	c := startChild(t, served{Folder: t.TempDir(), Memory: floodMemory, Rate: floodEngine})
	return &flooded{t: t, counts: []*child{c}, at: c.at, gateways: floodGateways, units: floodUnits, window: floodWindow, script: floodScript}
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
	for g := range f.gateways {
		group.Go(func() {
			conn := f.connect()
			defer conn.Close()
			hello(conn, &quadratv1.Hello{Device: fmt.Sprint("g", g)})
			for i := range f.units {
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
	put, err := api.Put(f.t.Context(), f.script, nil)
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
	f.version, f.first = plans[0].GetRevision(), max(plans[0].GetFromWindow(), time.Now().UnixMilli()/f.window.Milliseconds()+1)
}

// report sends what a gateway's units say in each window, as soon as it ends, whatever became of the one before, until all is
// answered.
func (f *flooded) report(g int, windows int64) {
	conn := f.connect()
	defer conn.Close()
	var group sync.WaitGroup
	defer group.Wait()
	most := time.UnixMilli((f.first + windows) * f.window.Milliseconds()).Add(floodPatience) // none need be answered while the flood lasts
	for window := f.first; window < f.first+windows; window++ {
		time.Sleep(time.Until(time.UnixMilli((window + 1) * f.window.Milliseconds())))
		batch := &quadratv1.GatewayBatch{Gateway: fmt.Sprint("g", g), Kappa: f.ref, Revision: f.version, Window: window}
		for i := range f.units {
			batch.Device, batch.Statistic = append(batch.Device, unitName(g, i)), append(batch.Statistic, 0)
			batch.Value = append(batch.Value, 20e6+int64(i))
		}
		body, err := proto.Marshal(&quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: batch}})
		if err != nil {
			f.t.Error(err)
			return
		}
		group.Go(func() {
			for pause := floodPause; time.Now().Before(most); pause = min(2*pause, 32*floodPause) {
				m, err := conn.Request(broker.PrefixIn+fmt.Sprint("g", g), body, floodAnswer)
				if err == nil {
					reply, err := wire.DecodeIntakeReply(m.Data)
					if err != nil || reply.Status == wire.Rejected {
						f.t.Errorf("answered %+v, %v", reply, err)
						return
					}
					if reply.Status == wire.Stored {
						f.sent.Add(int64(f.units))
						return
					}
				}
				f.again.Add(1)
				time.Sleep(pause/2 + rand.N(pause/2))
			}
			f.never.Add(1)
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

// counted is how many reports the processes have counted.
func (f *flooded) counted() (n int64) {
	f.t.Helper()
	for _, c := range f.counts {
		n += int64(c.metric("quadrat_engine_reports_total", `outcome="counted"`))
	}
	return n
}

// behind is how many reports were stored and have not been counted.
func (f *flooded) behind() int64 { return f.sent.Load() - f.counted() }

// catchUp waits until everything is counted. An engine that counts nothing for minutes has stopped.
func (f *flooded) catchUp() {
	f.t.Helper()
	least, moved := f.behind(), time.Now()
	for now := least; now > 0; now = f.behind() {
		if now < least {
			least, moved = now, time.Now()
		}
		if time.Since(moved) > floodPatience {
			f.t.Fatalf("the engine is still %d reports behind", now)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// check holds the stored rows against what was answered.
func (f *flooded) check(records iter.Seq2[arrow.Record, error]) {
	f.t.Helper()
	type report struct {
		start  arrow.Timestamp
		device uint64
	}
	found := make(map[report]struct{}, f.sent.Load()) // tens of millions after a long flood
	for record, err := range records {
		if err != nil {
			f.t.Fatal(err)
		}
		schema := record.Schema()
		starts := record.Column(schema.FieldIndices("window_start")[0]).(*array.Timestamp)
		devices := record.Column(schema.FieldIndices("device")[0]).(*array.String)
		for i := range int(record.NumRows()) {
			device, err := strconv.ParseUint(devices.Value(i), 16, 64)
			if err != nil {
				f.t.Fatal(err)
			}
			r := report{start: starts.Value(i), device: device}
			if _, twice := found[r]; twice {
				f.t.Fatalf("a report of %x is stored twice", r.device)
			}
			found[r] = struct{}{}
		}
	}
	if int64(len(found)) != f.sent.Load() {
		f.t.Errorf("%d reports are stored, %d were answered", len(found), f.sent.Load())
	}
}
