package crash_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
	"github.com/quadrat-dev/quadrat/storage"
)

const (
	serveWindow = 250 * time.Millisecond
	serveGrace  = 50 * time.Millisecond
	serveSends  = 6 // windows with reports
	// retryPause is how long a report waits that was told to come again. Devices wait a second and more; hundreds of reports that all came again
	// after milliseconds would take the processors from those who choose a leader.
	retryPause = 200 * time.Millisecond
)

var serveScripts = []string{
	`KAPPA warm AS SELECT mean(temperature), proportion(temperature > 26) FROM sense.temperature GROUP BY cooling
	 SAMPLE ALL STRATIFIED BY region ROTATING WINDOW 250ms GRACE 50ms PRIVACY LOCAL EPSILON 4 PER 500ms BETWEEN 10 AND 40`,
	`KAPPA plain AS SELECT mean(temperature) FROM sense.temperature
	 SAMPLE ALL STRATIFIED BY region WINDOW 250ms GRACE 50ms PRIVACY NONE BETWEEN 10 AND 40`,
}

// program is `quadrat`, built once.
var program = sync.OnceValues(func() (string, error) {
	path := filepath.Join(scratch, "quadrat")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/quadrat").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// site is a `quadrat serve` with a fleet of this process.
type site struct {
	t       *testing.T
	data    string
	process *process
	at      server.Addresses
	conn    *nats.Conn
	rig     *rig // for its helpers; it runs nothing

	js      jetstream.JetStream // of stream
	retries atomic.Int64        // reports that were told to come again
	death   atomic.Int64        // of who was killed last, in nanoseconds from the UTC epoch
	stored  atomic.Int64        // when the first report was answered that was sent after it, likewise; 0 before

	mu       sync.Mutex // guards what follows
	answered map[string]bool
}

// stream makes js, which waits for an answer as devices do.
func (s *site) stream() (err error) {
	s.js, err = jetstream.New(s.conn, jetstream.WithDefaultTimeout(answerPatience))
	return err
}

// open starts the program on a folder.
func openSite(t *testing.T, keep string) *site {
	t.Helper()
	path, err := program()
	must(t, err)
	s := &site{t: t, data: t.TempDir(), answered: map[string]bool{}, rig: &rig{t: t}}
	s.at.NATS = "nats://" + ownAddress(t)
	s.process = &process{t: t, make: func() *exec.Cmd {
		return exec.Command(path, "serve", "--data", s.data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0",
			"--nats-listen", strings.TrimPrefix(s.at.NATS, "nats://"), "--checkpoint-every", "5ms", "--reports-keep", keep, "--log-level", "error")
	}}
	s.start()
	s.conn, err = nats.Connect(s.at.NATS, nats.Timeout(answerPatience), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // who is killed breaks connections
	must(t, err)
	t.Cleanup(s.conn.Close)
	return s
}

func (s *site) start() {
	s.t.Helper()
	must(s.t, json.Unmarshal([]byte(s.process.start()), &s.at))
}

// deploy lets the fleet announce itself and puts the scripts; it gives the plans.
func (s *site) deploy(random *rand.Rand) []*quadratv1.DevicePlan {
	s.t.Helper()
	api, err := client.New("http://"+s.at.HTTP, client.Options{})
	must(s.t, err)
	fleetOf := hellos(random)
	for _, h := range fleetOf {
		h.Gateway = "" // each speaks for itself
		s.hello(h)
	}
	s.until("the fleet is known", func() bool { // in a cluster another process may have heard it
		known, err := api.Devices(s.t.Context(), &quadratv1.ListDevicesRequest{Limit: 1})
		return err == nil && int(known.GetTotal()) == len(fleetOf)
	})
	for _, script := range serveScripts {
		_, err := api.Put(s.t.Context(), script, nil)
		must(s.t, err)
	}
	var plans []*quadratv1.DevicePlan
	s.until("all plans are told", func() bool {
		plans = s.hello(fleetOf[1]).GetPlans()
		return len(plans) == len(serveScripts)
	})
	return plans
}

// hello lets a device announce itself until it is answered.
func (s *site) hello(h *quadratv1.Hello) *quadratv1.HelloReply {
	s.t.Helper()
	reply := &quadratv1.HelloReply{}
	s.until(h.GetDevice()+" is answered", func() bool {
		m, err := s.conn.Request(wire.HelloSubject(h.GetDevice()), s.rig.encode(h), answerPatience)
		if err != nil {
			return false // nobody there
		}
		must(s.t, proto.Unmarshal(m.Data, reply))
		return true
	})
	if reply.GetError() != "" {
		s.t.Fatal(reply.GetError())
	}
	return reply
}

// until waits until something holds.
func (s *site) until(what string, holds func() bool) {
	s.t.Helper()
	for begun := time.Now(); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			s.t.Fatalf("waited in vain until %s", what)
		}
	}
}

// report sends one report until it is answered.
func (s *site) report(r step) {
	begun := time.Now()
	for time.Since(begun) < patience {
		m, err := s.conn.Request(r.subject, r.body, answerPatience)
		if err != nil {
			time.Sleep(5 * time.Millisecond) // nobody there
			continue
		}
		reply, err := wire.DecodeIntakeReply(m.Data)
		if err != nil || reply.Status == wire.Rejected {
			s.t.Errorf("report %s: %v, %v", r.report, reply, err)
			return
		}
		if reply.Status == wire.Retry {
			s.retries.Add(1)
			time.Sleep(retryPause)
		}
		if reply.Status == wire.Stored {
			s.mu.Lock()
			s.answered[r.report] = true
			s.mu.Unlock()
			if begun.UnixNano() > s.death.Load() {
				s.stored.CompareAndSwap(0, time.Now().UnixNano())
			}
			return
		}
	}
	s.t.Errorf("report %s was never answered", r.report)
}

// load sends the reports of some windows as they end, some of them twice and some of them late, while strike is called once
// in a while, and returns when all are answered.
func (s *site) load(plans []*quadratv1.DevicePlan, random *rand.Rand, strikes []time.Duration, strike func()) {
	s.t.Helper()
	begun := time.Now()
	window := firstWindow(plans)
	var group sync.WaitGroup
	group.Go(func() {
		for _, at := range strikes {
			time.Sleep(time.Until(begun.Add(at)))
			strike()
		}
	})
	for w := window; w < window+serveSends; w++ {
		s.answer(&group, plans, w, random)
	}
	group.Wait()
}

// firstWindow is the next window that all plans are in force in.
func firstWindow(plans []*quadratv1.DevicePlan) int64 {
	window := time.Now().UnixMilli()/serveWindow.Milliseconds() + 1
	for _, p := range plans {
		window = max(window, p.GetFromWindow())
	}
	return window
}

// answer lets the devices that are due in a window report as it ends, some of them twice and some of them late.
func (s *site) answer(group *sync.WaitGroup, plans []*quadratv1.DevicePlan, window int64, random *rand.Rand) {
	end := time.UnixMilli((window + 1) * serveWindow.Milliseconds())
	for _, p := range plans {
		for _, row := range s.frame() {
			statistic, due := dueIn(s.rig, p, row, window)
			if !due {
				continue
			}
			r := reportOf(s.rig, p, row, window, statistic, random)
			at := end.Add(time.Duration(random.IntN(40)) * time.Millisecond)
			times := 1 + random.IntN(8)/7
			if random.IntN(8) == 0 {
				at = at.Add(serveWindow)
			}
			for range times {
				group.Go(func() {
					time.Sleep(time.Until(at))
					s.report(r)
				})
			}
		}
	}
}

// loadWhile lets devices report, window by window, while something happens, and returns when all reports are answered.
func (s *site) loadWhile(plans []*quadratv1.DevicePlan, random *rand.Rand, happens func()) {
	s.t.Helper()
	over := make(chan struct{})
	var load, reports sync.WaitGroup
	load.Go(func() {
		for window := firstWindow(plans); ; window++ {
			s.answer(&reports, plans, window, random)
			select {
			case <-over:
				return
			case <-time.After(time.Until(time.UnixMilli((window + 1) * serveWindow.Milliseconds()))):
			}
		}
	})
	defer func() {
		close(over)
		load.Wait()
		reports.Wait()
	}()
	happens()
}

// told waits until each kappa has results of a window that ended after a moment.
func (s *site) told(refs []string, after time.Time) {
	s.t.Helper()
	left := slices.Clone(refs)
	var stream jetstream.Stream // asked for once: while it has no leader it doesn't say what it is, but its replicas say what they hold
	s.until("there are results of windows after "+after.Format(time.TimeOnly), func() bool {
		ctx, cancel := context.WithTimeout(s.t.Context(), answerPatience)
		defer cancel()
		if stream == nil {
			var err error
			if stream, err = s.js.Stream(ctx, broker.StreamResults); err != nil {
				return false
			}
		}
		left = slices.DeleteFunc(left, func(ref string) bool {
			m, err := stream.GetLastMsgForSubject(ctx, broker.PrefixResult+ref)
			if err != nil {
				return false
			}
			result := &quadratv1.Result{}
			must(s.t, proto.Unmarshal(m.Data, result))
			return result.GetWindowEnd().AsTime().After(after)
		})
		return len(left) == 0
	})
}

// frame is the fleet as the panel rule needs it. Reports are known by identities until check finds the keys.
func (s *site) frame() []*fleet.Row {
	var out []*fleet.Row
	for i := range devices {
		out = append(out, &fleet.Row{ID: fmt.Sprintf("d%d", i), Attributes: map[string]string{"region": []string{"asia", "europe"}[i%2]}})
	}
	return out
}

// killServe is a round: the process of a server is killed twice at any moment.
func killServe(t *testing.T, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 5))
	keep := []string{"24h", "0s"}[seed%2]
	s := openSite(t, keep)
	plans := s.deploy(random)
	if len(plans) != len(serveScripts) {
		t.Fatalf("%d plans", len(plans))
	}
	strikes := []time.Duration{
		time.Duration(random.IntN(1000)) * time.Millisecond, time.Duration(1000+random.IntN(1000)) * time.Millisecond,
	}
	s.load(plans, random, strikes, func() {
		s.process.kill()
		s.start()
	})
	s.settled()
	s.process.end()
	s.conn.Close()
	s.check(keep == "24h")
}

