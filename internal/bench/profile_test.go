package bench

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/internal/broker"
)

// benchStream is a stream of eight million reports for the benchmarks of a profile.
func benchStream(b *testing.B) (*broker.Broker, Config, rows) {
	b.Helper()
	config := Config{Dir: b.TempDir(), Log: slog.New(slog.DiscardHandler)}
	broker, err := openBroker(b.Context(), config, "stream")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = broker.Close() })
	devices := newRows(streamDevices)
	if err := fill(b.Context(), broker, devices, feedWindow, streamWindows); err != nil {
		b.Fatal(err)
	}
	return broker, config, devices
}

// perReport runs a pass over the stream again and again, and tells the processor time of a report.
func perReport(b *testing.B, pass func(run int) error) {
	b.Helper()
	began, run := processor(), 0
	for b.Loop() {
		if err := pass(run); err != nil {
			b.Fatal(err)
		}
		run++
	}
	b.ReportMetric(float64((processor()-began).Nanoseconds())/float64(run)/(streamDevices*streamWindows), "processor-ns/report")
}

// BenchmarkStream is the row stream for a profile: a whole engine reads eight million reports, with its start and its checkpoint.
func BenchmarkStream(b *testing.B) {
	broker, config, devices := benchStream(b)
	perReport(b, func(run int) error {
		folder := filepath.Join(config.Dir, fmt.Sprint("engine-", run))
		defer func() { _ = os.RemoveAll(folder) }()
		_, err := drive(b.Context(), broker, task{
			config: config, devices: devices, folder: folder, now: streamWindows - 1,
			open: func(string) (engine.Sink, error) { return discard{}, nil },
		})
		return err
	})
}

// BenchmarkRead is its reference: a consumer that only reads.
func BenchmarkRead(b *testing.B) {
	broker, _, _ := benchStream(b)
	perReport(b, func(int) error {
		_, err := readAll(context.Background(), broker, 0)
		return err
	})
}
