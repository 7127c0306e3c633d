package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/server"
)

// TestOneServerOnOneFolder starts a second server on the folder of a running one, which must refuse before it touches anything, and
// a third when the first has gone.
func TestOneServerOnOneFolder(t *testing.T) {
	const free = "127.0.0.1:0"
	config := server.Config{
		Data: t.TempDir(), HTTP: free, GRPC: free, NATSListen: free, Clock: clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)),
	}
	first, err := server.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	second, err := server.Start(t.Context(), config)
	if !errors.Is(err, disk.ErrLocked) || !strings.Contains(err.Error(), "--data "+config.Data) {
		t.Errorf("the second server: %v", err)
		if second != nil {
			second.Close()
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	third, err := server.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	if err := third.Close(); err != nil {
		t.Error(err)
	}
}

// TestDamagedFilesAreNamed starts servers on folders with a damaged checkpoint and a damaged catalog: none comes up, and each says which
// file it is.
func TestDamagedFilesAreNamed(t *testing.T) {
	const free = "127.0.0.1:0"
	for _, name := range []string{"engine/engine.checkpoint", "store/catalog.jsonl"} {
		data := t.TempDir()
		path := filepath.Join(data, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("neither this nor that\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := server.Start(t.Context(), server.Config{Data: data, HTTP: free, GRPC: free, NATSListen: free})
		if err == nil {
			t.Errorf("a server runs on a damaged %s: closing says %v", name, s.Close())
		} else if !strings.Contains(err.Error(), filepath.Dir(path)) || !strings.Contains(err.Error(), "from one backup") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
