package collector

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"testing/fstest"
	"time"

	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/edge/uplink"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

// The child finds in these where to report and where its data are.
const (
	childURL  = "COLLECTOR_TEST_URL"
	childData = "COLLECTOR_TEST_DATA"
)

const generous = "epsilon: 100000, per: 1h, lifetime: none"

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		fmt.Println(child(url, os.Getenv(childData)))
		return
	}
	os.Exit(m.Run())
}

// child is a collector in real time, until it is killed.
func child(url, data string) error {
	config, err := Parse(yamlOf(url, data, generous), "/")
	if err != nil {
		return err
	}
	config.Sensors[0].Interval = 10 * time.Millisecond
	d, err := Open(Parts{
		Config: config, Software: "test", Data: disk.OS(data), Clock: clock.Real{}, Random: rand.Reader,
		Root: fstest.MapFS{
			"sys/class/thermal/thermal_zone0/type": {Data: []byte("cpu")},
			"sys/class/thermal/thermal_zone0/temp": {Data: []byte(marker)},
		},
		Log:    slog.New(slog.DiscardHandler),
		Uplink: uplink.Config{PauseLeast: time.Millisecond, PauseMost: 20 * time.Millisecond, BacklogPerSecond: 1000},
	})
	if err != nil {
		return err
	}
	return d.Run(context.Background())
}

// A collector that is killed at any moment, with an intake that loses half of the answers, never makes a second report
// for a window, and forgets none that it has made.
func TestKill9(t *testing.T) {
	f := newFake(t, always(100))
	f.answers(func(n int) wire.Status { return []wire.Status{wire.Stored, wire.Retry}[n%2] })
	data := t.TempDir()
	r := mathrand.New(mathrand.NewPCG(4, 4))
	for range 12 {
		life := time.Duration(100+r.IntN(400)) * time.Millisecond
		spawn(t, f, data, func() { time.Sleep(life) })
	}
	f.answers(func(int) wire.Status { return wire.Stored })
	before := len(f.windows())
	spawn(t, f, data, func() {
		eventually(t, "three more windows", func() bool { return len(f.windows()) >= before+3 })
	})

	f.mu.Lock()
	defer f.mu.Unlock()
	if f.changed {
		t.Fatal("a window had two different reports")
	}
	config, err := Parse(yamlOf("x", data, generous), "/")
	if err != nil {
		t.Fatal(err)
	}
	account, err := ReadAccount(Parts{Config: config, Data: disk.OS(data)}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(f.bytes) < 3 || account.Reports < uint64(len(f.bytes)) {
		t.Fatalf("%d windows reported, %d charged", len(f.bytes), account.Reports)
	}
}

// spawn runs a child until wait returns, kills it, and sees that it didn't end by itself.
func spawn(t *testing.T, f *fake, data string, wait func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env, cmd.Stdout = append(os.Environ(), childURL+"="+f.url(), childData+"="+data), &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it was killed
		if out.Len() > 0 {
			t.Errorf("the child ended: %s", &out)
		}
	}()
	wait()
}
