package service

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// sseRetry tells browsers how soon to come back, in milliseconds.
const sseRetry = 2000

// events is GET /kappa/{ref} with Accept: text/event-stream. Each event has the id of its result, which is the position
// in the stream of results: who comes back with Last-Event-ID misses nothing that is still in memory. Without it the
// stream begins with the newest window, or with ?since.
func (s *Service) events(w http.ResponseWriter, r *http.Request, ref string) {
	record, err := s.find(ref)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	ref = record.GetKappa().GetRef()
	keep, err := s.keepFor(r, ref)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	if s.results.waiting.Full() {
		s.writeError(w, r, errCrowded())
		return
	}
	if sw, ok := w.(*statusWriter); ok {
		sw.streams = true
	}
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	beat := time.NewTicker(s.cfg.Heartbeat)
	defer beat.Stop()
	write := func(format string, args ...any) error {
		s.await(w)
		_, err := fmt.Fprintf(w, format, args...)
		return err
	}
	err = write("retry: %d\n\n", sseRetry)
	if err == nil {
		err = s.follow(r.Context(), ref, keep, follower{
			result: func(e entry) error {
				body, err := jsonMarshaler().Marshal(e.result)
				if err != nil {
					return err
				}
				return write("id: %d\nevent: result\ndata: %s\n\n", e.sequence, body)
			},
			flush: control.Flush,
			idle:  func() error { return write(": alive\n\n") },
			beat:  beat.C,
		})
	}
	if err != nil {
		s.stalled(err)
		s.cfg.Logger.Debug("event stream ended", "ref", ref, "error", err)
	}
}

// keepFor says which results that are there already an event stream begins with.
func (s *Service) keepFor(r *http.Request, ref string) (func(entry) bool, error) {
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		last, err := strconv.ParseUint(id, 10, 64)
		if err != nil {
			return nil, &Error{Code: Invalid, Message: "Last-Event-ID: a number is expected"}
		}
		return func(e entry) bool { return e.sequence > last }, nil
	}
	since, err := moment(r, "since")
	if err != nil {
		return nil, err
	}
	if since == nil {
		newest := s.results.last(ref)
		if len(newest) == 0 {
			return func(entry) bool { return true }, nil
		}
		since = newest[0].result.GetWindowStart()
	}
	from := since.AsTime()
	return func(e entry) bool { return !e.result.GetWindowStart().AsTime().Before(from) }, nil
}
