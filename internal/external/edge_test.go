package external_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const rooms = `KAPPA rooms AS SELECT mean(room) FROM sense.room SAMPLE ALL
WINDOW 2s GRACE 1s PRIVACY LOCAL EPSILON 4 PER 2s BETWEEN 10 AND 40`

// edge is a collector on a folder of its own.
type edge struct {
	name, config string
	log          *os.File
	cmd          *exec.Cmd
}

// board describes a collector: its sensor and its policy as they stand in edge.yaml.
type board struct{ name, capability, sensor, policy string }

// collect writes the configuration of a board and starts its collector; it is stopped at the test's end.
func collect(t *testing.T, server *program, b board) *edge {
	t.Helper()
	dir := t.TempDir()
	e := &edge{name: b.name, config: filepath.Join(dir, "edge.yaml")}
	yaml := fmt.Sprintf(`server: %s
device: %s
attributes: {place: test}
data: data
interval: 100ms
hello: 1s
sensors: [{capability: %s, %s}]
policy: {capabilities: [%s], %s}
`, server.nats, b.name, b.capability, b.sensor, b.capability, b.policy)
	for name, text := range map[string]string{"edge.yaml": yaml, "room.csv": "c\n21.654321\n21.754321\n21.854321\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if e.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.kill(t)
		text, err := os.ReadFile(e.log.Name())
		if err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s:\n%s", e.name, text)
		}
		if strings.Contains(string(text), ".654321") || strings.Contains(string(text), ".754321") {
			t.Errorf("%s logged a reading", e.name)
		}
		if err := e.log.Close(); err != nil {
			t.Error(err)
		}
	})
	e.start(t)
	return e
}

func (e *edge) start(t *testing.T) {
	t.Helper()
	e.cmd = exec.Command(filepath.Join(programs, "quadrat-edge"), "run", "--config", e.config) //nolint:gosec // our own program
	e.cmd.Stderr = e.log
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
}

// kill ends it as a loss of power does.
func (e *edge) kill(t *testing.T) {
	t.Helper()
	if err := e.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = e.cmd.Wait() // says that it was killed
}

// account is what the test reads of `quadrat-edge ledger --format json`.
type account struct {
	SpentInLifetime string  `json:"spent_in_lifetime"`
	LeftInPeriod    string  `json:"left_in_period"`
	LeftInLifetime  *string `json:"left_in_lifetime"`
	Reports         int
	Kappas          []struct {
		Ref     string
		Reports int
	}
}

func (e *edge) ledger(format string) ([]byte, error) {
	return exec.Command(filepath.Join(programs, "quadrat-edge"), "ledger", "--config", e.config, "--format", format).Output() //nolint:gosec // our own program
}

func (e *edge) account() (a account, err error) {
	out, err := e.ledger("json")
	if err != nil {
		return a, err
	}
	return a, json.Unmarshal(out, &a)
}