// settled waits until a checkpoint covers what REPORTS holds now.
func (s *site) settled() {
	s.t.Helper()
	js, err := jetstream.New(s.conn, jetstream.WithDefaultTimeout(patience))
	must(s.t, err)
	stream, err := js.Stream(s.t.Context(), broker.StreamReports)
	must(s.t, err)
	last := stream.CachedInfo().State.LastSeq
	for begun := time.Now(); s.position() < last; time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > patience {
			s.t.Fatalf("the checkpoint stays at %d, REPORTS ends at %d", s.position(), last)
		}
	}
}

// position is that of the newest checkpoint, as the server's metrics tell it.
func (s *site) position() uint64 {
	s.t.Helper()
	reply, err := http.Get("http://" + s.at.HTTP + "/metrics")
	must(s.t, err)
	defer reply.Body.Close()
	lines := bufio.NewScanner(reply.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "quadrat_engine_position "); ok {
			position, err := strconv.ParseFloat(value, 64)
			must(s.t, err)
			return uint64(position)
		}
	}
	s.t.Fatal("no quadrat_engine_position in /metrics")
	return 0
}

// check holds the store against what was answered, and, when REPORTS is whole, against an undisturbed run of it.
func (s *site) check(whole bool) {
	s.t.Helper()
	w := &rig{t: s.t, dir: s.data}
	var err error
	w.broker, err = broker.Open(s.t.Context(), broker.Config{StoreDir: filepath.Join(s.data, "nats"), Log: slog.New(slog.DiscardHandler)})
	must(s.t, err)
	defer func() { _ = w.broker.Close() }()
	keyer, records := s.plans(w.broker)
	c := &course{records: records}
	last := s.cut(w)
	got := w.outcome(c)
	s.once(got, keyer)
	if !whole {
		return
	}
	calm := s.again(w.broker, keyer, c, last)
	for _, part := range []struct {
		name      string
		got, want []string
	}{{"results", got.results, calm.results}, {"strata", got.strata, calm.strata}, {"reports", got.reports, calm.reports}} {
		if len(part.want) == 0 || !slices.Equal(part.got, part.want) {
			s.t.Errorf("%s differ from those of an undisturbed run: %d, %d\n%s", part.name, len(part.got), len(part.want),
				firstDifference(part.got, part.want))
		}
	}
}

