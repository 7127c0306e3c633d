//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const gatewayYAML = `
role: gateway
server: nats://127.0.0.1:1
device: block
data: data
units: [{name: a}, {name: b}]
listen: {address: "ADDRESS", token_file: token}
sensors:
  - {source: network, unit: a, name: bath, capability: sense.temperature}
  - {source: network, unit: b, name: hall, capability: sense.temperature}
  - {source: csv, unit: b, file: t.csv, column: t, capability: sense.temperature}
policy: {capabilities: [sense.temperature], epsilon: 1, lifetime: 30}
`

// A gateway runs, hears one of its two sensors, and check and ledger say in whose name, without what was sent.
func TestGatewayRunsAndTells(t *testing.T) {
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "edge.yaml")
	for name, text := range map[string]string{
		"edge.yaml": strings.Replace(gatewayYAML, "ADDRESS", address, 1), "t.csv": "t\n21.537191\n", "token": "0123456789abcdef\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, stdout, _ := call(t, t.Context(), "check", "--config", config)
	if !strings.Contains(stdout, "run it, then check again") {
		t.Error(stdout)
	}
	ctx, cancel := context.WithCancel(t.Context())
	type end struct {
		code   int
		stderr string
	}
	ended := make(chan end, 1)
	go func() {
		code, _, stderr := call(t, ctx, "run", "--config", config)
		ended <- end{code, stderr}
	}()
	for deadline := time.Now().Add(time.Minute); !post(t, "http://"+address+"/readings", `{"sensor": "bath", "value": 21.537191}`); {
		if time.Now().After(deadline) {
			t.Fatal("it never takes a reading")
		}
		time.Sleep(5 * time.Millisecond)
	}
	_, stdout, _ = call(t, t.Context(), "check", "--config", config, "--show-readings")
	if flat := strings.Join(strings.Fields(stdout), " "); !strings.Contains(flat, "ok sensor bath was heard") ||
		!strings.Contains(flat, "FAILED sensor hall was not heard") ||
		!strings.Contains(stdout, "for each of 2 units") || strings.Count(stdout, "21.5") != 1 { // that of the local sensor
		t.Error(stdout)
	}
	cancel()
	if e := <-ended; e.code != exitOK || strings.Contains(e.stderr, "21.5") || !strings.Contains(e.stderr, "role=gateway") {
		t.Error(e)
	}
	code, stdout, _ := call(t, t.Context(), "ledger", "--config", config)
	if code != exitOK || !strings.Contains(stdout, "Gateway block, one ledger since") || !strings.Contains(stdout, "2 units: a, b") ||
		!strings.Contains(stdout, "the unit is one of the units") {
		t.Error(code, stdout)
	}
}

// post sends a reading; false when nobody is there yet.
func post(t *testing.T, url, body string) bool {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer 0123456789abcdef")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	text, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		t.Fatalf("%s: %s", answer.Status, text)
	}
	return true
}
