package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

var (
	manyKappas  = flag.Int("many", 120, "how many kappas TestManyKappas deploys; make many has 10,000")
	manyMemory  = flag.Int64("many-memory", 512, "memory of the server of TestManyKappas, in MiB")
	manyWindow  = flag.Duration("many-window", 5*time.Second, "length of the windows of TestManyKappas")
	manyWindows = flag.Int64("many-windows", 2, "windows in which the fleet of TestManyKappas answers")
)

const (
	manyUnits   = 200 // behind each gateway, two for each combination of ten strata and ten cells
	manyAtOnce  = 64  // requests under way
	manyStates  = 100 // of a kappa in one window
	manyHelloes = 32
)

// crowd is a server with many kappas, and the fleet that answers all of them.
type crowd struct {
	*child

	api      *client.Client
	gateways int
	conn     *nats.Conn

	mu    sync.Mutex // guards what follows
	refs  []string
	plans map[string][]*quadratv1.DevicePlan // by reference, as broadcast
}

// script is the question of a kappa: each has another name and other words, and a hundred states in a window.
func (c *crowd) script(i int) string {
	ask := [...]string{
		"mean(temperature) FROM sense.temperature WHERE block = 'b%d' GROUP BY cooling",
		"mean(temperature), proportion(temperature > %d) FROM sense.temperature WHERE block = 'b%d' GROUP BY kind",
		"total(temperature), count(temperature > %d) FROM sense.temperature WHERE block = 'b%d' GROUP BY kind",
	}[i%3]
	block := i % c.gateways
	if i%3 == 0 {
		ask = fmt.Sprintf(ask, block)
	} else {
		ask = fmt.Sprintf(ask, 15+i%20, block)
	}
	return fmt.Sprintf("KAPPA many%05d AS SELECT %s SAMPLE ALL STRATIFIED BY region WINDOW %dms GRACE 1s PRIVACY NONE BETWEEN 10 AND 40", i, ask,
		manyWindow.Milliseconds())
}

func crowdUnit(g, i int) string { return fmt.Sprintf("m%d-%d", g, i) }

// join announces gateways and units.
func (c *crowd) join() {
	c.t.Helper()
	c.each(c.gateways*(manyUnits+1), manyHelloes, func(n int) {
		g, i := n%c.gateways, n/c.gateways-1
		if i < 0 {
			return
		}
		c.hello(&quadratv1.Hello{
			Device: crowdUnit(g, i), Gateway: fmt.Sprint("m", g),
			Attributes: map[string]string{
				"block": fmt.Sprint("b", g), "region": fmt.Sprint("r", i%10), "cooling": fmt.Sprint("c", i/10%10), "kind": fmt.Sprint("k", i/10%5),
			},
			Capabilities: []*quadratv1.Capability{{Name: "sense.temperature", Open: true}},
			Limits:       &quadratv1.Limits{EpsilonMicro: 8e6, PeriodMs: 3.6e6, Models: []string{"local", "none"}},
		})
	})
}

func (c *crowd) hello(h *quadratv1.Hello) (reply *quadratv1.HelloReply, bytes int) {
	c.t.Helper()
	reply = &quadratv1.HelloReply{}
	body, err := proto.Marshal(h)
	var m *nats.Msg
	if err == nil {
		by := h.GetGateway()
		if by == "" {
			by = h.GetDevice()
		}
		m, err = c.conn.Request(wire.HelloSubject(by), body, patience)
	}
	if err == nil {
		err = proto.Unmarshal(m.Data, reply)
	}
	if err != nil || reply.GetError() != "" {
		c.t.Error(err, reply.GetError())
		return reply, 0
	}
	return reply, len(m.Data)
}

