package server_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/ipc"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

const question = `KAPPA indoor AS
SELECT mean(temperature) FROM sense.temperature
SAMPLE ALL ROTATING WINDOW 1m GRACE 5s
PRIVACY LOCAL EPSILON 4 PER 10m BETWEEN 10 AND 40`

// world is a server and what calls it, under one clock that the test moves.
type world struct {
	t      *testing.T
	clock  *clock.Manual
	server *server.Server
	api    *client.Client
}

func open(t *testing.T, dir string, now *clock.Manual) *world {
	t.Helper()
	return openLogged(t, dir, now, nil)
}

// openLogged starts a server that logs.
func openLogged(t *testing.T, dir string, now *clock.Manual, log *slog.Logger) *world {
	t.Helper()
	return openWith(t, server.Config{Data: dir, Clock: now, Entropy: rand.NewChaCha8([32]byte{7}), Logger: log})
}

// results waits until n results are there.
func (w *world) results(n int) []*quadratv1.Result {
	w.t.Helper()
	var got []*quadratv1.Result
	until(w.t, fmt.Sprintf("there are %d results", n), func() bool {
		var err error
		if got, err = w.api.Results(w.t.Context(), "indoor", client.Span{Limit: max(100, uint32(n))}); err != nil {
			w.t.Fatal(err)
		}
		return len(got) >= n
	})
	return got
}

// exported is the number of rows that an export has.
func (w *world) exported(what string) (rows int64) {
	w.t.Helper()
	body, err := w.api.Export(w.t.Context(), "indoor", what, client.Span{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer body.Close()
	in, err := ipc.NewReader(body)
	if err != nil {
		w.t.Fatal(err)
	}
	defer in.Release()
	for in.Next() {
		rows += in.Record().NumRows()
	}
	if err := in.Err(); err != nil && !errors.Is(err, io.EOF) {
		w.t.Fatal(err)
	}
	return rows
}

// TestWholeWay lets a fleet answer for a few windows, checks what is served and exported, and that a server that is
// started again on the same folder has kept it all.
func TestWholeWay(t *testing.T) {
	const devices, windows = 400, 4
	dir := t.TempDir()
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := open(t, dir, now)
	fleet := w.join(devices, simulate.Config{})
	put, err := w.api.Put(t.Context(), question, nil)
	if err != nil {
		t.Fatal(err)
	}
	if put.GetPlan().GetPopulation() != devices || put.GetPlan().GetLapWindows() != 10 || put.GetPlan().GetPanel() != devices/10 {
		t.Fatalf("plan %v", put.GetPlan())
	}
	heard(t, fleet, put.GetRef())
	w.pass(fleet, windows)
	before := w.results(windows)
	var reports int64
	for _, r := range before {
		reports += int64(r.GetReports())
		if r.GetPanel() != devices/10 || r.GetReports() != r.GetPanel() || r.GetPopulation() != devices || r.Value == nil {
			t.Errorf("window %s: %d reports of a panel of %d in a frame of %d", r.GetWindowStart().AsTime(), r.GetReports(), r.GetPanel(), r.GetPopulation())
		}
	}
	if rows := w.exported("reports"); rows != reports {
		t.Errorf("%d reports are exported, %d were counted", rows, reports)
	}
	if rows := w.exported("results"); rows < windows {
		t.Errorf("%d results are exported of %d", rows, windows)
	}
	fleet.Close()
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}

	again := open(t, dir, now)
	after := again.results(windows)
	for i := range before {
		if !proto.Equal(before[i], after[i]) {
			t.Errorf("after a restart result %d is %v, was %v", i, after[i], before[i])
		}
	}
	plan, err := again.api.Plan(t.Context(), "indoor")
	if err != nil || plan.GetKappa().GetRef() != put.GetRef() {
		t.Errorf("plan %v, %v", plan, err)
	}
	found, err := again.api.Devices(t.Context(), &quadratv1.ListDevicesRequest{Where: "region = 'asia'", Limit: 5})
	if err != nil || found.GetTotal() == 0 || found.GetTotal() >= devices || len(found.GetDevices()) != 5 {
		t.Errorf("devices %v, %v", found.GetTotal(), err)
	}
	if rows := again.exported("reports"); rows != reports {
		t.Errorf("after a restart %d reports are exported, were %d", rows, reports)
	}
	if err := again.api.Delete(t.Context(), "indoor"); err != nil {
		t.Error(err)
	}
}
