package service

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	resultsDefault = 10_000
	resultsMost    = 100_000
	devicesDefault = 100
	devicesMost    = 10_000
	// exportChunkBytes is the size of a piece of an export over gRPC.
	exportChunkBytes = 256 << 10
)

// GetResults gives a kappa's results, by default those of its newest window. A deleted kappa is found by its reference.
func (s *Service) GetResults(ctx context.Context, r *quadratv1.GetResultsRequest) (*quadratv1.GetResultsResponse, error) {
	ref, err := s.Resolve(r.GetRef())
	if err != nil {
		return nil, err
	}
	span, err := spanOf(ref, r.GetSince(), r.GetUntil())
	if err != nil {
		return nil, err
	}
	if r.GetLimit() > resultsMost {
		return nil, &Error{Code: Invalid, Message: fmt.Sprintf("limit: at most %d", resultsMost)}
	}
	span.Limit = int(r.GetLimit())
	if span.Limit == 0 && r.GetSince() == nil && r.GetUntil() == nil {
		return &quadratv1.GetResultsResponse{Results: resultsOf(s.results.last(ref))}, nil
	}
	if span.Limit == 0 {
		span.Limit = resultsDefault
	}
	results, err := s.between(ctx, span)
	return &quadratv1.GetResultsResponse{Results: results}, err
}

// between is the results of a span from the index and, where that does not reach, from the archive.
func (s *Service) between(ctx context.Context, span Span) ([]*quadratv1.Result, error) {
	entries, older := s.results.since(span)
	results := resultsOf(entries)
	if !older || s.cfg.Archive == nil {
		return results, nil
	}
	if len(results) > 0 {
		span.Until = results[0].GetWindowStart().AsTime()
		span.Limit -= len(results)
	}
	archived, err := s.cfg.Archive.Results(ctx, span)
	if err != nil {
		return nil, err
	}
	return slices.Concat(archived, results), nil
}

// spanOf checks two moments of a request; an absent one leaves its side open.
func spanOf(ref string, since, until *timestamppb.Timestamp) (Span, error) {
	span := Span{Ref: ref}
	for _, m := range []struct {
		name string
		from *timestamppb.Timestamp
		to   *time.Time
	}{{"since", since, &span.Since}, {"until", until, &span.Until}} {
		if m.from == nil {
			continue
		}
		if err := m.from.CheckValid(); err != nil {
			return Span{}, &Error{Code: Invalid, Message: m.name + ": not a moment; write it like 2026-11-20T10:00:00Z"}
		}
		*m.to = m.from.AsTime()
	}
	if !span.Since.IsZero() && !span.Until.IsZero() && !span.Since.Before(span.Until) {
		return Span{}, &Error{Code: Invalid, Message: "since: must be before until"}
	}
	return span, nil
}

func resultsOf(entries []entry) []*quadratv1.Result {
	results := make([]*quadratv1.Result, len(entries))
	for i, e := range entries {
		results[i] = e.result
	}
	return results
}

// WatchKappa follows a kappa's results until the caller leaves, the kappa is deleted or the service stops.
func (s *Service) WatchKappa(r *quadratv1.WatchKappaRequest, stream grpc.ServerStreamingServer[quadratv1.Result]) error {
	record, err := s.find(r.GetRef())
	if err != nil {
		return err
	}
	span, err := spanOf(record.GetKappa().GetRef(), r.GetSince(), nil)
	if err != nil {
		return err
	}
	keep := func(e entry) bool {
		return r.GetSince() != nil && !e.result.GetWindowStart().AsTime().Before(span.Since)
	}
	// A reader that reads nothing blocks Send for as long as it stays connected, and only the end of the call ends Send. So the
	// call ends a while after such a reader was dropped, and the goroutine that sends right behind it.
	began, done := make(chan *watcher, 1), make(chan error, 1)
	go func() {
		done <- s.follow(stream.Context(), span.Ref, keep, follower{
			began:  func(w *watcher) { began <- w },
			result: func(e entry) error { return stream.Send(e.result) },
		})
	}()
	var w *watcher
	select {
	case err := <-done:
		return err
	case w = <-began:
	}
	select {
	case err := <-done:
		return err
	case <-w.gone:
	}
	timer := time.NewTimer(s.cfg.Heartbeat)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return s.whyClosed(w)
	}
}

