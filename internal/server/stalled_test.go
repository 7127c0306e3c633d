package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

// crowded has hundreds of results in each window, so that they don't fit into the buffers of sockets for long.
const crowded = `KAPPA indoor AS
SELECT histogram(temperature, 64) FROM sense.temperature GROUP BY cooling_type
SAMPLE ALL WINDOW 1m GRACE 5s
PRIVACY LOCAL EPSILON 4 PER 1m BETWEEN 10 AND 40`

// TestReadersThatNeverRead: some follow a kappa over sockets that they never read from, half of them over SSE and half over gRPC, and one reads.
// Each window has its results at once whoever waits, what readers hold stays within their share, and who never reads is dropped and can see
// it; who reads has got everything.
func TestReadersThatNeverRead(t *testing.T) {
	const stuck, windowsMost = 6, 300
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := openWith(t, server.Config{Data: t.TempDir(), Clock: now, Memory: memory.Least}.WithHeartbeat(100*time.Millisecond))
	places, err := indoor.Places()
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := simulate.Join(t.Context(), simulate.Config{
		NATS: w.server.Addresses().NATS, Places: simulate.Choose(places, 60, 1, 1), Clock: now, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fleet.Close)
	put, err := w.api.Put(t.Context(), crowded, nil)
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the fleet knows the kappa", func() bool { _, ok := fleet.TruthOf(put.GetRef()); return ok })
	var web []io.Reader
	var calls []grpc.ServerStreamingClient[quadratv1.Result]
	for range stuck / 2 {
		web, calls = append(web, stuckSSE(t, w)), append(calls, stuckGRPC(t, w))
	}
	var read atomic.Int64
	reader := make(chan error, 1)
	go func() {
		reader <- w.api.Watch(t.Context(), put.GetRef(), now.Now(), func(*quadratv1.Result) error {
			read.Add(1)
			return nil
		})
	}()
	until(t, "all of them follow", func() bool { return metric(t, w, "quadrat_followers") == stuck+1 })
	share := metric(t, w, `quadrat_memory_budget_bytes{part="followers"}`)
	made, windows := 0.0, 0
	for ; metric(t, w, "quadrat_followers") > 1; windows++ {
		if windows == windowsMost {
			t.Fatalf("%v readers still follow after %d windows and %v results", metric(t, w, "quadrat_followers"), windows, made)
		}
		end, ok := fleet.NextEnd()
		if !ok {
			t.Fatal("the fleet knows no kappa")
		}
		now.Set(end)
		if _, err := fleet.Step(t.Context()); err != nil {
			t.Fatal(err)
		}
		now.Set(end.Add(5 * time.Second))
		until(t, "the window has its results", func() bool {
			results := metric(t, w, "quadrat_results_total")
			if results < made+64 {
				return false
			}
			made = results
			return true
		})
		if used := metric(t, w, `quadrat_memory_used_bytes{part="followers"}`); used > share {
			t.Errorf("readers hold %v bytes of %v", used, share)
		}
	}
	for _, call := range calls {
		got := 0
		for err == nil {
			if _, err = call.Recv(); err == nil {
				got++
			}
		}
		if status.Code(err) != codes.Aborted || float64(got) >= made {
			t.Errorf("a gRPC reader that never read got %d of %v results, and %v", got, made, err)
		}
		err = nil
	}
	for _, events := range web {
		rest, err := io.ReadAll(events)
		if got := strings.Count(string(rest), "event: result"); float64(got) >= made {
			t.Errorf("an SSE reader that never read got %d of %v results, and %v", got, made, err)
		}
	}
	if ended := metric(t, w, "quadrat_followers_dropped_total") + metric(t, w, "quadrat_callers_stalled_total"); ended < stuck {
		t.Errorf("the metrics tell of %v readers that were dropped", ended)
	}
	until(t, "who reads has all", func() bool { return float64(read.Load()) >= metric(t, w, "quadrat_results_total") })
	exportsThatNeverRead(t, w)
	t.Logf("%d windows, %v results until all were dropped", windows, made)
}

// exportsThatNeverRead: who asks for stored rows and takes none has a place among those who read them for a while only, and can see why it ended.
func exportsThatNeverRead(t *testing.T, w *world) {
	t.Helper()
	conn, err := grpc.NewClient(w.server.Addresses().GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	call, err := quadratv1.NewKappaServiceClient(conn).ExportKappa(t.Context(), &quadratv1.ExportKappaRequest{Ref: "indoor", What: "results"})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the export has begun", func() bool { _, err := call.Header(); return err == nil })
	until(t, "nobody has a place any more", func() bool { return metric(t, w, `quadrat_memory_used_bytes{part="readers"}`) == 0 })
	for err == nil {
		_, err = call.Recv()
	}
	if status.Code(err) != codes.Aborted {
		t.Errorf("an export that nobody took ended with %v", err)
	}
	if rows := w.exported("results"); rows == 0 {
		t.Error("nothing is exported to who reads")
	}
}

// stuckSSE follows over a connection that nobody reads from behind the header of the answer.
func stuckSSE(t *testing.T, w *world) io.Reader {
	t.Helper()
	conn, err := net.Dial("tcp", w.server.Addresses().HTTP)
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(64 << 10)
	}
	if err == nil {
		_, err = io.WriteString(conn, "GET /kappa/indoor HTTP/1.1\r\nHost: quadrat\r\nAccept: text/event-stream\r\n\r\n")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 512), nil)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatal(answer, err)
	}
	return answer.Body // its connection is closed in the end
}

// stuckGRPC follows with a call that nobody receives from.
func stuckGRPC(t *testing.T, w *world) grpc.ServerStreamingClient[quadratv1.Result] {
	t.Helper()
	conn, err := grpc.NewClient(w.server.Addresses().GRPC, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	call, err := quadratv1.NewKappaServiceClient(conn).WatchKappa(t.Context(), &quadratv1.WatchKappaRequest{Ref: "indoor"})
	if err != nil {
		t.Fatal(err)
	}
	return call
}

// metric reads a metric of a server.
func metric(t *testing.T, w *world, name string) float64 {
	t.Helper()
	for line := range strings.Lines(get(t, w, "/metrics")) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			x, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return x
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// openWith starts a server on free ports of loopback.
func openWith(t *testing.T, config server.Config) *world {
	t.Helper()
	const free = "127.0.0.1:0"
	config.HTTP, config.GRPC, config.NATSListen = free, free, free
	s, err := server.Start(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	api, err := client.New("http://"+s.Addresses().HTTP, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	now, _ := config.Clock.(*clock.Manual)
	return &world{t: t, clock: now, server: s, api: api}
}
