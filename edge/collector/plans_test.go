package collector

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

// A device that restarts while its server is away goes on with the plans that it had, and what it said arrives later.
func TestPlansOutliveARestart(t *testing.T) {
	f := newFake(t, always(60_000))
	dir := t.TempDir()
	now := clock.NewManual(begin)
	b := run(t, f.url(), dir, "epsilon: 1000, per: 1h, lifetime: none", now)
	b.planned()
	b.window(minute)
	eventually(t, "a report", func() bool { return len(f.windows()) == 1 })
	b.stop()
	f.stop()

	b = run(t, f.url(), dir, "epsilon: 1000, per: 1h, lifetime: none", now)
	b.planned()
	b.window(minute)
	b.window(minute)
	eventually(t, "reports wait", func() bool { _, waiting := b.Status(); return waiting > 0 })
	_, waiting := b.Status()
	f.start()
	eventually(t, "the backlog is gone", func() bool { _, left := b.Status(); return left == 0 })
	b.stop()
	if got := len(f.windows()); got < 1+waiting {
		t.Errorf("%d windows arrived, %d waited", got, waiting)
	}
}

// A damaged file of plans is no plan, and no fault either.
func TestDamagedPlansAreForgotten(t *testing.T) {
	f := newFake(t, always(60_000))
	dir := t.TempDir()
	now := clock.NewManual(begin)
	b := run(t, f.url(), dir, "epsilon: 1000, per: 1h, lifetime: none", now)
	b.planned()
	b.stop()
	path := filepath.Join(dir, planFile)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)-1] ^= 1
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f.stop()
	b = run(t, f.url(), dir, "epsilon: 1000, per: 1h, lifetime: none", now)
	b.mu.Lock()
	if b.voice.Version() != 0 {
		t.Error("damaged plans were taken in")
	}
	b.mu.Unlock()
	f.start()
	b.planned()
	b.stop()
}
