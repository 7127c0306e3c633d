package crash_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/storage"
	"github.com/quadrat-dev/quadrat/storage/bucket"
	"github.com/quadrat-dev/quadrat/storage/heads"
)

// With these flags rows are kept in an object store, in place of a folder.
var (
	rowsBucket   = flag.String("bucket", "", "s3://bucket that a cluster keeps its rows in")
	rowsEndpoint = flag.String("bucket-endpoint", "", "URL of the object store")
	rowsKeys     = flag.String("bucket-key-file", "", "file with access key and secret key")
)

// town is a cluster of processes: three NATS servers, three `quadrat serve --role engine` and two `--role api`, and a fleet of this process.
type town struct {
	*site
	urls    string
	rows    string   // URL of their bucket
	reach   []string // flags that say how it is reached
	servers []*process
	engines []*process
	apis    []*process
	kills   int
	slowest map[string]time.Duration // of what took over, by what was killed
}

// newTown starts the servers, then the others.
func newTown(t *testing.T) *town {
	t.Helper()
	path, err := program()
	must(t, err)
	o := &town{
		site: &site{t: t, answered: map[string]bool{}, rig: &rig{t: t}}, rows: "file://" + t.TempDir(), slowest: map[string]time.Duration{},
	}
	if *rowsBucket != "" {
		o.rows = *rowsBucket + "/town-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		o.reach = []string{"--archive-endpoint", *rowsEndpoint, "--archive-key-file", *rowsKeys}
	}
	o.raiseServers()
	o.conn, err = nats.Connect(o.urls, nats.Timeout(answerPatience), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // who is killed breaks connections
	must(t, err)
	t.Cleanup(o.conn.Close)
	must(t, o.stream())
	role := func(name string) *process {
		data := t.TempDir()
		return &process{t: t, make: func() *exec.Cmd {
			return exec.Command(path, append([]string{
				"serve", "--role", name, "--data", data, "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0",
				"--nats", o.urls, "--replicas", "3", "--shares", fmt.Sprint(clusterShares), "--bucket", o.rows,
				"--checkpoint-every", "200ms", "--reports-keep", "24h", "--log-level", "error",
			}, o.reach...)...)
		}}
	}
	for range 2 {
		p := role("api")
		must(t, json.Unmarshal([]byte(p.start()), &o.at))
		o.apis = append(o.apis, p)
	}
	for range 3 {
		p := role("engine")
		p.start()
		o.engines = append(o.engines, p)
	}
	return o
}

// raiseServers starts three clustered NATS servers, and waits until they have chosen a leader and know each other.
func (o *town) raiseServers() {
	o.t.Helper()
	var at, between, urls []string
	for range 3 {
		at, between = append(at, ownAddress(o.t)), append(between, ownAddress(o.t))
	}
	for i := range 3 {
		store := o.t.TempDir()
		routes := append([]string{between[i]}, slices.Delete(slices.Clone(between), i, i+1)...)
		p := &process{t: o.t, make: func() *exec.Cmd {
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), envStore+"="+store, envListen+"="+at[i], envRoutes+"="+strings.Join(routes, ","))
			return cmd
		}}
		urls = append(urls, p.start())
		o.servers = append(o.servers, p)
	}
	o.urls = strings.Join(urls, ",")
	var err error
	o.until("the servers take streams", func() bool {
		var b *broker.Broker
		if b, err = broker.Open(o.t.Context(), broker.Config{URL: o.urls, Log: slog.New(slog.DiscardHandler)}); err != nil {
			return false
		}
		defer func() { _ = b.Close() }()
		err = broker.Ensure(o.t.Context(), b.JetStream(), broker.Limits{Replicas: 3})
		return err == nil
	})
}

// TestClusterOutlivesEach kills each process of a cluster in turn while devices report, with duplicates, out of order and late: three engines and
// two API processes, all of them `quadrat serve`, and three NATS servers. What was answered stands in the stores once, all results that were ever
// published are those of a cluster that nobody disturbed, byte for byte, and it tells how long it took until a window that ended after a death
// had its results, which need every share.
func TestClusterOutlivesEach(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 6))
	o := newTown(t)
	plans := o.deploy(random)
	refs := make([]string, 0, len(plans))
	for _, p := range plans {
		refs = append(refs, p.GetRef())
	}
	o.loadWhile(plans, random, func() {
		o.told(refs, time.Now())
		for i := range 3 {
			o.strike("engine", o.engines[i], refs)
			o.strike("NATS server", o.servers[i], refs)
			if i < len(o.apis) {
				o.strike("API process", o.apis[i], refs)
			}
		}
	})
	cut := time.Now().Truncate(serveWindow).Add(serveWindow)
	o.told(refs, cut.Add(serveWindow)) // a mark has come behind all reports
	for _, p := range slices.Concat(o.engines, o.apis) {
		p.end()
	}
	o.checkTown(cut)
	t.Logf("%d reports, %d killed; from a death until the results of a window that ended after it, slowest: %v", len(o.answered), o.kills, o.slowest)
	if o.kills != 8 {
		t.Error("not everybody was killed")
	}
	for what, took := range o.slowest {
		if took > 30*time.Second { // three times what is promised: the machine may be slow
			t.Errorf("after the death of an %s results took %v", what, took)
		}
	}
	for _, p := range o.servers {
		p.end()
	}
}

