//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/quadrat-dev/quadrat/edge/sensor"
	"github.com/quadrat-dev/quadrat/privacy"
)

// sample is one number as a sensor sent it. It is a secret of the process.
type sample struct {
	names   []string // the sensor's, the likeliest first
	reading string   // empty for the only one
	number  string   // a decimal
	atMs    int64    // since 1970
	timed   bool     // whether the sensor said when
	extra   bool     // may be passed over when the sensor has no such reading
}

// fault is what is wrong with a request, in words for whoever sent it. It never contains a number of it.
type fault string

// Error returns the words.
func (f fault) Error() string { return string(f) }

// What can be wrong with a body.
const (
	faultJSON  fault = "not JSON of one {\"sensor\": …, \"value\": …}, or an array of them"
	faultMany  fault = "too many readings in one request"
	faultValue fault = "a value is not a number in range"
	faultTime  fault = "a time is neither seconds since 1970 nor RFC 3339 text"
	faultName  fault = "a reading names no sensor"
)

// samplesMost bounds the readings of one request.
const samplesMost = 1000

// message is a reading in JSON.
type message struct {
	Sensor  string          `json:"sensor"`
	Reading string          `json:"reading"`
	Value   json.RawMessage `json:"value"`
	Time    json.RawMessage `json:"time"`
}

// parseMessages reads one message or an array of them.
func parseMessages(body []byte) ([]sample, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	var messages []message
	var err error
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		err = decoder.Decode(&messages)
	} else {
		messages = make([]message, 1)
		err = decoder.Decode(&messages[0])
	}
	if err != nil {
		return nil, faultJSON
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, faultJSON
	}
	if len(messages) > samplesMost {
		return nil, faultMany
	}
	samples := make([]sample, len(messages))
	for i := range messages {
		if samples[i], err = messages[i].sample(); err != nil {
			return nil, err
		}
	}
	return samples, nil
}

func (m *message) sample() (sample, error) {
	s := sample{names: []string{m.Sensor}, reading: m.Reading}
	if m.Sensor == "" {
		return s, faultName
	}
	var ok bool
	if s.number, ok = scalar(m.Value); !ok {
		return s, faultValue
	}
	text, ok := scalar(m.Time)
	if !ok {
		return s, nil
	}
	at, err := moment(text)
	s.atMs, s.timed = at, true
	return s, err
}

// scalar returns the text of a number, of a text, or of true and false as 1 and 0; nothing for anything else, or none.
func scalar(raw json.RawMessage) (string, bool) {
	switch {
	case len(raw) == 0, raw[0] == 'n', raw[0] == '{', raw[0] == '[':
		return "", false
	case raw[0] == 't':
		return "1", true
	case raw[0] == 'f':
		return "0", true
	case raw[0] == '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err == nil
	}
	return string(raw), true
}

// moment reads seconds since 1970, or RFC 3339, in milliseconds.
func moment(text string) (int64, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at.UnixMilli(), nil
	}
	seconds, err := sensor.Spec{}.Parser()
	if err != nil {
		return 0, faultTime
	}
	at, err := seconds.Read(text)
	if err != nil {
		return 0, faultTime
	}
	const microsInMilli = 1000
	return int64(at / privacy.Micro(microsInMilli)), nil
}
