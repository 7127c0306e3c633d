package crash_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/broker"
)

// The environment that makes the test's own program a broker, to be killed.
const (
	envStore  = "QUADRAT_CRASH_BROKER_STORE"
	envListen = "QUADRAT_CRASH_BROKER_LISTEN"
	envRoutes = "QUADRAT_CRASH_BROKER_ROUTES" // of a server of several: its own address for the others, then theirs
)

// beBroker is the program of a broker: it prints where it listens and serves until it is ended.
func beBroker(store, listen string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	config := broker.Config{StoreDir: store, Listen: listen}
	if routes := os.Getenv(envRoutes); routes != "" {
		all := strings.Split(routes, ",")
		config.Cluster = &broker.Cluster{Name: "s" + all[0], Listen: all[0], Routes: all[1:]}
		config.Log = slog.New(slog.DiscardHandler)
	}
	b, err := broker.Open(ctx, config)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(b.URL())
	<-ctx.Done()
	if err := b.Close(); err != nil {
		return 1
	}
	return 0
}

// ports is the last port that a process was told to listen on.
var ports atomic.Int64

// ownAddress is an address of this machine for a process that is killed and comes back to it. Its port is below those that systems give to
// who asks for any, so that nobody gets it while the process is down.
func ownAddress(t *testing.T) string {
	t.Helper()
	const low, many = 15_000, 15_000
	ports.CompareAndSwap(0, int64(os.Getpid())*97)
	for range many {
		address := fmt.Sprint("127.0.0.1:", low+ports.Add(1)%many)
		if l, err := net.Listen("tcp", address); err == nil {
			must(t, l.Close())
			return address
		}
	}
	t.Fatalf("no port from %d to %d is free", low, low+many-1)
	return ""
}

// process is a program that can be killed and started again.
type process struct {
	t     *testing.T
	make  func() *exec.Cmd
	cmd   *exec.Cmd
	kills int
}

// start starts it and gives the first line that it prints.
func (p *process) start() string {
	p.t.Helper()
	p.cmd = p.make()
	out, err := p.cmd.StdoutPipe()
	must(p.t, err)
	must(p.t, p.cmd.Start())
	running := p.cmd.Process
	p.t.Cleanup(func() { _ = running.Kill() }) // a test that failed leaves nobody behind
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		_ = p.cmd.Wait()
		p.t.Fatalf("%s did not start: %v", p.cmd.Path, err)
	}
	return strings.TrimSpace(line)
}

// kill is kill -9.
func (p *process) kill() {
	p.t.Helper()
	p.kills++
	killings.Add(1)
	must(p.t, p.cmd.Process.Kill())
	_ = p.cmd.Wait() // it says that it was killed
}

// end lets it close in order.
func (p *process) end() {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	if err := p.cmd.Wait(); err != nil {
		p.t.Errorf("%s did not end well: %v", p.cmd.Path, err)
	}
}

// killBroker is a round: the process of the broker is killed twice under an engine that stays.
func killBroker(t *testing.T, seed uint64) {
	c := calmOf(t, seed)
	random := rand.New(rand.NewPCG(seed, 4))
	store, listen := t.TempDir(), ownAddress(t)
	p := &process{t: t, make: func() *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), envStore+"="+store, envListen+"="+listen)
		return cmd
	}}
	url := p.start()
	w := newRig(t, t.TempDir(), broker.Config{URL: url}, rand.New(rand.NewPCG(seed%courses, 1)))
	w.up(c.course, newDisk(well, 0, 0))
	d := &disturbance{random: random, at: map[int]bool{}, strike: func() {
		p.kill()
		p.start()
	}}
	for range 2 {
		d.at[random.IntN(len(c.course.steps))] = true
	}
	w.follow(c.course, d)
	w.end()
	if p.kills == 0 {
		t.Error("nobody was killed")
	}
	w.outcome(c.course).check(t, c.course, c.outcome)
	w.close()
	p.end()
}
