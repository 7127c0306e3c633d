package server_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/storage"
)

func TestValidate(t *testing.T) {
	const token = "0123456789abcdef"
	for _, c := range []struct {
		config server.Config
		faults []string
	}{
		{server.Config{Data: "d"}, nil},
		{server.Config{Data: "d", HTTP: "[::1]:0", GRPC: "localhost:0"}, nil},
		{server.Config{Data: "d", HTTP: "0.0.0.0:80", GRPC: ":90", Token: token}, nil},
		{server.Config{Data: "d", NATS: "nats://elsewhere:4222"}, nil},
		{server.Config{HTTP: "0.0.0.0:80", GRPC: "example.com:90"}, []string{"--data", "--http 0.0.0.0:80", "--grpc example.com:90", "--token-file"}},
		{server.Config{Data: "d", NATSListen: ":4222", Token: token}, []string{"--nats-listen :4222"}},
		{server.Config{Data: "d", NATSListen: "127.0.0.1:0", NATS: "nats://x"}, []string{"--nats and --nats-listen"}},
		{server.Config{Data: "d", Bucket: struct{ storage.Bucket }{}}, []string{"--bucket", "--archive"}},
		{server.Config{Data: "d", Role: server.RoleAPI, NATS: "nats://x", Archive: struct{ storage.Objects }{}}, []string{"--archive", "--bucket"}},
		{server.Config{Data: "d", Retention: -1}, []string{"retention"}},
		{server.Config{Data: "d", ResponseFloor: 1.01}, []string{"--response-floor"}},
		{server.Config{Data: "d", ResponseFloor: math.NaN()}, []string{"--response-floor"}},
		{server.Config{Data: "d", ResponseFloor: -1}, nil},
	} {
		err := c.config.Validate()
		if (err != nil) != (c.faults != nil) {
			t.Errorf("%+v: %v", c.config, err)
		}
		for _, fault := range c.faults {
			if err != nil && !strings.Contains(err.Error(), fault) {
				t.Errorf("%+v: %v does not name %s", c.config, err, fault)
			}
		}
	}
}

func TestReadToken(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]string{
		"0123456789abcdef\n": "0123456789abcdef", "0123456789abcdef": "0123456789abcdef",
		"short": "", "": "", "two words of text here": "", "0123456789abcdef\n0123456789abcdef": "",
	} {
		path := filepath.Join(dir, "token")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := server.ReadToken(path)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q gives %q, %v", content, got, err)
		}
	}
	if _, err := server.ReadToken(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing file gives a token")
	}
}
