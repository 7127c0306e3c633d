package server_test

import (
	"fmt"
	"io"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/ipc"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/query/client"
)

const (
	troopMemory = 256 << 20
	troopShares = 4
	troopUnits  = 500
	troopWindow = 500 * time.Millisecond
	troopRate   = floodGateways / 2 * troopUnits * int(time.Second/troopWindow) / floodTimes / troopShares // of a share
	troopScript = `KAPPA flood AS SELECT mean(temperature) FROM sense.temperature GROUP BY cooling
SAMPLE ALL STRATIFIED BY region WINDOW 500ms GRACE 100ms PRIVACY NONE BETWEEN 10 AND 40`
)

// The same of a cluster: one process answers devices, two count, each with a memory of its own. None goes beyond it, also while engines are far
// behind, and then they catch up, every report that was answered standing once.
func TestFloodOfAClusterStaysWithinMemory(t *testing.T) {
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	rows := t.TempDir()
	start := func(role server.Role) *child {
		return startChild(t, served{
			Folder: t.TempDir(), Memory: troopMemory, Rate: troopRate, Role: role, NATS: b.URL(), Bucket: rows, Shares: troopShares,
		})
	}
	api := start(server.RoleAPI)
	f := &flooded{
		t: t, counts: []*child{start(server.RoleEngine), start(server.RoleEngine)}, at: api.at, gateways: floodGateways / 2, units: troopUnits,
		window: troopWindow, script: troopScript,
	}
	f.at.NATS = b.URL()
	f.flood()
	asking, err := client.New("http://"+f.at.HTTP, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var last int64
	until(t, "the last window has its results", func() bool {
		results, err := asking.Results(t.Context(), f.ref, client.Span{})
		if err != nil || len(results) == 0 {
			return false
		}
		last = results[0].GetWindowStart().AsTime().UnixMilli() / troopWindow.Milliseconds()
		return last >= f.first+int64(*floodLasts/troopWindow)-1
	})
	out, err := asking.Export(t.Context(), f.ref, "reports", client.Span{})
	if err != nil {
		t.Fatal(err)
	}
	f.check(recordsOf(out))
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	for i, c := range f.counts {
		c.endWithin(fmt.Sprint("engine ", i))
	}
	api.endWithin("the process that answers")
}

// recordsOf reads a stream of Arrow.
func recordsOf(in io.Reader) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		r, err := ipc.NewReader(in)
		if err != nil {
			yield(nil, err)
			return
		}
		defer r.Release()
		for r.Next() {
			if !yield(r.Record(), nil) {
				return
			}
		}
		if err := r.Err(); err != nil {
			yield(nil, err)
		}
	}
}