// strike kills a process, waits until the cluster makes results again, starts the process anew and waits until all copies are whole.
func (o *town) strike(what string, p *process, refs []string) {
	o.t.Helper()
	begun := time.Now()
	p.kill()
	o.death.Store(begun.UnixNano())
	o.stored.Store(0)
	o.kills++
	led := o.leaders(begun)
	o.told(refs, begun)
	took := time.Since(begun)
	o.slowest[what] = max(o.slowest[what], took)
	o.until("a report that was sent after the death is answered", func() bool { return o.stored.Load() > 0 })
	stored := time.Unix(0, o.stored.Load()).Sub(begun)
	needed, last, which := led()
	due := begun.Truncate(serveWindow).Add(serveWindow + serveGrace).Sub(begun)
	o.t.Logf("%-11s killed: leaders of all that results go through after %4.2f s (%s), of all groups after %4.2f s; a report sent after the death is answered after %4.2f s, its window, over after %.2f s, has results after %4.2f s",
		what, needed.Seconds(), which, last.Seconds(), stored.Seconds(), due.Seconds(), took.Seconds())
	p.start()
	o.current()
}

// through is how many of the groups results go through.
const through = 5

// groups is the streams whose replicas choose a leader each.
func groups() []string {
	return []string{
		broker.StreamReports, broker.StreamResults, broker.StreamPartials, "KV_" + broker.BucketPlans, "KV_" + broker.BucketDevices,
		broker.StreamDeadLetter, "KV_" + broker.BucketLeases, "KV_" + broker.BucketCheckpoints, "KV_" + broker.BucketCatalogs, "OBJ_" + broker.ObjectCheckpoints,
	}
}

// leaders looks when each group has a leader, that of the servers themselves included, which makes consumers. The function that it gives waits until
// all have one, and tells when the last of those had that results go through, which that was, and when the last of all had, counted from a moment.
func (o *town) leaders(begun time.Time) func() (needed, all time.Duration, which string) {
	var group sync.WaitGroup
	all := append([]string{"servers"}, groups()...)
	after := make([]time.Duration, len(all))
	for i, name := range all {
		group.Go(func() {
			for ; after[i] == 0 && time.Since(begun) < patience; time.Sleep(20 * time.Millisecond) {
				if o.led(name) {
					after[i] = time.Since(begun)
				}
			}
		})
	}
	return func() (time.Duration, time.Duration, string) {
		group.Wait()
		last := slices.Max(after[:1+through])
		return last, slices.Max(after), all[slices.Index(after, last)]
	}
}

// led asks once whether a group has a leader.
func (o *town) led(group string) bool {
	ctx, cancel := context.WithTimeout(o.t.Context(), 250*time.Millisecond)
	defer cancel()
	if group == "servers" {
		_, err := o.js.AccountInfo(ctx) // their leader answers
		return err == nil
	}
	stream, err := o.js.Stream(ctx, group)
	return err == nil && stream.CachedInfo().Cluster.Leader != ""
}

// current waits until all copies of all streams are up to date.
func (o *town) current() {
	o.t.Helper()
	names := groups()
	o.until("all copies are whole", func() bool {
		ctx, cancel := context.WithTimeout(o.t.Context(), answerPatience)
		defer cancel()
		names = slices.DeleteFunc(names, func(name string) bool {
			stream, err := o.js.Stream(ctx, name)
			if err != nil {
				return false
			}
			c := stream.CachedInfo().Cluster
			return c != nil && c.Leader != "" && len(c.Replicas) == 2 &&
				!slices.ContainsFunc(c.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline })
		})
		return len(names) == 0
	})
}

// openRows opens the bucket.
func (o *town) openRows() storage.Bucket {
	o.t.Helper()
	config := bucket.Config{URL: o.rows}
	if *rowsBucket != "" {
		keys, err := os.ReadFile(*rowsKeys)
		must(o.t, err)
		config.Endpoint = *rowsEndpoint
		_, err = fmt.Sscan(string(keys), &config.AccessKey, &config.SecretKey)
		must(o.t, err)
	}
	rows, err := bucket.At(config)
	must(o.t, err)
	if folder, ok := rows.(*bucket.Folder); ok {
		o.t.Cleanup(func() { _ = folder.Close() })
	}
	return rows
}

// checkTown holds the stores of all shares against what was answered, and stores and published results against an undisturbed run, for the
// windows that begin before a moment.
func (o *town) checkTown(until time.Time) {
	o.t.Helper()
	w := &rig{t: o.t}
	var err error
	w.broker, err = broker.Open(o.t.Context(), broker.Config{URL: o.urls, Log: slog.New(slog.DiscardHandler)})
	must(o.t, err)
	defer func() { _ = w.broker.Close() }()
	keyer, records := o.plans(w.broker)
	c := &course{records: records}
	catalogs, err := w.broker.JetStream().KeyValue(o.t.Context(), broker.BucketCatalogs)
	must(o.t, err)
	rows := o.openRows()
	cache, err := storage.NewCache(filepath.Join(o.t.TempDir(), "cache"), 64<<20)
	must(o.t, err)
	reader, err := storage.NewReader(storage.ReaderConfig{Heads: heads.New(catalogs), Bucket: rows, Cache: cache})
	must(o.t, err)
	defer func() { _ = reader.Close() }()
	got := w.outcomeOf(c, &reader.Rows, until)
	o.once(got, keyer)
	got.equals(o.t, o.again(keyer, c, until))
}
