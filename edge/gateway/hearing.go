//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/internal/clock"
)

// How long a request's body may be, and how long once it is unpacked.
const (
	bodyMost     = 64 << 10
	unpackedMost = 256 << 10
)

// How far a sensor's clock may be ahead, and how old a reading may be.
const (
	aheadMost = time.Minute
	ageMost   = 24 * time.Hour
)

// hearing answers the sensors. All readings of a request are taken or none. It keeps nothing, and what it answers contains no
// number that was sent.
type hearing struct {
	sensors *sensors
	clock   clock.Clock
	add     func(collector.Reading)
}

// refusal is an answer other than 204: a fault, and how HTTP calls it.
type refusal struct {
	code int
	text string
}

// Error returns the text.
func (r refusal) Error() string { return r.text }

func refuse(code int, format string, a ...any) error { return refusal{code, fmt.Sprintf(format, a...)} }

// handler has the calls: readings as JSON, readings as lines of both of InfluxDB's addresses, who was heard, and that it lives.
func (h *hearing) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /readings", h.take(func(body []byte, _ *http.Request) ([]sample, error) { return parseMessages(body) }))
	lines := h.take(func(body []byte, r *http.Request) ([]sample, error) {
		return parseLines(body, r.URL.Query().Get("precision"))
	})
	mux.HandleFunc("POST /write", lines)
	mux.HandleFunc("POST /api/v2/write", lines)
	mux.HandleFunc("GET /sensors", h.list)
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return mux
}

// take answers requests whose body parse understands.
func (h *hearing) take(parse func([]byte, *http.Request) ([]sample, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := h.hear(w, r, parse)
		var why refusal
		switch {
		case err == nil:
			w.WriteHeader(http.StatusNoContent)
		case errors.As(err, &why):
			answer(w, why.code, why.text)
		default:
			answer(w, http.StatusBadRequest, err.Error())
		}
	}
}

func answer(w http.ResponseWriter, code int, text string) {
	if code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	http.Error(w, text, code)
}

func (h *hearing) hear(w http.ResponseWriter, r *http.Request, parse func([]byte, *http.Request) ([]sample, error)) error {
	if r.Header.Get("Origin") != "" {
		return refuse(http.StatusForbidden, "a page in a browser is no sensor")
	}
	token := tokenOf(r)
	if !h.sensors.known(token) && !h.open() {
		return refuse(http.StatusUnauthorized, "no sensor has this token")
	}
	body, err := read(w, r)
	if err != nil {
		return err
	}
	samples, err := parse(body, r)
	if err != nil {
		return err
	}
	now := h.clock.Now()
	readings := make([]collector.Reading, 0, len(samples))
	counts := make(map[*source]int)
	for i := range samples {
		reading, from, err := h.place(&samples[i], token, now)
		if err != nil {
			return err
		}
		if from != nil {
			readings = append(readings, reading)
			counts[from]++
		}
	}
	if len(readings) == 0 {
		return refuse(http.StatusNotFound, "no reading of a sensor in edge.yaml")
	}
	if !h.sensors.admit(counts, now) {
		w.Header().Set("Retry-After", "60")
		return refuse(http.StatusTooManyRequests, "more than %d readings a second of one sensor", rateMost)
	}
	for _, x := range readings {
		h.add(x)
	}
	return nil
}

// open says that a sensor asks for no token.
func (h *hearing) open() bool {
	for _, x := range h.sensors.named {
		if x.token == nil {
			return true
		}
	}
	return false
}

// place finds where a sample belongs; nowhere, without an error, when it may be passed over.
func (h *hearing) place(s *sample, token [sha256.Size]byte, now time.Time) (collector.Reading, *source, error) {
	var none collector.Reading
	var from *source
	for _, name := range s.names {
		if from = h.sensors.named[name]; from != nil {
			break
		}
	}
	if from == nil {
		if !h.sensors.known(token) {
			return none, nil, refuse(http.StatusUnauthorized, "no sensor has this token")
		}
		return none, nil, refuse(http.StatusNotFound, "no sensor %q in edge.yaml", brief(s.names[0]))
	}
	if !from.opens(token) {
		return none, nil, refuse(http.StatusUnauthorized, "not the token of sensor %s", from.name)
	}
	to, ok := from.find(s.reading)
	switch {
	case !ok && s.extra:
		return none, nil, nil
	case !ok:
		return none, nil, refuse(http.StatusNotFound, "sensor %s has no reading of that name; it has %s", from.name, from.names())
	}
	value, err := to.parser.Read(s.number)
	if err != nil {
		return none, nil, faultValue
	}
	at := now.UnixMilli()
	if s.timed {
		if s.atMs > at+aheadMost.Milliseconds() || s.atMs < at-ageMost.Milliseconds() {
			return none, nil, refuse(http.StatusBadRequest,
				"a reading of sensor %s is of a time more than %v ahead or %v ago; set its clock, or leave the time out", from.name, aheadMost, ageMost)
		}
		at = min(at, s.atMs)
	}
	return collector.Reading{Unit: to.unit, Capability: to.capability, Reading: to.reading, AtMs: at, Value: value}, from, nil
}

// brief shortens a name that somebody sent.
func brief(name string) string { return name[:min(len(name), 64)] }

// list tells who was heard, among the sensors that the token opens.
func (h *hearing) list(w http.ResponseWriter, r *http.Request) {
	token := tokenOf(r)
	if !h.sensors.known(token) && !h.open() {
		answer(w, http.StatusUnauthorized, "no sensor has this token")
		return
	}
	list, err := json.Marshal(h.sensors.heard(token, h.clock.Now()))
	if err != nil {
		answer(w, http.StatusInternalServerError, "the list can't be written")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(list, '\n')) // whoever asked has gone
}

// tokenOf returns the hash of the token of a request: behind Bearer or Token, as the password of Basic, or p in the query, which
// are the four ways of InfluxDB's clients.
func tokenOf(r *http.Request) [sha256.Size]byte {
	header := r.Header.Get("Authorization")
	for _, scheme := range []string{"Bearer ", "Token "} {
		if len(header) > len(scheme) && strings.EqualFold(header[:len(scheme)], scheme) {
			return sha256.Sum256([]byte(strings.TrimSpace(header[len(scheme):])))
		}
	}
	if _, password, ok := r.BasicAuth(); ok {
		return sha256.Sum256([]byte(password))
	}
	return sha256.Sum256([]byte(r.URL.Query().Get("p")))
}

// read takes the body in, unpacked.
func read(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body := io.Reader(http.MaxBytesReader(w, r.Body, bodyMost))
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		unpacked, err := gzip.NewReader(body)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "the body is not gzip")
		}
		body = io.LimitReader(unpacked, unpackedMost+1)
	default:
		return nil, refuse(http.StatusUnsupportedMediaType, "Content-Encoding must be gzip or none")
	}
	b, err := io.ReadAll(body)
	var long *http.MaxBytesError
	switch {
	case errors.As(err, &long), len(b) > unpackedMost:
		return nil, refuse(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", bodyMost)
	case err != nil:
		return nil, refuse(http.StatusBadRequest, "the body can't be read")
	}
	return b, nil
}
