package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const yaml = `
server: nats://127.0.0.1:1
device: pi-7
data: data
sensors: [{capability: sense.temperature, source: csv, file: t.csv, column: t}]
policy: {capabilities: [sense.temperature], epsilon: 1, lifetime: 30}
`

// call runs a verb and returns its exit code and outputs.
func call(t *testing.T, ctx context.Context, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, fail bytes.Buffer
	code = execute(ctx, args, &out, &fail)
	return code, out.String(), fail.String()
}

// home writes a configuration and returns its name.
func home(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"edge.yaml": yaml, "t.csv": "t\n21.537191\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "edge.yaml")
}

func TestExitCodes(t *testing.T) {
	config := home(t)
	for line, want := range map[string]int{
		"": exitUsage, "fly": exitUsage, "help": exitOK, "run --help": exitOK, "check --help": exitOK, "ledger -h": exitOK,
		"run --wrong": exitUsage, "check extra": exitUsage, "ledger --format xml": exitUsage,
		"run --config /no/such/file": exitFailed, "ledger --config " + config: exitFailed, "check --config " + config: exitFailed,
	} {
		code, stdout, stderr := call(t, t.Context(), strings.Fields(line)...)
		if code != want {
			t.Errorf("%q: %d, want %d\n%s%s", line, code, want, stdout, stderr)
		}
		if code == exitOK && (stderr != "" || (line != "help" && !strings.Contains(stdout, "Example:"))) {
			t.Errorf("%q explains nothing: %s%s", line, stdout, stderr)
		}
		if code != exitOK && stderr == "" && !strings.HasPrefix(line, "check") {
			t.Errorf("%q fails without a word", line)
		}
	}
}

func TestCheckKeepsReadingsToItself(t *testing.T) {
	config := home(t)
	_, stdout, stderr := call(t, t.Context(), "check", "--config", config)
	if strings.Contains(stdout+stderr, "21.5") || !strings.Contains(stdout, "gives a reading") {
		t.Error(stdout, stderr)
	}
	_, stdout, stderr = call(t, t.Context(), "check", "--config", config, "--show-readings", "--format", "json")
	var findings []map[string]any
	if err := json.Unmarshal([]byte(stdout), &findings); err != nil || findings[0]["reading"] != "21.537191" || stderr != "" {
		t.Error(err, stdout, stderr)
	}
}

func TestRunThenLedger(t *testing.T) {
	config := home(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code, _, stderr := call(t, ctx, "run", "--config", config); code != exitOK || strings.Contains(stderr, "21.5") {
		t.Fatal(code, stderr)
	}
	code, stdout, _ := call(t, t.Context(), "ledger", "--config", config)
	if code != exitOK || !strings.Contains(stdout, "epsilon 1 in any day") || !strings.Contains(stdout, "0 of 30 in 0 reports") {
		t.Error(code, stdout)
	}
	code, stdout, _ = call(t, t.Context(), "ledger", "--config", config, "--format", "json")
	var account map[string]any
	if err := json.Unmarshal([]byte(stdout), &account); err != nil || code != exitOK || account["left_in_lifetime"] != "30" {
		t.Error(err, code, stdout)
	}
}