// watch reads the ledger again and again until the function that it returns is called: what is spent never shrinks.
func (e *edge) watch(t *testing.T) (stop func()) {
	t.Helper()
	end := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		before, looks := 0.0, 0
		for ; ; looks++ {
			if a, err := e.account(); err != nil {
				t.Errorf("%s: ledger: %v", e.name, err)
			} else if now, err := strconv.ParseFloat(a.SpentInLifetime, 64); err != nil || now < before {
				t.Errorf("%s: spent %s after %g (%v)", e.name, a.SpentInLifetime, before, err)
			} else {
				before = now
			}
			select {
			case <-end:
				t.Logf("%s: %d looks into the ledger, ε %g", e.name, looks, before)
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return sync.OnceFunc(func() { close(end); group.Wait() })
}

// put deploys a kappa once n devices have said hello.
func (p *program) put(t *testing.T, script string, devices int) string {
	t.Helper()
	until(t, "the devices", func() bool {
		var got struct{ Total int }
		p.call(t, "GET", "/devices?limit=1", "", &got)
		return got.Total == devices
	})
	var put struct{ Ref, Message string }
	if code := p.call(t, "PUT", "/kappa", script, &put); code != 201 {
		t.Fatalf("PUT: %d %s", code, put.Message)
	}
	return put.Ref
}

// full waits until n windows that begin at a moment or later are final with as many reports.
func (p *program) full(t *testing.T, ref string, n, reports int, from time.Time) {
	t.Helper()
	until(t, fmt.Sprintf("%d windows of %s with %d reports", n, ref, reports), func() bool {
		found := 0
		for _, r := range p.results(t, ref) {
			if r.Final && r.Reports == reports && !r.start(t).Before(from) {
				found++
			}
		}
		return found >= n
	})
}

func (r result) start(t *testing.T) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339Nano, r.WindowStart)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Real collectors keep what they have to say while the server is away, and neither its absence nor their own sudden
// death makes them report a window twice or forget what they have spent.
func TestCollectorsLoseNothingAndNeverSpeakTwice(t *testing.T) {
	t.Parallel()
	server := serve(t)
	const policy = "epsilon: 1000, per: 1h, lifetime: none"
	kitchen := collect(t, server, board{"kitchen", "sense.room", "source: csv, file: room.csv, column: c, at_end: wrap", policy})
	cellar := collect(t, server, board{"cellar", "sense.room", "source: command, argv: [/bin/echo, '21.754321']", policy})
	ref := server.put(t, rooms, 2)
	server.full(t, ref, 2, 2, time.Time{})
	for _, e := range []*edge{kitchen, cellar} {
		defer e.watch(t)()
	}
	away(t, server, ref)

	random := rand.New(rand.NewPCG(1, 2))
	for range 6 { // at moments that the seed and the machine choose, in all parts of a window
		time.Sleep(time.Duration(random.IntN(1500)) * time.Millisecond)
		kitchen.kill(t)
		kitchen.start(t)
	}
	server.full(t, ref, 2, 2, time.Now())
	once(t, server, ref, kitchen, cellar)
}

// away stops the server for three whole windows and checks that each of them has both reports afterwards.
func away(t *testing.T, server *program, ref string) {
	t.Helper()
	const window = 2 * time.Second
	server.stop(t)
	gone := time.Now()
	back := gone.Truncate(window).Add(4*window + 100*time.Millisecond)
	time.Sleep(time.Until(back))
	server.start(t)
	server.full(t, ref, 1, 2, back)
	missed := map[time.Time]result{}
	until(t, "the windows of the server's absence", func() bool {
		for _, r := range server.results(t, ref) {
			if at := r.start(t); at.After(gone) && at.Add(window).Before(back) {
				missed[at] = r
			}
		}
		whole := 0
		for _, r := range missed {
			if r.Final && r.Reports == 2 {
				whole++
			}
		}
		return whole == 3
	})
	for at, r := range missed {
		t.Logf("window %s: revision %d", at.Format(time.TimeOnly), r.Revision)
	}
}

// once checks that no device has two reports of one window, and that each report that is counted was paid for.
func once(t *testing.T, server *program, ref string, edges ...*edge) {
	t.Helper()
	dir := t.TempDir()
	var rows, pairs, devices int
	query := "SELECT count(*), count(DISTINCT (window_start, device)), count(DISTINCT device) FROM reports"
	if err := server.reports(t, ref, dir).QueryRowContext(t.Context(), query).Scan(&rows, &pairs, &devices); err != nil {
		t.Fatal(err)
	}
	if rows != pairs || devices != len(edges) {
		t.Errorf("%d reports of %d (window, device) pairs and %d devices", rows, pairs, devices)
	}
	paid, each := 0, map[string]int{}
	for _, e := range edges {
		a, err := e.account()
		if err != nil {
			t.Fatal(err)
		}
		paid += a.Reports
		each[e.name] = a.Reports
		if spent, err := strconv.ParseFloat(a.SpentInLifetime, 64); err != nil || spent != float64(4*a.Reports) {
			t.Errorf("%s spent %s in %d reports of 4", e.name, a.SpentInLifetime, a.Reports)
		}
	}
	if rows > paid {
		t.Errorf("%d reports are stored, %d were paid for", rows, paid)
	}
	// The cellar, which was never killed, answers every window once. A second answer after a sudden death would be counted
	// once only, but paid twice. Two windows may end between the two looks.
	if each["kitchen"] > each["cellar"]+2 {
		t.Errorf("paid: %v", each)
	}
	t.Logf("%d reports stored, %d paid for", rows, paid)
}

// A device that has spent its lifetime or its period is silent, for another kappa too, and says so to its owner.
func TestSpentCollectorsAreSilent(t *testing.T) {
	t.Parallel()
	server := serve(t)
	const sensor = "source: csv, file: room.csv, column: c, at_end: wrap"
	mortal := collect(t, server, board{"mortal", "sense.room", sensor, "epsilon: 1000, per: 1h, lifetime: 8"})
	thrifty := collect(t, server, board{"thrifty", "sense.room", sensor, "epsilon: 8, per: 1d, lifetime: none"})
	first := server.put(t, rooms, 2)
	for _, e := range []*edge{mortal, thrifty} {
		until(t, e.name+" to have spent all", func() bool {
			a, err := e.account()
			return err == nil && a.Reports == 2
		})
	}
	second := server.put(t, strings.Replace(rooms, "KAPPA rooms", "KAPPA again", 1), 2)
	server.full(t, second, 2, 0, time.Time{})
	server.full(t, first, 1, 0, time.Time{})

	for _, e := range []*edge{mortal, thrifty} {
		a, err := e.account()
		if err != nil {
			t.Fatal(err)
		}
		if a.SpentInLifetime != "8" || a.Reports != 2 || len(a.Kappas) != 2 || a.Kappas[0].Ref != first || a.Kappas[1].Reports != 0 {
			t.Errorf("%s: %+v", e.name, a)
		}
	}
	if a, err := mortal.account(); err != nil || a.LeftInLifetime == nil || *a.LeftInLifetime != "0" {
		t.Errorf("mortal: %+v, %v", a, err)
	}
	if a, err := thrifty.account(); err != nil || a.LeftInPeriod != "0" {
		t.Errorf("thrifty: %+v, %v", a, err)
	}
	words, err := mortal.ledger("table")
	if err != nil || !strings.Contains(string(words), "8 of 8 in 2 reports, left: 0") {
		t.Errorf("mortal's owner reads:\n%s%v", words, err)
	}
	var rows int
	query := "SELECT count(*) FROM reports"
	if err := server.reports(t, first, t.TempDir()).QueryRowContext(t.Context(), query).Scan(&rows); err != nil || rows != 4 {
		t.Errorf("%d reports are stored, %v", rows, err)
	}
	for _, r := range server.results(t, second) {
		if r.Reports != 0 || r.Panel != 2 || r.Value != nil {
			t.Errorf("the second kappa has %d reports of a panel of %d in %s", r.Reports, r.Panel, r.WindowStart)
		}
	}
}
