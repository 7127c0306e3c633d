package service

import (
	"context"
	"net/http"
	"time"

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
	reply, err := s.Query(r.Context(), &quadratv1.QueryRequest{Script: request.GetScript()})
	if err != nil {
		s.writeError(w, r, err)
		return
	}
	s.writeMessage(w, r, http.StatusOK, reply)
}

// Query answers a question about stored reports. What was counted before the call is in the answer.
func (s *Service) Query(ctx context.Context, r *quadratv1.QueryRequest) (*quadratv1.QueryResponse, error) {
	began := time.Now()
	if s.cfg.Stored == nil {
		return nil, &Error{Code: Unavailable, Message: "this server reads no stored reports"}
	}
	question, err := script.ParseStored(r.GetScript())
	if err != nil {
		return nil, err
	}
	record, err := s.find(question.Kappa.Text)
	if err != nil {
		return nil, err
	}
	if err := s.cfg.Engine.Checkpoint(ctx); err != nil {
		return nil, err
	}
	answer, err := reanalysis.Answer(ctx, s.cfg.Stored, record, question, reanalysis.Config{Now: s.cfg.Clock.Now()})
	if err != nil {
		return nil, err
	}
	return &quadratv1.QueryResponse{
		Results: answer.Results, Windows: uint32(answer.Windows), RowsRead: uint64(answer.Rows), RowsStored: uint64(answer.Stored),
		Seconds: time.Since(began).Seconds(), Notes: answer.Notes,
	}, nil
}
