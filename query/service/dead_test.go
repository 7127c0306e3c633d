package service_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/service"
)

// dead has one letter, of the sequence 7 and the cause "future".
type dead struct{}

func (dead) List(context.Context, *quadratv1.ListDeadRequest) (*quadratv1.ListDeadResponse, error) {
	return &quadratv1.ListDeadResponse{Letters: []*quadratv1.DeadLetterView{{Sequence: 7, Cause: "future"}}, Total: 1}, nil
}

func (dead) Get(_ context.Context, sequence uint64) (*quadratv1.DeadLetterView, error) {
	if sequence != 7 {
		return nil, &service.Error{Code: service.NotFound, Message: "there is no such letter"}
	}
	return &quadratv1.DeadLetterView{Sequence: 7, Cause: "future"}, nil
}

func (dead) Replay(_ context.Context, sequences []uint64, cause string) (*quadratv1.ReplayDeadResponse, error) {
	out := &quadratv1.ReplayDeadResponse{}
	for _, s := range sequences {
		if s == 7 {
			out.Replayed++
			continue
		}
		out.Kept, out.KeptTotal = append(out.GetKept(), &quadratv1.DeadKept{Sequence: s, Reason: "none"}), out.GetKeptTotal()+1
	}
	if cause == "future" {
		out.Replayed++
	}
	return out, nil
}

func (dead) Purge(_ context.Context, r *quadratv1.PurgeDeadRequest) (uint64, error) {
	return r.GetUntil(), nil
}

func TestDeadLettersOverREST(t *testing.T) {
	s := newStack(t, nil)
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{http.MethodGet, "/dead?cause=future&limit=5", "", http.StatusOK, `"sequence":"7","cause":"future"`},
		{http.MethodGet, "/dead/7", "", http.StatusOK, `"sequence":"7"`},
		{http.MethodGet, "/dead/8", "", http.StatusNotFound, `there is no such letter`},
		{http.MethodGet, "/dead/seven", "", http.StatusBadRequest, ``},
		{http.MethodPost, "/dead/replay", `{"sequences":[7,8]}`, http.StatusOK, `{"replayed":"1","kept":[{"sequence":"8","reason":"none"}],"kept_total":"1"}`},
		{http.MethodPost, "/dead/replay", `{"cause":"future"}`, http.StatusOK, `"replayed":"1"`},
		{http.MethodPost, "/dead/replay", `{"cause":"future","sequences":[7]}`, http.StatusBadRequest, `only one of them`},
		{http.MethodPost, "/dead/replay", `{"sequence":7}`, http.StatusBadRequest, ``},
		{http.MethodDelete, "/dead?until=3", "", http.StatusOK, `{"purged":"3"}`},
	} {
		status, _, body := s.call(c.method, c.path, c.body)
		if status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s %s: %d %s, want %d %s", c.method, c.path, c.body, status, body, c.status, c.want)
		}
	}
	none := newStack(t, func(c *service.Config) { c.Dead = nil })
	if status, _, body := none.call(http.MethodGet, "/dead", ""); status != http.StatusServiceUnavailable {
		t.Errorf("without dead letters: %d %s", status, body)
	}
}
