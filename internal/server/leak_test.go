package server_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/query/client"
)

const leaky = `KAPPA leaky AS
SELECT mean(temperature), proportion(temperature > 5000000000) FROM sense.temperature GROUP BY side
SAMPLE ALL WINDOW 1m GRACE 5s PRIVACY LOCAL EPSILON 4 PER 1m BETWEEN 1000000000 AND 9000000000`

// tape is a log that many may write.
type tape struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (p *tape) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(b)
}

func (p *tape) bytes() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.text.Bytes())
}

// outside is everything that was seen outside of devices, by place.
type outside struct {
	t      *testing.T
	places map[string][]byte
	wire   tape
}

func (o *outside) add(place string, content []byte) {
	if len(content) > 0 {
		o.places[place] = append(append(o.places[place], content...), 0)
	}
}

// Whatever a server stores, logs, sends or answers, and whatever devices send, holds no reading of any device.
func TestNoReadingLeavesItsDevice(t *testing.T) {
	const windows = 3
	readings := plant()
	places := make([]indoor.Place, len(readings))
	for i, m := range readings {
		places[i] = indoor.Place{
			ID: "planted-" + strconv.Itoa(i), Readings: []privacy.Micro{m}, Attributes: map[string]string{"side": []string{"left", "right"}[i%2]},
		}
	}
	o := &outside{t: t, places: map[string][]byte{}}
	log, dir := &tape{}, t.TempDir()
	logger := slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	now := clock.NewManual(time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	w := openLogged(t, dir, now, logger)
	address := w.server.Addresses()
	spy := o.listen(address.NATS)
	fleet, err := simulate.Join(t.Context(), simulate.Config{NATS: address.NATS, Places: places, Clock: now, Seed: 5, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	defer fleet.Close()
	put, err := w.api.Put(t.Context(), leaky, nil)
	if err != nil {
		t.Fatal(err)
	}
	for range windows {
		w.window(fleet, put.GetRef())
	}
	w.reported("leaky", planted*windows)
	o.wrong(spy)
	o.answers("http://"+address.HTTP, put.GetRef())
	for _, what := range []string{"reports", "results"} {
		o.arrow(w.api, put.GetRef(), what)
	}
	o.streams(spy)
	if got := fleet.Summary(); got.Answered != planted*windows {
		t.Errorf("the fleet: %+v", got)
	}
	if err := w.server.Close(); err != nil {
		t.Fatal(err)
	}
	o.add("log", log.bytes())
	o.add("wire", o.wire.bytes())
	o.files(dir)
	o.search(readings)
}

func (o *outside) search(readings []privacy.Micro) {
	o.t.Helper()
	total := 0
	for place, content := range o.places {
		total += len(content)
		if len(content) > placeMost {
			o.t.Errorf("%s has %d bytes, more than the search is safe for", place, len(content))
		}
		if found := traces(content, readings); len(found) > 0 {
			o.t.Errorf("%s shows readings as %q", place, found)
		}
	}
	for _, needed := range []string{"log", "wire", "stream REPORTS", "stream RESULTS", "stream DEADLETTER", "arrow reports", "arrow results", "GET /metrics"} {
		if len(o.places[needed]) == 0 {
			o.t.Errorf("nothing of %s was searched", needed)
		}
	}
	o.t.Logf("%d bytes in %d places", total, len(o.places))
	if total > searchedMost {
		o.t.Errorf("%d bytes are more than the search is safe for", total)
	}
}

// window lets a fleet that knows a kappa answer for its next window, and the window close.
func (w *world) window(fleet *simulate.Fleet, ref string) {
	w.t.Helper()
	heard(w.t, fleet, ref)
	w.pass(fleet, 1)
}

// reported waits until a kappa's final results hold so many reports over all cells.
func (w *world) reported(ref string, n uint32) {
	w.t.Helper()
	until(w.t, fmt.Sprintf("there are %d reports of %s", n, ref), func() bool {
		results, err := w.api.Results(w.t.Context(), ref, client.Span{Limit: 1000})
		if err != nil {
			w.t.Fatal(err)
		}
		var sum uint32
		for _, r := range results {
			if r.GetFinal() && len(r.GetCell()) == 0 {
				sum += r.GetReports()
			}
		}
		return sum == n
	})
}

// listen keeps everything that passes the broker.
func (o *outside) listen(url string) *nats.Conn {
	o.t.Helper()
	conn, err := nats.Connect(url, nats.Timeout(patience))
	if err != nil {
		o.t.Fatal(err)
	}
	o.t.Cleanup(conn.Close)
	if _, err := conn.Subscribe(">", func(m *nats.Msg) {
		_, _ = fmt.Fprintf(&o.wire, "%s %v %s\n", m.Subject, m.Header, m.Data)
	}); err != nil {
		o.t.Fatal(err)
	}
	if err := conn.Flush(); err != nil {
		o.t.Fatal(err)
	}
	return conn
}

// wrong sends what no device should send; every answer goes through the wire's tape.
func (o *outside) wrong(conn *nats.Conn) {
	o.t.Helper()
	for _, subject := range []string{"quadrat.in.planted-1", "quadrat.in.stranger", "quadrat.hello.planted-1", "quadrat.hello.stranger"} {
		for _, body := range []string{"", "nonsense", "\x0a\x09planted-2\x12\x00"} {
			_, _ = conn.Request(subject, []byte(body), 5*time.Second) // refused or not, the answer is on the tape
		}
	}
}

// answers asks everything that can be asked over HTTP, and some that can't.
func (o *outside) answers(server, ref string) {
	o.t.Helper()
	for _, path := range []string{
		"/", "/healthz", "/readyz", "/metrics", "/openapi.json", "/kappa", "/kappa/" + ref, "/kappa/leaky/plan", "/kappa/none",
		"/kappa/leaky?since=2020-01-01T00:00:00Z", "/kappa/leaky?since=never", "/devices", "/devices/planted-3", "/devices/none",
		"/devices?where=side%20%3D%20%27left%27", "/devices?where=((",
	} {
		for _, accept := range []string{"application/json", "text/csv", "application/vnd.apache.arrow.stream"} {
			o.ask(server, http.MethodGet, path, accept, "")
		}
	}
	for _, script := range []string{leaky, "KAPPA", strings.Replace(leaky, "ALL", "MARGIN 0.0001", 1), strings.Replace(leaky, "side", "temperature", 1)} {
		o.ask(server, http.MethodPost, "/explain", "application/json", script)
		o.ask(server, http.MethodPut, "/kappa", "application/json", strings.Replace(script, "leaky", "other", 1))
	}
	o.ask(server, http.MethodPut, "/kappa", "application/json", strings.Replace(leaky, "1m GRACE", "2m GRACE", 1))
	o.ask(server, http.MethodPost, "/kappa/leaky", "application/json", `{"paused":true}`)
	o.ask(server, http.MethodPost, "/kappa/leaky", "application/json", `{"params":{"n":1}}`)
	o.events(server + "/kappa/leaky?since=2020-01-01T00:00:00Z")
}

func (o *outside) request(ctx context.Context, method, url, accept, body string) *http.Response {
	o.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Accept", accept)
	if !strings.HasPrefix(body, "{") {
		req.Header.Set("Content-Type", "text/plain")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		o.t.Fatal(err)
	}
	return res
}

func (o *outside) ask(server, method, path, accept, body string) {
	o.t.Helper()
	res := o.request(o.t.Context(), method, server+path, accept, body)
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		o.t.Fatal(err)
	}
	o.add(method+" "+path, fmt.Appendf(content, "%d %v", res.StatusCode, res.Header))
}

// events follows a kappa for as many events as there are results.
func (o *outside) events(url string) {
	o.t.Helper()
	ctx, cancel := context.WithCancel(o.t.Context())
	defer cancel()
	res := o.request(ctx, http.MethodGet, url, "text/event-stream", "")
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for n := 0; n < 6 && lines.Scan(); {
		o.add("events", lines.Bytes())
		if strings.HasPrefix(lines.Text(), "data:") {
			n++
		}
	}
	if err := lines.Err(); err != nil {
		o.t.Error(err)
	}
}
