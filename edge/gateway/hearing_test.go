//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/privacy"
)

const (
	tokenA = "aaaaaaaaaaaaaaaa0"
	tokenB = "bbbbbbbbbbbbbbbb0"
)

var begin = time.Date(2026, 11, 20, 12, 0, 30, 0, time.UTC)

const house = `
role: gateway
server: nats://127.0.0.1:1
device: block
data: /data
units: [{name: a}, {name: b}]
listen: {address: "0.0.0.0:8650", token_file: /etc/all}
sensors:
  - {source: network, unit: a, name: bath, capability: sense.temperature, token_file: /etc/bath}
  - {source: network, unit: a, name: bath, capability: sense.temperature, reading: humidity, token_file: /etc/bath}
  - {source: network, unit: b, name: hall, capability: sense.temperature, scale: "0.001"}
  - {source: network, unit: b, name: door, capability: sense.door}
policy: {capabilities: [sense.temperature, sense.door], epsilon: 4, per: 1h, lifetime: none}
`

var secrets = fstest.MapFS{
	"etc/all":  {Data: []byte(tokenA + "\n"), Mode: 0o600},
	"etc/bath": {Data: []byte(tokenB), Mode: 0o400},
}

// listener is a hearing without a network.
type listener struct {
	hearing
	took []collector.Reading
}

func listening(t testing.TB) *listener {
	t.Helper()
	c, err := collector.Parse([]byte(house), "/")
	if err != nil {
		t.Fatal(err)
	}
	s, err := newSensors(&c, secrets)
	if err != nil {
		t.Fatal(err)
	}
	l := &listener{hearing: hearing{sensors: s, clock: clock.NewManual(begin)}}
	l.add = func(r collector.Reading) { l.took = append(l.took, r) }
	return l
}

