package external_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience is how long a step may take before the test gives up; it is no measure of anything.
const patience = 90 * time.Second

// build makes the program once for the test.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "quadrat")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/quadrat")
	cmd.Dir = filepath.Join("..", "..")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// program is a started server.
type program struct {
	path, http, nats string
}

// serve starts a server on free ports and stops it at the test's end.
func serve(t *testing.T, path string) program {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), path, "serve", "--data", t.TempDir(),
		"--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("server:\n%s", log.String())
		}
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("no ready line: %v\n%s", err, log.String())
	}
	var ready struct{ HTTP, GRPC, NATS string }
	if err := json.Unmarshal(line, &ready); err != nil {
		t.Fatalf("ready line %q: %v", line, err)
	}
	return program{path: path, http: "http://" + ready.HTTP, nats: ready.NATS}
}

// run runs a verb to its end and returns what it wrote on standard output.
func (p program) run(t *testing.T, args ...string) string {
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
func (p program) call(t *testing.T, method, path, body string, into any) int {
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
	Reports     int
	Final       bool
	Warnings    []string
}

func (r result) name() string { return fmt.Sprintf("%s %s %v", r.WindowStart, r.Statistic, r.Cell) }
