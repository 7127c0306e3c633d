package service

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// The media types that GET /kappa/{ref} speaks.
const (
	mediaJSON   = "application/json"
	mediaEvents = "text/event-stream"
	mediaArrow  = "application/vnd.apache.arrow.stream"
	mediaCSV    = "text/csv"
	mediaText   = "text/plain"
)

// accepted is the media type that a caller wants: the first that is known, JSON when none is.
func accepted(r *http.Request) string {
	for _, header := range r.Header.Values("Accept") {
		for part := range strings.SplitSeq(header, ",") {
			media, _, _ := strings.Cut(part, ";")
			switch media = strings.ToLower(strings.TrimSpace(media)); media {
			case mediaJSON, mediaEvents, mediaArrow, mediaCSV:
				return media
			}
		}
	}
	return mediaJSON
}

// getResults is GET /kappa/{ref} in the form that the caller accepts.
func (s *Service) getResults(w http.ResponseWriter, r *http.Request, path map[string]string) {
	w.Header().Set("Vary", "Accept")
	media := accepted(r)
	request, err := resultsRequest(r, path["ref"])
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	if media == mediaEvents {
		s.events(w, r, path["ref"])
		return
	}
	reply, err := s.GetResults(r.Context(), request)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	switch media {
	case mediaArrow:
		w.Header().Set("Content-Type", mediaArrow)
		err = writeArrow(w, reply.GetResults())
	case mediaCSV:
		w.Header().Set("Content-Type", mediaCSV+"; charset=utf-8")
		err = writeCSV(w, reply.GetResults())
	default:
		s.writeMessage(w, r, http.StatusOK, reply)
	}
	if err != nil {
		s.writeError(w, r, err)
	}
}

// resultsRequest reads ?since=&until=&limit=; other parameters are refused, so that a misspelt one is not passed over.
func resultsRequest(r *http.Request, ref string) (*quadratv1.GetResultsRequest, error) {
	if err := onlyParams(r, "since", "until", "limit"); err != nil {
		return nil, err
	}
	since, err := moment(r, "since")
	if err != nil {
		return nil, err
	}
	until, err := moment(r, "until")
	if err != nil {
		return nil, err
	}
	request := &quadratv1.GetResultsRequest{Ref: ref, Since: since, Until: until}
	if text := r.URL.Query().Get("limit"); text != "" {
		limit, err := strconv.ParseUint(text, 10, 32)
		if err != nil {
			return nil, &Error{Code: Invalid, Message: "limit: a whole number is expected"}
		}
		request.Limit = uint32(limit)
	}
	return request, nil
}

func onlyParams(r *http.Request, known ...string) error {
	for name := range r.URL.Query() {
		if !slices.Contains(known, name) {
			return &Error{Code: Invalid, Message: "unknown query parameter " + strconv.Quote(name) + "; known are " + strings.Join(known, ", ")}
		}
	}
	return nil
}

// moment reads a query parameter as RFC 3339; nil when it is absent.
func moment(r *http.Request, name string) (*timestamppb.Timestamp, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return nil, &Error{Code: Invalid, Message: name + ": a moment like 2026-11-20T10:00:00Z is expected"}
	}
	return timestamppb.New(t), nil
}

// export is GET /kappa/{ref}/export?what=reports|results|strata&since=&until=: stored rows as one Arrow IPC stream. An answer
// that breaks off is a connection that breaks off, never a shorter answer.
func (s *Service) export(w http.ResponseWriter, r *http.Request, path map[string]string) {
	request := &quadratv1.ExportKappaRequest{Ref: path["ref"], What: r.URL.Query().Get("what")}
	err := onlyParams(r, "what", "since", "until")
	if err == nil {
		request.Since, err = moment(r, "since")
	}
	if err == nil {
		request.Until, err = moment(r, "until")
	}
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	span, err := s.exportSpan(request)
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	if sw, ok := w.(*statusWriter); ok {
		sw.streams = true
	}
	w.Header().Set("Content-Type", mediaArrow)
	if err := s.cfg.Archive.Export(r.Context(), patientWriter{w, s}, request.GetWhat(), span); err != nil {
		s.writeError(w, r, err)
	}
}