// once holds the reports in a store against those that were answered.
func (s *site) once(got *outcome, keyer fleet.Keyer) {
	s.t.Helper()
	for id := range s.answered {
		part := strings.Split(id, "/")
		known := fmt.Sprintf("%s/%s/%016x", part[0], part[1], uint64(keyer.Key(part[2])))
		if got.ids[known] != 1 {
			s.t.Errorf("report %s was answered and stands in the store %d times", id, got.ids[known])
		}
	}
	if len(got.ids) != len(s.answered) || len(got.ids) == 0 {
		s.t.Errorf("%d reports in the store, %d were answered", len(got.ids), len(s.answered))
	}
}

// cut takes the marks from REPORTS that came while the server was ending, which it had no time to obey, and gives the position
// before them.
func (s *site) cut(w *rig) uint64 {
	s.t.Helper()
	store, err := storage.Open(filepath.Join(s.data, "store"), storage.Config{})
	must(s.t, err)
	stream, err := w.broker.JetStream().Stream(s.t.Context(), broker.StreamReports)
	must(s.t, err)
	for seq := store.Position() + 1; seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(s.t.Context(), seq)
		must(s.t, err)
		if m.Subject != broker.SubjectMark {
			s.t.Errorf("message %d of %s came after all reports were answered and covered", seq, m.Subject)
		}
		must(s.t, stream.DeleteMsg(s.t.Context(), seq))
	}
	return store.Position()
}

