package service

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"google.golang.org/grpc"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/reanalysis"
	"github.com/quadrat-dev/quadrat/query/script"
)

// query is POST /query.
func (s *Service) query(w http.ResponseWriter, r *http.Request, _ map[string]string) {
	request, err := scriptRequest(r)
	if err == nil && len(request.GetParams()) > 0 {
		err = &Error{Code: Invalid, Message: "a question about stored reports takes no parameters"}
	}
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	w.Header().Set("Vary", "Accept")
	if accepted(r) == mediaEvents {
		s.earlyEvents(w, r, &quadratv1.QueryRequest{Script: request.GetScript()})
		return
	}
	reply, err := s.Query(r.Context(), &quadratv1.QueryRequest{Script: request.GetScript()})
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	s.writeMessage(w, r, http.StatusOK, reply)
}

// Query answers a question about stored reports. What was counted before the call is in the answer.
func (s *Service) Query(ctx context.Context, r *quadratv1.QueryRequest) (*quadratv1.QueryResponse, error) {
	asked, err := s.ask(ctx, r)
	if err != nil {
		return nil, err
	}
	answer, err := reanalysis.Answer(ctx, s.cfg.Stored, asked.record, asked.question, reanalysis.Config{Now: s.cfg.Clock.Now()})
	if err != nil {
		return nil, err
	}
	return asked.reply(answer), nil
}

// WatchQuery answers a question early, and at last exactly.
func (s *Service) WatchQuery(r *quadratv1.QueryRequest, stream grpc.ServerStreamingServer[quadratv1.QueryResponse]) error {
	return s.early(stream.Context(), r, stream.Send)
}

// early tells the early answers to a question, and at last the exact one.
func (s *Service) early(ctx context.Context, r *quadratv1.QueryRequest, tell func(*quadratv1.QueryResponse) error) error {
	asked, err := s.ask(ctx, r)
	if err != nil {
		return err
	}
	return reanalysis.Watch(ctx, s.cfg.Stored, asked.record, asked.question, reanalysis.Config{Now: s.cfg.Clock.Now()},
		func(answer *reanalysis.Answered) error { return tell(asked.reply(answer)) })
}

// earlyEvents is POST /query with Accept: text/event-stream: events "early", and at last one "exact". A question that is refused has a
// status as ever; a connection that ends before "exact" is a fault.
func (s *Service) earlyEvents(w http.ResponseWriter, r *http.Request, request *quadratv1.QueryRequest) {
	control := http.NewResponseController(w)
	begun := false
	err := s.early(r.Context(), request, func(reply *quadratv1.QueryResponse) error {
		body, err := jsonMarshaler().Marshal(reply)
		if err != nil {
			return err
		}
		if !begun {
			begun = true
			if sw, ok := w.(*statusWriter); ok {
				sw.streams = true
			}
			w.Header().Set("Content-Type", mediaEvents)
			w.Header().Set("Cache-Control", "no-store")
			w.Header().Set("X-Accel-Buffering", "no")
			w.WriteHeader(http.StatusOK)
		}
		event := "exact"
		if reply.GetEarly() {
			event = "early"
		}
		s.await(w)
		if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, body); err != nil {
			return err
		}
		return control.Flush()
	})
	if err != nil {
		s.stalled(err)
		s.writeError(w, r, err)
	}
}

// asked is a question that was read, about a kappa that there is.
type asked struct {
	question *script.Stored
	record   *quadratv1.KappaRecord
	began    time.Time
}

// ask reads a question, and waits until what was counted before is stored.
func (s *Service) ask(ctx context.Context, r *quadratv1.QueryRequest) (*asked, error) {
	out := &asked{began: time.Now()}
	if s.cfg.Stored == nil {
		return nil, &Error{Code: Unavailable, Message: "this server reads no stored reports"}
	}
	var err error
	if out.question, err = script.ParseStored(r.GetScript()); err != nil {
		return nil, err
	}
	if out.record, err = s.find(out.question.Kappa.Text); err != nil {
		return nil, err
	}
	return out, s.cfg.Engine.Checkpoint(ctx)
}

// reply is an answer in the API's form.
func (a *asked) reply(answer *reanalysis.Answered) *quadratv1.QueryResponse {
	return &quadratv1.QueryResponse{
		Results: answer.Results, Windows: uint32(answer.Windows), RowsRead: uint64(answer.Rows), RowsStored: uint64(answer.Stored),
		Seconds: time.Since(a.began).Seconds(), Notes: answer.Notes, Early: answer.Early, Share: answer.Share,
	}
}
