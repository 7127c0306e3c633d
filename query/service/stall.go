package service

import (
	"errors"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
)

// patience is how long a caller may take for one piece of an answer before the call ends.
func (s *Service) patience() time.Duration { return 2 * s.cfg.Heartbeat }

// patientWriter hangs up on a caller who takes too long for a piece of an answer.
type patientWriter struct {
	http.ResponseWriter

	service *Service
}

// Write waits for the caller so long and no longer.
func (w patientWriter) Write(p []byte) (int, error) {
	w.service.await(w.ResponseWriter)
	n, err := w.ResponseWriter.Write(p)
	w.service.stalled(err)
	return n, err //nolint:wrapcheck // a writer passes errors on
}

// await lets the next write wait for the caller so long and no longer.
func (s *Service) await(w http.ResponseWriter) {
	if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.patience())); err != nil {
		s.cfg.Logger.Debug("no write deadline", "error", err)
	}
}

// stalled counts a write that the caller let wait for too long.
func (s *Service) stalled(err error) {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		s.metrics.stalled.Inc()
	}
}

// sender is a stream of a call that tells since when a message waits for the caller.
type sender struct {
	grpc.ServerStream

	begun time.Time    // of the call; durations since then don't jump when the machine's clock is set
	since atomic.Int64 // in nanoseconds from begun, above 0; 0 while none waits
}

// SendMsg notes that a message waits.
func (s *sender) SendMsg(m any) error {
	s.since.Store(max(1, int64(time.Since(s.begun))))
	defer s.since.Store(0)
	return s.ServerStream.SendMsg(m) //nolint:wrapcheck // a stream passes errors on
}

// patiently runs a call that streams. Only the end of a call ends the sending of a message that the caller doesn't take; so the call ends when one has
// waited too long, and the goroutine that sends right behind it.
func (s *Service) patiently(stream grpc.ServerStream, call func(grpc.ServerStream) error) error {
	out, done := &sender{ServerStream: stream, begun: time.Now()}, make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- recovered(recover(), err) }()
		err = call(out)
	}()
	ticker := time.NewTicker(s.cfg.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			if since := out.since.Load(); since != 0 && time.Since(out.begun)-time.Duration(since) > s.patience() {
				s.metrics.stalled.Inc()
				return &Error{Code: Slow, Message: "the reader took nothing for too long and was dropped; ask again"}
			}
		}
	}
}
