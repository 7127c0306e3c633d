package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

func newClient(t *testing.T, handle http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(handle)
	t.Cleanup(s.Close)
	c, err := client.New(s.URL+"/", client.Options{Token: "the-token-of-the-test"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNewRefusesWhatIsNoServer(t *testing.T) {
	for _, server := range []string{"", "127.0.0.1:8080", "ftp://x", "http://", "://"} {
		if _, err := client.New(server, client.Options{}); err == nil {
			t.Errorf("%q is taken for a server", server)
		}
	}
}

func TestErrorsKeepTheirDetails(t *testing.T) {
	bodies := map[string]string{
		"/kappa/broken": `{"code":3,"message":"m","details":[{"@type":"type.googleapis.com/quadrat.v1.ScriptError","line":2,"column":7,"message":"x","hint":"h"}]}`,
		"/kappa/tight": `{"code":9,"message":"m","details":[{"@type":"type.googleapis.com/quadrat.v1.Infeasible","reason":"r",
			"best_margin":0.5,"best_panel":9,"options":["o"]}]}`,
		"/kappa/proxy": `<html>`,
	}
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer the-token-of-the-test" {
			t.Error("no token")
		}
		w.WriteHeader(http.StatusTeapot)
		fmt.Fprint(w, bodies[r.URL.Path])
	})
	get := func(ref string) *client.Error {
		_, err := c.Results(t.Context(), ref, client.Span{})
		var e *client.Error
		if !errors.As(err, &e) {
			t.Fatalf("%s: %v", ref, err)
		}
		return e
	}
	if e := get("broken"); e.Code != codes.InvalidArgument || e.Script.GetLine() != 2 || e.Script.GetColumn() != 7 || e.Script.GetHint() != "h" || e.Infeasible != nil {
		t.Errorf("broken: %+v", e)
	}
	if e := get("tight"); e.Code != codes.FailedPrecondition || e.Infeasible.GetBestPanel() != 9 || e.Infeasible.GetOptions()[0] != "o" || e.Script != nil {
		t.Errorf("tight: %+v", e)
	}
	if e := get("proxy"); e.HTTPStatus != http.StatusTeapot || e.Message == "" {
		t.Errorf("proxy: %+v", e)
	}
}

// TestWatchComesBack breaks the connection after each event; the client must go on behind the last one that it handled.
func TestWatchComesBack(t *testing.T) {
	var mu sync.Mutex
	var lasts []string
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		last := r.Header.Get("Last-Event-ID")
		lasts = append(lasts, last)
		if len(lasts) == 2 {
			w.WriteHeader(http.StatusBadGateway) // a fault that passes
			return
		}
		if last == "3" {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"code":5,"message":"gone","details":[]}`)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		next := len(last) + 1
		if last != "" {
			_, err := fmt.Sscan(last, &next)
			if err != nil {
				t.Error(err)
			}
			next++
		}
		fmt.Fprintf(w, "retry: 2000\n\n: alive\n\nid: %d\nevent: result\ndata: {\"ref\":\"k%d\"}\n\nid: 99\nevent: result\ndata: {\"cut", next, next)
	})
	var refs []string
	err := c.Watch(t.Context(), "indoor", time.Time{}, func(r *quadratv1.Result) error {
		refs = append(refs, r.GetRef())
		return nil
	})
	var e *client.Error
	if !errors.As(err, &e) || e.HTTPStatus != http.StatusNotFound {
		t.Errorf("the watch ends with %v", err)
	}
	if fmt.Sprint(refs) != "[k1 k2 k3]" || fmt.Sprintf("%q", lasts) != `["" "1" "1" "2" "3"]` {
		t.Errorf("heard %v after asking behind %q", refs, lasts)
	}
}

func TestWatchEndsWithItsHandler(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "id: 1\nevent: result\ndata: {}\n\n")
	})
	enough := errors.New("enough")
	if err := c.Watch(t.Context(), "x", time.Time{}, func(*quadratv1.Result) error { return enough }); !errors.Is(err, enough) {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := c.Watch(ctx, "x", time.Time{}, func(*quadratv1.Result) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// TestExportThatBreaksOff must not look like one that ended.
func TestExportThatBreaksOff(t *testing.T) {
	c := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("what") != "reports" || r.URL.Query().Get("since") != "2026-11-20T10:00:00Z" {
			t.Errorf("query %s", r.URL.RawQuery)
		}
		fmt.Fprint(w, "some")
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	body, err := c.Export(t.Context(), "indoor", "reports", client.Span{Since: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err == nil {
		t.Errorf("the export ends well after %q", got)
	}
}
