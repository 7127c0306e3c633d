//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/edge/sensor"
)

// How much one sensor may send: a thousand readings at once, then twenty a second.
const (
	burstMost = 1000
	rateMost  = 20
)

// sensors is who may send readings. It is safe for concurrent use.
type sensors struct {
	named  map[string]*source
	tokens [][sha256.Size]byte // of all sensors, each once

	mu sync.Mutex // guards what the sources say is guarded by it
}

// source is one sensor that sends its readings.
type source struct {
	name     string
	token    *[sha256.Size]byte // nil where none is asked for
	readings []series

	heard  time.Time // guarded by sensors.mu; zero before the first reading
	taken  uint64    // guarded by sensors.mu
	left   float64   // guarded by sensors.mu; of the burst
	filled time.Time // guarded by sensors.mu; when left was right
}

// series is one reading of a sensor and where it belongs.
type series struct {
	unit, capability, reading string
	parser                    sensor.Parser
}

// tokenLeast is the shortest token, in bytes.
const tokenLeast = 16

// newSensors reads the tokens. The error tells all faults at once.
func newSensors(c *collector.Config, files fs.FS) (*sensors, error) {
	s := &sensors{named: make(map[string]*source)}
	read := make(map[string]*[sha256.Size]byte)
	var faults []error
	for i := range c.Sensors {
		x := &c.Sensors[i]
		if x.Network == nil {
			continue
		}
		path := x.Network.TokenFile
		if _, known := read[path]; !known && path != "" {
			token, err := readToken(files, path)
			if err != nil {
				faults = append(faults, fmt.Errorf("token of sensor %s: %w", x.Network.Name, err))
			}
			read[path] = &token
			s.tokens = append(s.tokens, token)
		}
		parser, err := x.Spec.Parser()
		if err != nil {
			faults = append(faults, fmt.Errorf("sensor %s: %w", x.Network.Name, err))
		}
		from := s.named[x.Network.Name]
		if from == nil {
			from = &source{name: x.Network.Name, token: read[path], left: burstMost}
			s.named[from.name] = from
		}
		from.readings = append(from.readings, series{x.Unit, x.Capability, x.Reading, parser})
	}
	return s, errors.Join(faults...)
}

// readSecret reads a file that its owner alone may read.
func readSecret(files fs.FS, path string) ([]byte, error) {
	name := strings.TrimPrefix(path, "/")
	info, err := fs.Stat(files, name)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s may be read by others; say chmod 600 %s", path, path)
	}
	return fs.ReadFile(files, name)
}

func readPublic(files fs.FS, path string) ([]byte, error) {
	return fs.ReadFile(files, strings.TrimPrefix(path, "/"))
}

// readToken returns the hash of a token, so that comparing takes equally long for all.
func readToken(files fs.FS, path string) ([sha256.Size]byte, error) {
	b, err := readSecret(files, path)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	token := strings.TrimSpace(string(b))
	if len(token) < tokenLeast {
		return [sha256.Size]byte{}, fmt.Errorf("%s has fewer than %d characters; say: openssl rand -hex 16 > %s", path, tokenLeast, path)
	}
	return sha256.Sum256([]byte(token)), nil
}

// opens says whether a token is that of the sensor; one that asks for none is open to all.
func (x *source) opens(token [sha256.Size]byte) bool {
	return x.token == nil || subtle.ConstantTimeCompare(x.token[:], token[:]) == 1
}

// known says whether a token is anybody's, or nobody needs one: then it may be told which sensors there are.
func (s *sensors) known(token [sha256.Size]byte) bool {
	found := 0
	for i := range s.tokens {
		found |= subtle.ConstantTimeCompare(s.tokens[i][:], token[:])
	}
	return found == 1 || len(s.tokens) == 0
}

// find returns the series of a sensor for a reading; an empty one stands for the only one.
func (x *source) find(reading string) (*series, bool) {
	if reading == "" && len(x.readings) == 1 {
		return &x.readings[0], true
	}
	for i := range x.readings {
		if x.readings[i].reading == reading {
			return &x.readings[i], true
		}
	}
	return nil, false
}

// names lists the readings of a sensor.
func (x *source) names() string {
	names := make([]string, len(x.readings))
	for i := range x.readings {
		names[i] = x.readings[i].reading
	}
	return strings.Join(names, ", ")
}

// admit takes so many readings off a sensor's allowance; false when they are too many.
func (s *sensors) admit(counts map[*source]int, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for x, n := range counts {
		passed := max(now.Sub(x.filled).Seconds(), 0)
		if x.left = min(x.left+passed*rateMost, burstMost); float64(n) > x.left {
			x.filled = now
			return false
		}
		x.filled = now
	}
	for x, n := range counts {
		x.left -= float64(n)
		x.taken += uint64(n)
		x.heard = now
	}
	return true
}

// Heard says when a sensor was last heard. It never says what it sent.
type Heard struct {
	Sensor   string   `json:"sensor"`
	Readings []string `json:"readings"`
	Taken    uint64   `json:"taken"` // readings since the gateway began
	// SecondsAgo is null for one that was not heard yet.
	SecondsAgo *int64 `json:"seconds_ago"`
}

// heard lists the sensors that a token opens, by name.
func (s *sensors) heard(token [sha256.Size]byte, now time.Time) []Heard {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []Heard{}
	for _, x := range s.named {
		if !x.opens(token) {
			continue
		}
		h := Heard{Sensor: x.name, Taken: x.taken}
		for i := range x.readings {
			h.Readings = append(h.Readings, x.readings[i].reading)
		}
		if !x.heard.IsZero() {
			ago := int64(now.Sub(x.heard) / time.Second)
			h.SecondsAgo = &ago
		}
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b Heard) int { return cmp.Compare(a.Sensor, b.Sensor) })
	return out
}
