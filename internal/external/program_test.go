package external_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// patience is how long a step may take before the test gives up; it is no measure of anything.
const patience = 90 * time.Second

// programs is where the built programs are; set once, before any test runs.
var programs string

// TestMain builds the programs that all tests run.
func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "quadrat")
	if err == nil {
		cmd := exec.Command("go", "build", "-o", dir+string(filepath.Separator), "./cmd/quadrat", "./cmd/quadrat-edge")
		cmd.Dir = filepath.Join("..", "..")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		err = cmd.Run()
	}
	code := 1
	if err == nil {
		programs = dir
		code = m.Run()
	} else {
		fmt.Fprintln(os.Stderr, "build:", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// program is a server that can be stopped and started again at the same place.
type program struct {
	path, data              string
	http, httpAddress       string
	grpcAddress, natsListen string
	nats                    string
	flags                   []string
	cmd                     *exec.Cmd
	log                     bytes.Buffer // read when the program has ended
}

// ports is how many ports servers were told to listen on.
var ports atomic.Int64

// ownAddress is an address of this machine for a server that is stopped and comes back to it. Its port is below those that systems give to
// who asks for any, so that nobody gets it while the server is away.
func ownAddress(t *testing.T) string {
	t.Helper()
	const low, many = 15_000, 15_000
	for range many {
		address := fmt.Sprint("127.0.0.1:", low+(int64(os.Getpid())*97+ports.Add(1))%many)
		if l, err := net.Listen("tcp", address); err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			return address
		}
	}
	t.Fatalf("no port from %d to %d is free", low, low+many-1)
	return ""
}

// serve starts a server on ports of its own, with further flags, and stops it at the test's end.
func serve(t *testing.T, flags ...string) *program {
	t.Helper()
	p := &program{
		path: filepath.Join(programs, "quadrat"), data: t.TempDir(),
		httpAddress: ownAddress(t), grpcAddress: ownAddress(t), natsListen: ownAddress(t), flags: flags,
	}
	t.Cleanup(func() {
		p.stop(t)
		if t.Failed() {
			t.Logf("server:\n%s", p.log.String())
		}
	})
	p.start(t)
	return p
}

// start starts it and waits until it is ready.
func (p *program) start(t *testing.T) {
	t.Helper()
	flags := append([]string{"serve", "--data", p.data, "--http", p.httpAddress, "--grpc", p.grpcAddress}, p.flags...)
	if p.natsListen != "" { // otherwise it has a broker outside
		flags = append(flags, "--nats-listen", p.natsListen)
	}
	cmd := exec.Command(p.path, flags...) //nolint:gosec // our own program
	cmd.Stderr = &p.log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.cmd = cmd
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("no ready line: %v", err)
	}
	var ready struct{ HTTP, GRPC, NATS string }
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatalf("ready line %q: %v", line, err)
	}
	p.httpAddress, p.grpcAddress, p.nats = ready.HTTP, ready.GRPC, ready.NATS
	p.http = "http://" + ready.HTTP
	if p.natsListen != "" {
		p.natsListen = strings.TrimPrefix(ready.NATS, "nats://")
	}
}

// kill ends it as a power cut does.
func (p *program) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = p.cmd.Wait() // it was killed
	p.cmd = nil
}

// stop asks it to end and waits until it has.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if p.cmd == nil {
		return
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the server ends with %v", err)
	}
	p.cmd = nil
}

// run runs a verb to its end and returns what it wrote on standard output.
func (p *program) run(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), p.path, args...)
	cmd.Env = append(os.Environ(), "QUADRAT_SERVER="+p.http)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(args, " "), err, out.String(), log.String())
	}
	return out.String()
}

// call sends a request and decodes the JSON that comes back.
func (p *program) call(t *testing.T, method, path, body string, into any) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.http+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "text/plain")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(content, into); err != nil {
			t.Fatalf("%s %s: %v in %s", method, path, err, content)
		}
	}
	return res.StatusCode
}

// results returns the newest revision of every result since the beginning.
func (p *program) results(t *testing.T, ref string) []result {
	t.Helper()
	var got struct{ Results []result }
	if code := p.call(t, "GET", "/kappa/"+ref+"?since=2020-01-01T00:00:00Z", "", &got); code != http.StatusOK {
		t.Fatalf("results: %d", code)
	}
	return got.Results
}

// until waits for a condition that has to come.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// result is what the test reads of a result.
type result struct {
	WindowStart string `json:"window_start"`
	Cell        map[string]string
	Statistic   string
	Value       *float64
	StdError    *float64 `json:"std_error"`
	Sampling    float64  `json:"variance_sampling"`
	Privacy     float64  `json:"variance_privacy"`
	Bin         *struct{ Index int }
	Panel       int
	Reports     int
	Revision    int
	Final       bool
	Warnings    []string
}

func (r result) name() string { return fmt.Sprintf("%s %s %v", r.WindowStart, r.Statistic, r.Cell) }