// follower takes what follow hears.
type follower struct {
	began  func(*watcher) // nil, or called before the first result
	result func(entry) error
	flush  func() error     // nil, or called when nothing more waits
	idle   func() error     // nil, or called when beat fires
	beat   <-chan time.Time // nil for never
}

// follow hands a kappa's results to a follower: first those of the index that keep wants, then each as it is made. It
// returns nil when the kappa was deleted or the service stops, and an Error with the code Slow when the follower fell
// behind.
func (s *Service) follow(ctx context.Context, ref string, keep func(entry) bool, f follower) error {
	held, w, err := s.results.watch(ref, keep)
	if err != nil {
		return err
	}
	defer s.results.unwatch(ref, w)
	if f.began != nil {
		f.began(w)
	}
	for _, e := range held {
		if err := f.result(e); err != nil {
			return err
		}
	}
	for {
		if f.flush != nil && len(w.c) == 0 {
			if err := f.flush(); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.beat:
			if err := f.idle(); err != nil {
				return err
			}
		case e, open := <-w.c:
			if !open {
				return s.whyClosed(w)
			}
			s.results.took(e)
			if err := f.result(e); err != nil {
				return err
			}
		}
	}
}

// whyClosed says why a watcher was closed.
func (s *Service) whyClosed(w *watcher) error {
	if !w.slow() {
		return nil
	}
	return &Error{Code: Slow, Message: "the reader fell behind and was dropped; come back with the last id"}
}

// ListDevices lists the fleet by identity.
func (s *Service) ListDevices(_ context.Context, r *quadratv1.ListDevicesRequest) (*quadratv1.ListDevicesResponse, error) {
	if r.GetLimit() > devicesMost {
		return nil, &Error{Code: Invalid, Message: fmt.Sprintf("limit: at most %d", devicesMost)}
	}
	where, err := s.cfg.Planner.Where(r.GetWhere())
	if err != nil {
		return nil, err
	}
	limit := int(orElse(r.GetLimit(), devicesDefault))
	devices, total, next := s.cfg.Fleet.List(where, r.GetAfter(), limit)
	return &quadratv1.ListDevicesResponse{Devices: devices, Total: uint32(total), Next: next}, nil
}

// GetDevice gives one device that has not left.
func (s *Service) GetDevice(_ context.Context, r *quadratv1.GetDeviceRequest) (*quadratv1.Device, error) {
	device, ok := s.cfg.Fleet.Device(r.GetId())
	if !ok {
		return nil, &Error{Code: NotFound, Message: fmt.Sprintf("no device has the identity %q", r.GetId())}
	}
	return device, nil
}

// ExportKappa streams stored reports, results or strata as one Arrow IPC stream, cut into chunks.
func (s *Service) ExportKappa(r *quadratv1.ExportKappaRequest, stream grpc.ServerStreamingServer[quadratv1.ExportChunk]) error {
	span, err := s.exportSpan(r)
	if err != nil {
		return err
	}
	return s.cfg.Archive.Export(stream.Context(), chunkWriter{stream}, r.GetWhat(), span)
}

// exportSpan checks an export before its first byte.
func (s *Service) exportSpan(r *quadratv1.ExportKappaRequest) (Span, error) {
	if s.cfg.Archive == nil {
		return Span{}, &Error{Code: Unavailable, Message: "nothing is stored on this server"}
	}
	if !slices.Contains([]string{"reports", "results", "strata"}, r.GetWhat()) {
		return Span{}, &Error{Code: Invalid, Message: `what: "reports", "results" or "strata" is expected`}
	}
	ref, err := s.Resolve(r.GetRef())
	if err != nil {
		return Span{}, err
	}
	return spanOf(ref, r.GetSince(), r.GetUntil())
}

// chunkWriter cuts what is written into messages.
type chunkWriter struct {
	stream grpc.ServerStreamingServer[quadratv1.ExportChunk]
}

// Write sends p, which the caller may use again afterwards.
func (w chunkWriter) Write(p []byte) (int, error) {
	for chunk := range slices.Chunk(p, exportChunkBytes) {
		if err := w.stream.Send(&quadratv1.ExportChunk{Data: slices.Clone(chunk)}); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

var _ io.Writer = chunkWriter{}
