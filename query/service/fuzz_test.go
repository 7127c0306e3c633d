package service_test

import (
	"bytes"
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/reanalysis"
	"github.com/quadrat-dev/quadrat/query/service"
)

// quiet is an engine that takes every kappa.
type quiet struct{ *engine }

// Apply does nothing.
func (quiet) Apply(*quadratv1.KappaRecord) error { return nil }

// bare is an archive without a report.
type bare struct{}

func (bare) ReportFiles(context.Context, string, time.Time, time.Time) ([]tabular.File, func(), error) {
	return nil, func() {}, nil
}

func (bare) Strata(context.Context, string, time.Time, time.Time) iter.Seq2[reanalysis.Stratum, error] {
	return func(func(reanalysis.Stratum, error) bool) {}
}

// FuzzBodies sends any body to every call that takes one, over the planner of a real server. The answer comes within a minute, is
// JSON or events, and blames the caller if anyone: a panic inside is a 500, or one that passes.
func FuzzBodies(f *testing.F) {
	calls := []struct{ method, path, media, accept string }{
		{http.MethodPut, "/kappa", "", ""},
		{http.MethodPut, "/kappa", "application/json", ""},
		{http.MethodPut, "/kappa", "text/plain", ""},
		{http.MethodPost, "/explain", "", ""},
		{http.MethodPost, "/query", "", ""},
		{http.MethodPost, "/query", "", "text/event-stream"},
		{http.MethodPost, "/kappa/some", "", ""},
		{http.MethodPost, "/dead/replay", "", ""},
	}
	for call, bodies := range [][]string{
		0: {everyone, `{"script":"` + sized + `","params":{"n":4}}`, "EXPLAIN " + everyone, "{", ""},
		1: {`{"script":"` + sized + `","params":{"n":1e308}}`, `{"script":"x","params":{"n":"NaN"}}`, `{"params":null,"script":[]}`},
		2: {sized, "\xff", "KAPPA k AS SELECT median(temperature), ratio(a,b) FROM sense.temperature WINDOW 1m EVERY 10s"},
		3: {`{"script":"` + sized + `","params":{"n":-1}}`},
		4: {"SELECT mean(temperature) FROM kappa.some GROUP BY region SAMPLE 1 PERCENT SINCE 2h UNTIL '2026-11-20'"},
		5: {"SELECT mean(temperature) FROM kappa.some SAMPLE MARGIN 0.1 CONFIDENCE 0.9", "SELECT total(x) FROM kappa.none WINDOW 1h"},
		6: {`{"paused":true}`, `{"params":{"n":8},"paused":false}`, `{"params":{"n":1e999}}`, `{"params":{"n":-0}}`, `{"ref":"other"}`, "[]", "null"},
		7: {`{"sequences":[7,8]}`, `{"cause":"future"}`, `{"sequences":["18446744073709551616"]}`, `{"sequences":[-1.5]}`},
	} {
		for _, body := range bodies {
			f.Add(uint8(call), []byte(body))
		}
	}
	s := newStack(f, func(c *service.Config) {
		c.Planner = service.NewFleetPlanner(registryOf(f, 100), func(context.Context) error { return nil })
		c.Engine, c.Stored = quiet{&engine{}}, bare{}
	})
	handler, err := s.service.Handler()
	if err != nil {
		f.Fatal(err)
	}
	send := func(ctx context.Context, method, path string, body []byte, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(ctx, method, path, bytes.NewReader(body))
		for i := 0; i < len(header); i += 2 {
			if header[i+1] != "" {
				r.Header.Set(header[i], header[i+1])
			}
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	if w := send(f.Context(), http.MethodPut, "/kappa?n=5", []byte(sized)); w.Code != http.StatusCreated {
		f.Fatalf("%d %s", w.Code, w.Body)
	}
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		c := calls[int(which)%len(calls)]
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		w := send(ctx, c.method, c.path, body, "Content-Type", c.media, "Accept", c.accept)
		if ctx.Err() != nil || w.Code >= http.StatusInternalServerError {
			t.Fatalf("%s %s %q: %d %s, %v", c.method, c.path, body, w.Code, w.Body, ctx.Err())
		}
		if w.Header().Get("Content-Type") == "application/json" && !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s %s %q: no JSON: %s", c.method, c.path, body, w.Body)
		}
		if location := w.Header().Get("Location"); w.Code == http.StatusCreated && location != "" {
			if gone := send(ctx, http.MethodDelete, location, nil); gone.Code != http.StatusNoContent {
				t.Fatalf("%s isn't deleted: %d %s", location, gone.Code, gone.Body)
			}
		}
	})
}