// each does n things, so many at once.
func (c *crowd) each(n, atOnce int, do func(int)) {
	var group sync.WaitGroup
	next := make(chan int)
	for range atOnce {
		group.Go(func() {
			for i := range next {
				do(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	group.Wait()
}

// listen keeps the plans that are broadcast.
func (c *crowd) listen() {
	c.t.Helper()
	_, err := c.conn.Subscribe("quadrat.plan", func(m *nats.Msg) {
		b := &quadratv1.PlanBroadcast{}
		if err := proto.Unmarshal(m.Data, b); err != nil {
			c.t.Error(err)
			return
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if p := b.GetPlan(); p != nil {
			c.plans[p.GetRef()] = append(c.plans[p.GetRef()], p)
		}
	})
	if err == nil {
		err = c.conn.Flush()
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// plan is what is in force of a kappa in a window.
func (c *crowd) plan(ref string, window int64) *quadratv1.DevicePlan {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range slices.Backward(c.plans[ref]) {
		if p.GetFromWindow() <= window {
			return p
		}
	}
	return nil
}

// answers is what the units of a block say to a kappa in a window: nil when its plan isn't in force.
func (c *crowd) answers(i int, ref string, window int64) []byte {
	p := c.plan(ref, window)
	if p == nil {
		c.t.Errorf("no plan of %s in window %d", ref, window)
		return nil
	}
	g := i % c.gateways
	strata := map[string]panel.Rotation{}
	for _, s := range p.GetStrata() {
		r := panel.Rotation{Origin: panel.Number(s.GetOrigin()), LapWindows: p.GetLapWindows(), Slots: uint32(len(p.GetStatistics())), Last: s.GetLast()}
		for _, m := range s.GetMembers() {
			strata[m.GetValues()[0]] = r
		}
	}
	batch := &quadratv1.GatewayBatch{Gateway: fmt.Sprint("m", g), Kappa: ref, Revision: p.GetRevision(), Window: window}
	for u := range manyUnits {
		r, known := strata[fmt.Sprint("r", u%10)]
		statistic, due := r.Due(panel.NumberOf(panel.Salt(p.GetSalt()), crowdUnit(g, u)), window)
		if !known || !due {
			continue
		}
		value := 20e6 + int64(u)*1000
		if s := p.GetStatistics()[statistic]; s.GetComparison() != "" {
			value = int64(u%2) * 1e6
		}
		batch.Device, batch.Statistic, batch.Value = append(batch.Device, crowdUnit(g, u)), append(batch.Statistic, statistic), append(batch.Value, value)
	}
	body, err := proto.Marshal(&quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: batch}})
	if err != nil {
		c.t.Error(err)
	}
	return body
}

// answer lets the fleet answer all kappas in a window.
func (c *crowd) answer(window int64) {
	c.each(len(c.refs), manyAtOnce, func(i int) {
		body := c.answers(i, c.refs[i], window)
		for begun := time.Now(); body != nil; time.Sleep(20 * time.Millisecond) {
			if time.Since(begun) > patience {
				c.t.Error("a request was never answered")
				return
			}
			m, err := c.conn.Request(broker.PrefixIn+fmt.Sprint("m", i%c.gateways), body, 10*time.Second)
			if err != nil {
				continue
			}
			reply, err := wire.DecodeIntakeReply(m.Data)
			if err != nil || reply.Status == wire.Rejected {
				c.t.Errorf("answered %+v, %v", reply, err)
				return
			}
			if reply.Status == wire.Stored {
				return
			}
		}
	})
}

// processor is the processor time that the server has taken.
func (c *crowd) processor() time.Duration {
	c.t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.process.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		c.t.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// took tells of a piece of the run.
func (c *crowd) took(what string, do func()) {
	c.t.Helper()
	begun, cpu := time.Now(), c.processor()
	do()
	c.t.Logf("%s: %v, %v of the processor; %d MiB at most", what, time.Since(begun).Round(time.Millisecond), c.processor()-cpu, c.peak()>>20)
}

func (c *crowd) get(path string) []byte {
	c.t.Helper()
	r, err := http.Get("http://" + c.at.HTTP + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		c.t.Fatalf("GET %s: %d %s, %v", path, r.StatusCode, body, err)
	}
	return body
}

func startCrowd(t *testing.T, folder string, gateways int) *crowd {
	t.Helper()
	c := &crowd{child: startChild(t, served{Folder: folder, Memory: *manyMemory << 20}), gateways: gateways, plans: map[string][]*quadratv1.DevicePlan{}}
	var err error
	if c.api, err = client.New("http://"+c.at.HTTP, client.Options{}); err != nil {
		t.Fatal(err)
	}
	if c.conn, err = nats.Connect(c.at.NATS, nats.Timeout(patience)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.conn.Close)
	return c
}

// A server with many kappas, to each of which a block of the fleet answers: all have their results, the server keeps within its memory, nothing
// that it tells grows by kappa but what lists them, and a restart knows all.
func TestManyKappas(t *testing.T) {
	folder := t.TempDir()
	n := *manyKappas
	c := startCrowd(t, folder, max(2, min(25, n/40)))
	c.listen()
	c.took("joining", c.join)
	few := len(strings.Split(string(c.get("/metrics")), "\n"))
	c.took("all PUTs", func() { c.deploy(n) })
	c.tell(n)
	window := time.Now().UnixMilli()/manyWindow.Milliseconds() + 2 // in which the last plan is in force
	for last := window + *manyWindows; window < last; window++ {
		time.Sleep(time.Until(time.UnixMilli(window * manyWindow.Milliseconds())))
		c.took(fmt.Sprint("answers of window ", window), func() { c.answer(window) })
	}
	c.took("results", func() { c.settled(n) })
	for _, name := range []string{
		"quadrat_engine_results_total", "quadrat_engine_checkpoint_bytes", "quadrat_results_held", `quadrat_memory_used_bytes{part="states"}`, `quadrat_memory_used_bytes{part="frames"}`,
		`quadrat_memory_budget_bytes{part="states"}`, `quadrat_memory_used_bytes{part="results"}`,
		"quadrat_engine_checkpoints_total", "quadrat_engine_windows_let_go_total", `quadrat_memory_full_total{part="frames"}`, `quadrat_memory_full_total{part="states"}`,
		`quadrat_memory_full_total{part="results"}`,
		"quadrat_memory_process_bytes", "quadrat_plans_redrawn_total",
	} {
		name, label, _ := strings.Cut(strings.TrimSuffix(name, "}"), "{")
		t.Logf("%s %s %.0f", name, label, c.metric(name, label))
	}
	if lines := len(strings.Split(string(c.get("/metrics")), "\n")); lines > few+60 {
		t.Errorf("/metrics has %d lines, without kappas %d", lines, few)
	}
	c.checkResults(window - 1)
	c.conn.Close()
	begun := time.Now()
	c.endWithin("the server")
	t.Logf("the end took %v", time.Since(begun).Round(time.Millisecond))
	begun = time.Now()
	again := startCrowd(t, folder, c.gateways)
	again.refs = c.refs
	t.Logf("a start took %v, %v of the processor", time.Since(begun).Round(time.Millisecond), again.processor())
	again.tell(n)
	again.took("20 deletions", func() {
		for _, ref := range c.refs[:20] {
			if err := again.api.Delete(t.Context(), ref); err != nil {
				t.Error(err)
			}
		}
	})
	again.conn.Close()
	again.endWithin("the server after a restart")
}

// settled waits until all reports are counted and all results are told.
func (c *crowd) settled(n int) {
	c.t.Helper()
	results := 0
	for i := range n {
		results += 11 + min(i%3, 1)
	}
	for begun := time.Now(); ; time.Sleep(200 * time.Millisecond) {
		counted, told := c.metric("quadrat_engine_reports_total", `outcome="counted"`), c.metric("quadrat_results_total", "")
		if counted == float64(n*manyUnits)*float64(*manyWindows) && told >= float64(results)*float64(*manyWindows) {
			return
		}
		if time.Since(begun) > floodPatience {
			c.t.Fatalf("%.0f reports are counted of %d, %.0f results told of %d", counted, n*manyUnits*int(*manyWindows), told, results*int(*manyWindows))
		}
	}
}

// deploy puts n kappas, one after another.
func (c *crowd) deploy(n int) {
	c.t.Helper()
	const steps = 10
	for step := range steps {
		begun, cpu, longest := time.Now(), c.processor(), time.Duration(0)
		for i := step * n / steps; i < (step+1)*n/steps; i++ {
			at := time.Now()
			put, err := c.api.Put(c.t.Context(), c.script(i), nil)
			if err != nil {
				c.t.Fatalf("kappa %d: %v", i, err)
			}
			longest = max(longest, time.Since(at))
			c.refs = append(c.refs, put.GetRef())
		}
		each := time.Duration(max(n/steps, 1))
		c.t.Logf("up to %d kappas a PUT takes %v, %v of the processor, %v at most; %d MiB", len(c.refs), time.Since(begun)/each, (c.processor()-cpu)/each, longest,
			c.peak()>>20)
	}
}

// tell looks at what lists and answers take.
func (c *crowd) tell(n int) {
	c.t.Helper()
	c.took("GET /kappa", func() {
		body := c.get("/kappa")
		var list struct{ Kappas []json.RawMessage }
		if err := json.Unmarshal(body, &list); err != nil || len(list.Kappas) != n {
			c.t.Errorf("%d kappas are listed: %v", len(list.Kappas), err)
		}
		c.t.Logf("%d bytes", len(body))
	})
	c.took("GET /kappa/REF/plan", func() { c.get("/kappa/" + c.refs[n/2] + "/plan") })
	c.took("POST /explain", func() {
		if _, err := c.api.Explain(context.Background(), c.script(n/2), nil); err != nil {
			c.t.Error(err)
		}
	})
	c.took("GET /metrics", func() { c.t.Logf("%d bytes", len(c.get("/metrics"))) })
	c.took("a hello", func() {
		reply, bytes := c.hello(&quadratv1.Hello{Device: "m0"})
		c.t.Logf("%d plans, %d references, %d bytes", len(reply.GetPlans()), len(reply.GetLive()), bytes)
	})
	c.took("1,000 hellos", func() {
		version := uint64(n)
		c.each(1000, manyHelloes, func(i int) {
			c.hello(&quadratv1.Hello{Device: fmt.Sprint("late", i), PlanSetVersion: version})
		})
	})
}

// checkResults waits until every kappa has its results for a window, those of reports that came late, too.
func (c *crowd) checkResults(window int64) {
	c.t.Helper()
	c.each(len(c.refs), 4, func(i int) {
		for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
			missing, reports := c.results(i, window)
			if missing == 0 && reports == manyUnits {
				return
			}
			if time.Since(begun) > patience {
				c.t.Errorf("kappa %d: %d results are missing, %d reports", i, missing, reports)
				return
			}
		}
	})
}

// results is how many results of a kappa are missing for a window, and how many reports they are of.
func (c *crowd) results(i int, window int64) (missing, reports int) {
	start := time.UnixMilli(window * manyWindow.Milliseconds())
	results, err := c.api.Results(c.t.Context(), c.refs[i], client.Span{Since: start, Until: start.Add(*manyWindow)})
	if err != nil {
		c.t.Error(err)
	}
	for _, r := range results {
		if len(r.GetCell()) == 0 {
			reports += int(r.GetReports())
		}
	}
	return 11 + min(i%3, 1) - len(results), reports
}