// plans reads the secret and the kappas of a server that has ended.
func (s *site) plans(b *broker.Broker) (fleet.Keyer, []*quadratv1.KappaRecord) {
	s.t.Helper()
	kv, err := b.JetStream().KeyValue(s.t.Context(), broker.BucketPlans)
	must(s.t, err)
	secret, err := kv.Get(s.t.Context(), "cluster.secret")
	must(s.t, err)
	keys, err := kv.Keys(s.t.Context())
	must(s.t, err)
	var records []*quadratv1.KappaRecord
	for _, key := range keys {
		if !strings.HasPrefix(key, "kappa.") {
			continue
		}
		entry, err := kv.Get(s.t.Context(), key)
		must(s.t, err)
		record := &quadratv1.KappaRecord{}
		must(s.t, proto.Unmarshal(entry.Value(), record))
		records = append(records, record)
	}
	return fleet.NewKeyer([16]byte(secret.Value())), records
}

// again runs REPORTS through a new engine and a new store, undisturbed.
func (s *site) again(b *broker.Broker, keyer fleet.Keyer, c *course, last uint64) *outcome {
	s.t.Helper()
	w := &rig{t: s.t, dir: s.t.TempDir(), broker: b}
	w.marks = b.JetStream()
	w.clock = clock.NewManual(w.lastMark())
	w.registry = fleet.New(keyer)
	kv, err := b.JetStream().KeyValue(s.t.Context(), broker.BucketDevices)
	must(s.t, err)
	w.frames, err = fleet.Load(s.t.Context(), w.registry, kv, fleet.StoreConfig{Clock: w.clock})
	must(s.t, err)
	w.store, err = storage.Open(filepath.Join(w.dir, "store"), storage.Config{Clock: w.clock})
	must(s.t, err)
	w.engine, err = engine.New(engine.Config{
		JetStream: b.JetStream(), Frames: w.registry, Sink: w.store, Folder: filepath.Join(w.dir, "engine"), Clock: w.clock,
		ReviseAfter: time.Hour, Log: slog.New(slog.DiscardHandler),
	})
	must(s.t, err)
	for _, r := range c.records {
		must(s.t, w.engine.Apply(r))
	}
	w.runAlone(last)
	return w.outcome(c)
}
