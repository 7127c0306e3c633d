package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/storage/bucket"
)

// childVariable holds what a test process serves, as JSON, when it is one of those that a test starts.
const childVariable = "QUADRAT_TEST_CHILD"

func TestMain(m *testing.M) {
	if told := os.Getenv(childVariable); told != "" {
		if err := serveChild(told); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// served is what a process serves whose memory is measured.
type served struct {
	Folder string
	Memory int64
	Rate   int // reports a second that each engine is let count until it is let go; 0 for as many as it can

	// Of a process of a cluster:
	Role         server.Role
	NATS, Bucket string
	Shares       int
}

// slowSink takes a while for each report until it is let go.
type slowSink struct {
	engine.Sink

	rate int
	free <-chan struct{}
}

func (s slowSink) Batch(b *column.Batch) error {
	timer := time.NewTimer(time.Duration(b.Len()) * time.Second / time.Duration(s.rate))
	defer timer.Stop()
	select {
	case <-s.free:
	case <-timer.C:
	}
	return s.Sink.Batch(b)
}

// serveChild serves until standard input ends; a first line on it lets slow engines go.
func serveChild(told string) error {
	var c served
	if err := json.Unmarshal([]byte(told), &c); err != nil {
		return err
	}
	memory.Collector(c.Memory)
	const any = "127.0.0.1:0"
	config := server.Config{Data: c.Folder, HTTP: any, GRPC: any, Memory: c.Memory, Role: c.Role, NATS: c.NATS, Shares: c.Shares}
	if c.NATS == "" {
		config.NATSListen = any
	}
	if c.Bucket != "" {
		rows, err := bucket.OpenFolder(c.Bucket)
		if err != nil {
			return err
		}
		config.Bucket = rows
	}
	free := make(chan struct{})
	if c.Rate > 0 {
		config = config.SlowedBy(func(to engine.Sink) engine.Sink { return slowSink{Sink: to, rate: c.Rate, free: free} })
	}
	s, err := server.Start(context.Background(), config)
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

// child is a server in a process of its own.
type child struct {
	t       *testing.T
	served  served
	process *exec.Cmd
	input   io.WriteCloser
	at      server.Addresses
}

func startChild(t *testing.T, what served) *child {
	t.Helper()
	told, err := json.Marshal(what)
	if err != nil {
		t.Fatal(err)
	}
	c := &child{t: t, served: what, process: exec.CommandContext(t.Context(), os.Args[0])}
	c.process.Env = append(os.Environ(), childVariable+"="+string(told))
	c.process.Stderr = os.Stderr
	out, err := c.process.StdoutPipe()
	if err == nil {
		c.input, err = c.process.StdinPipe()
	}
	if err == nil {
		err = c.process.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &c.at)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// letGo lets slow engines count as fast as they can.
func (c *child) letGo() {
	c.t.Helper()
	if _, err := io.WriteString(c.input, "go\n"); err != nil {
		c.t.Fatal(err)
	}
}

// peak is the most memory that the process ever had, in bytes.
func (c *child) peak() int64 {
	c.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.process.Process.Pid))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	c.t.Fatal("the system doesn't tell the memory of a process")
	return 0
}

// end lets the process end in order.
func (c *child) end() {
	c.t.Helper()
	if err := c.input.Close(); err != nil {
		c.t.Fatal(err)
	}
	if err := c.process.Wait(); err != nil {
		c.t.Fatal(err)
	}
}

// endWithin lets the process end, whose memory must have kept within its bound.
func (c *child) endWithin(what string) {
	c.t.Helper()
	peak := c.peak()
	c.t.Logf("%s had %d MiB at most", what, peak>>20)
	if peak > c.served.Memory {
		c.t.Errorf("%s had %d MiB, of %d", what, peak>>20, c.served.Memory>>20)
	}
	c.end()
}

// metric is the sum of a metric over all its labels that hold a text.
func (c *child) metric(name, label string) (sum float64) {
	c.t.Helper()
	reply, err := http.Get("http://" + c.at.HTTP + "/metrics")
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = reply.Body.Close() }()
	for lines := bufio.NewScanner(reply.Body); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), " ")
		if key != name && !strings.HasPrefix(key, name+"{") || !strings.Contains(key, label) {
			continue
		}
		var x float64
		if _, err := fmt.Sscan(value, &x); err != nil {
			c.t.Fatal(err)
		}
		sum += x
	}
	return sum
}