// post sends a body and returns what came of it.
func (l *listener) post(path, token, body string, headers ...string) (int, string) {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	l.handler().ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

// What senders of several kinds send becomes the exact reading of the right unit.
func TestReadingsAreTaken(t *testing.T) {
	at := begin.Add(-10 * time.Second)
	for name, c := range map[string]struct {
		path, token, body string
		headers           []string
		want              []collector.Reading
	}{
		"json": {
			path: "/readings", token: tokenA, body: `{"sensor": "hall", "value": 21537.1915}`,
			want: []collector.Reading{{Unit: "b", Reading: "temperature", AtMs: begin.UnixMilli(), Value: 21_537_192}},
		},
		"text and time": {
			path: "/readings", token: tokenB,
			body: fmt.Sprintf(`[{"sensor": "bath", "reading": "humidity", "value": "55.5", "time": %d, "unit": "%%"}]`, at.Unix()),
			want: []collector.Reading{{Unit: "a", Reading: "humidity", AtMs: at.UnixMilli(), Value: 55_500_000}},
		},
		"rfc 3339 and truth": {
			path: "/readings", token: tokenA, body: fmt.Sprintf(`{"sensor": "door", "value": true, "time": %q}`, at.Format(time.RFC3339)),
			want: []collector.Reading{{Unit: "b", Capability: "sense.door", Reading: "door", AtMs: at.UnixMilli(), Value: 1_000_000}},
		},
		"lines": {
			path: "/write?db=x&precision=s&p=" + tokenB,
			body: fmt.Sprintf("# a comment\nclimate,room=wet\\ room,sensor=bath temperature=-0.1,humidity=54i,note=\"a,b c\",dew=3 %d\n\n", at.Unix()),
			want: []collector.Reading{
				{Unit: "a", Reading: "temperature", AtMs: at.UnixMilli(), Value: -100_000},
				{Unit: "a", Reading: "humidity", AtMs: at.UnixMilli(), Value: 54_000_000},
			},
		},
		"home assistant": {
			path: "/api/v2/write?org=o&bucket=b&precision=ns", body: fmt.Sprintf("°C,domain=sensor,entity_id=hall friendly_name_str=\"Hall\",value=20500 %d", at.UnixNano()),
			headers: []string{"Authorization", "Token " + tokenA},
			want:    []collector.Reading{{Unit: "b", Reading: "temperature", AtMs: at.UnixMilli(), Value: 20_500_000}},
		},
		"telegraf": {
			path: "/write", body: string(zip("door value=1u\n")),
			headers: []string{"Content-Encoding", "gzip", "Authorization", "Basic dXNlcjphYWFhYWFhYWFhYWFhYWFhMA=="},
			want:    []collector.Reading{{Unit: "b", Capability: "sense.door", Reading: "door", AtMs: begin.UnixMilli(), Value: 1_000_000}},
		},
		"a clock that is ahead": {
			path: "/readings", token: tokenA, body: fmt.Sprintf(`{"sensor": "door", "value": false, "time": %d}`, begin.Unix()+50),
			want: []collector.Reading{{Unit: "b", Capability: "sense.door", Reading: "door", AtMs: begin.UnixMilli()}},
		},
	} {
		l := listening(t)
		code, text := l.post(c.path, c.token, c.body, c.headers...)
		if code != http.StatusNoContent || len(l.took) != len(c.want) {
			t.Errorf("%s: %d %s %+v", name, code, text, l.took)
			continue
		}
		for i, want := range c.want {
			if want.Capability == "" {
				want.Capability = "sense.temperature"
			}
			if l.took[i] != want {
				t.Errorf("%s: %+v, want %+v", name, l.took[i], want)
			}
		}
	}
}

func zip(text string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return b.Bytes()
}

// What can't be taken is refused as a whole, with a reason that says what to do and no number that was sent.
func TestReadingsAreRefused(t *testing.T) {
	const value = "21.537191"
	ok := `{"sensor": "hall", "value": 1}`
	for name, c := range map[string]struct {
		path, token, body string
		headers           []string
		code              int
		text              string
	}{
		"no token":        {"/readings", "", ok, nil, 401, "token"},
		"wrong token":     {"/readings", tokenA + "x", ok, nil, 401, "token"},
		"another's token": {"/readings", tokenB, ok, nil, 401, "not the token of sensor hall"},
		"half another's":  {"/readings", tokenA, `[` + ok + `, {"sensor": "bath", "reading": "humidity", "value": 1}]`, nil, 401, "bath"},
		"unknown":         {"/readings", tokenA, `{"sensor": "attic", "value": 21.537191}`, nil, 404, "attic"},
		"unknown to none": {"/readings", tokenA[1:], `{"sensor": "attic", "value": 1}`, nil, 401, ""},
		"which reading":   {"/readings", tokenB, `{"sensor": "bath", "value": 21.537191}`, nil, 404, "temperature, humidity"},
		"no such reading": {"/readings", tokenA, `{"sensor": "hall", "reading": "x", "value": 1}`, nil, 404, "it has temperature"},
		"no field":        {"/write", tokenA, "hall other=21.537191", nil, 404, "no reading"},
		"no value":        {"/readings", tokenA, `{"sensor": "hall"}`, nil, 400, "value"},
		"null":            {"/readings", tokenA, `{"sensor": "hall", "value": null}`, nil, 400, "value"},
		"an object":       {"/readings", tokenA, `{"sensor": "hall", "value": {"v": 21.537191}}`, nil, 400, "value"},
		"words":           {"/readings", tokenA, `{"sensor": "hall", "value": "21.537191 C"}`, nil, 400, "value"},
		"too large":       {"/readings", tokenA, `{"sensor": "door", "value": 1e30}`, nil, 400, "value"},
		"nameless":        {"/readings", tokenA, `{"value": 21.537191}`, nil, 400, "names no sensor"},
		"not json":        {"/readings", tokenA, "21.537191,", nil, 400, "JSON"},
		"two jsons":       {"/readings", tokenA, ok + ok, nil, 400, "JSON"},
		"the future":      {"/readings", tokenA, fmt.Sprintf(`{"sensor": "hall", "value": 1, "time": %d}`, begin.Unix()+61), nil, 400, "clock"},
		"the past":        {"/readings", tokenA, `{"sensor": "hall", "value": 1, "time": 1000}`, nil, 400, "clock"},
		"no time":         {"/readings", tokenA, `{"sensor": "hall", "value": 1, "time": "noon"}`, nil, 400, "time"},
		"no line":         {"/write", tokenA, "hall", nil, 400, "line protocol"},
		"no number":       {"/write", tokenA, "hall value=21.537191x", nil, 400, "value"},
		"bad stamp":       {"/write", tokenA, "hall value=1 now", nil, 400, "timestamp"},
		"huge stamp":      {"/write?precision=h", tokenA, "hall value=1 9223372036854775807", nil, 400, "timestamp"},
		"precision":       {"/write?precision=d", tokenA, "hall value=1", nil, 400, "precision"},
		"open quote":      {"/write", tokenA, "hall value=\"21.537191", nil, 400, "line protocol"},
		"long":            {"/readings", tokenA, strings.Repeat(" ", bodyMost+1), nil, 413, "longer"},
		"bomb":            {"/readings", tokenA, string(zip(strings.Repeat(" ", unpackedMost+1))), []string{"Content-Encoding", "gzip"}, 413, "longer"},
		"not gzip":        {"/readings", tokenA, ok, []string{"Content-Encoding", "gzip"}, 400, "gzip"},
		"brotli":          {"/readings", tokenA, ok, []string{"Content-Encoding", "br"}, 415, "gzip"},
		"a page":          {"/readings", tokenA, ok, []string{"Origin", "https://example.org"}, 403, "browser"},
		"many":            {"/write", tokenA, strings.Repeat("hall value=1\n", samplesMost+1), nil, 400, "too many"},
		"elsewhere":       {"/query", tokenA, ok, nil, 404, ""},
	} {
		l := listening(t)
		code, text := l.post(c.path, c.token, c.body, c.headers...)
		if code != c.code || !strings.Contains(text, c.text) || len(l.took) != 0 {
			t.Errorf("%s: %d %q, %d taken", name, code, text, len(l.took))
		}
		if strings.Contains(text, value) || strings.Contains(text, "537191") {
			t.Errorf("%s: the answer shows what was sent: %s", name, text)
		}
	}
}

// One sensor sends a thousand at once, then twenty a second, and keeps the others from nothing.
func TestRateOfOneSensor(t *testing.T) {
	l := listening(t)
	lines := strings.Repeat("hall value=1\n", burstMost)
	if code, text := l.post("/write", tokenA, lines); code != http.StatusNoContent {
		t.Fatal(code, text)
	}
	if code, _ := l.post("/write", tokenA, "hall value=1"); code != http.StatusTooManyRequests {
		t.Error(code)
	}
	if code, _ := l.post("/write", tokenA, "door value=1"); code != http.StatusNoContent {
		t.Error(code)
	}
	l.clock.(*clock.Manual).Advance(time.Second)
	if code, _ := l.post("/write", tokenA, strings.Repeat("hall value=1\n", rateMost+1)); code != http.StatusTooManyRequests {
		t.Error(code)
	}
	if code, _ := l.post("/write", tokenA, strings.Repeat("hall value=1\n", rateMost)); code != http.StatusNoContent {
		t.Error(code)
	}
}

// The list tells each token its own sensors, when they were heard, and no number.
func TestListOfSensors(t *testing.T) {
	l := listening(t)
	_, _ = l.post("/readings", tokenA, `{"sensor": "hall", "value": 21537.191}`)
	l.clock.(*clock.Manual).Advance(7 * time.Second)
	get := func(token string) (int, string) {
		r := httptest.NewRequest(http.MethodGet, "/sensors", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		l.handler().ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	want := `[{"sensor":"door","readings":["door"],"taken":0,"seconds_ago":null},` +
		`{"sensor":"hall","readings":["temperature"],"taken":1,"seconds_ago":7}]`
	if code, text := get(tokenA); code != http.StatusOK || strings.TrimSpace(text) != want {
		t.Errorf("%d %s", code, text)
	}
	if code, text := get("nobody's"); code != http.StatusUnauthorized || strings.Contains(text, "hall") {
		t.Errorf("%d %s", code, text)
	}
}

// Tokens that others can read, that are short or missing stop the gateway, all told at once.
func TestTokensMustBeSecret(t *testing.T) {
	c, err := collector.Parse([]byte(house), "/")
	if err != nil {
		t.Fatal(err)
	}
	for name, files := range map[string]fs.FS{
		"may be read by others": fstest.MapFS{"etc/all": {Data: []byte(tokenA), Mode: 0o640}, "etc/bath": {Data: []byte(tokenB), Mode: 0o604}},
		"fewer than 16":         fstest.MapFS{"etc/all": {Data: []byte("short"), Mode: 0o600}, "etc/bath": {Mode: 0o600}},
		"not exist":             fstest.MapFS{},
	} {
		_, err := newSensors(&c, files)
		if err == nil || strings.Count(err.Error(), name) < 2 || strings.Contains(err.Error(), tokenA) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Whatever is sent, nothing panics, what is refused leaves nothing, and what is taken is of a sensor of the token.
func FuzzHearing(f *testing.F) {
	f.Add("/readings", `[{"sensor": "hall", "value": 21.5, "time": 1795176030}]`)
	f.Add("/write", "hall,sensor=door value=1i,x=\"\\\"\" 1795176030000000000\n")
	f.Add("/api/v2/write?precision=ms", "a\\ b,entity_id=hall value=-1.5e-3")
	f.Fuzz(func(t *testing.T, path, body string) {
		at := 0
		for i, p := range []string{"/readings", "/write", "/api/v2/write?precision=ms"} {
			if path == p {
				at = i
			}
		}
		l := listening(t)
		code, _ := l.post([]string{"/readings", "/write", "/api/v2/write?precision=ms"}[at], tokenA, body)
		if code != http.StatusNoContent && len(l.took) > 0 {
			t.Fatalf("%d, and %d taken", code, len(l.took))
		}
		for _, r := range l.took {
			if r.Unit != "b" || r.AtMs > begin.UnixMilli() || r.AtMs < begin.Add(-ageMost).UnixMilli() {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// A number becomes the nearest millionth, as if it were written by hand.
func TestNumbersAreExact(t *testing.T) {
	for text, want := range map[string]privacy.Micro{
		"0.1": 100_000, "0.3": 300_000, "21.5371915": 21_537_192, "-21.5371915": -21_537_192, "9007199254740.993": 9_007_199_254_740_993_000,
		"1e-6": 1, "4.9e-7": 0,
	} {
		l := listening(t)
		if code, why := l.post("/readings", tokenA, `{"sensor": "door", "value": `+text+`}`); code != http.StatusNoContent || l.took[0].Value != want {
			t.Errorf("%s: %d %s %+v, want %d", text, code, why, l.took, want)
		}
	}
}
