//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package gateway

import (
	"math"
	"strconv"
	"strings"
)

// What can be wrong with lines.
const (
	faultLine      fault = "not InfluxDB line protocol: measurement[,tag=value…] field=value[,…] [timestamp]"
	faultStamp     fault = "a timestamp is not a whole number in range"
	faultPrecision fault = "precision must be ns, n, us, u, ms, s, m or h"
)

// precisions are the units of a timestamp: how many make a millisecond, or how many milliseconds one makes.
var precisions = map[string]struct{ divide, multiply int64 }{
	"": {1_000_000, 1}, "ns": {1_000_000, 1}, "n": {1_000_000, 1}, "us": {1000, 1}, "u": {1000, 1}, "ms": {1, 1},
	"s": {1, 1000}, "m": {1, 60_000}, "h": {1, 3_600_000},
}

// The tags that name a sensor before the measurement does: ours, and Home Assistant's.
var nameTags = []string{"sensor", "entity_id"}

// parseLines reads lines of InfluxDB's protocol. A sensor is named by the tag sensor or entity_id, or by the measurement; the field value is
// its only reading, any other field the reading of that name. Texts are passed over.
func parseLines(body []byte, precision string) ([]sample, error) {
	unit, ok := precisions[precision]
	if !ok {
		return nil, faultPrecision
	}
	var samples []sample
	for line := range strings.Lines(string(body)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		more, err := parseLine(line)
		if err != nil {
			return nil, err
		}
		for i := range more {
			if !more[i].timed {
				continue
			}
			if more[i].atMs > math.MaxInt64/unit.multiply || more[i].atMs < 0 {
				return nil, faultStamp
			}
			more[i].atMs = more[i].atMs / unit.divide * unit.multiply
		}
		if samples = append(samples, more...); len(samples) > samplesMost {
			return nil, faultMany
		}
	}
	return samples, nil
}

// parseLine reads one line; times are in the line's own unit.
func parseLine(line string) ([]sample, error) {
	head, rest, ok := cut(line, ' ', false)
	fields, stamp, timed := cut(strings.TrimLeft(rest, " "), ' ', true)
	if !ok || fields == "" {
		return nil, faultLine
	}
	names, err := names(head)
	if err != nil {
		return nil, err
	}
	at := int64(0)
	if stamp = strings.TrimSpace(stamp); stamp == "" {
		timed = false
	} else if at, err = strconv.ParseInt(stamp, 10, 64); err != nil {
		return nil, faultStamp
	}
	var samples []sample
	for more := true; more; {
		var field string
		field, fields, more = cut(fields, ',', true)
		key, value, ok := cut(field, '=', true)
		if !ok || key == "" || value == "" {
			return nil, faultLine
		}
		number, isNumber, err := fieldNumber(value)
		if err != nil {
			return nil, err
		}
		if !isNumber {
			continue
		}
		s := sample{names: names, reading: unescape(key), number: number, atMs: at, timed: timed, extra: true}
		if s.reading == "value" {
			s.reading, s.extra = "", false
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// names returns by what a line calls its sensor, the likeliest first.
func names(head string) ([]string, error) {
	measurement, tags, more := cut(head, ',', false)
	if measurement == "" {
		return nil, faultLine
	}
	found := make([]string, len(nameTags)+1)
	found[len(nameTags)] = unescape(measurement)
	for more {
		var tag string
		tag, tags, more = cut(tags, ',', false)
		key, value, ok := cut(tag, '=', false)
		if !ok || key == "" || value == "" {
			return nil, faultLine
		}
		for i, name := range nameTags {
			if unescape(key) == name {
				found[i] = unescape(value)
			}
		}
	}
	var out []string
	for _, name := range found {
		if name != "" {
			out = append(out, name)
		}
	}
	return out, nil
}

// fieldNumber returns the decimal of a field: a float, an integer with i or u behind it, or a truth; false for a text.
func fieldNumber(value string) (number string, ok bool, err error) {
	switch value {
	case "t", "T", "true", "True", "TRUE":
		return "1", true, nil
	case "f", "F", "false", "False", "FALSE":
		return "0", true, nil
	}
	last := value[len(value)-1]
	switch {
	case value[0] == '"':
		if len(value) < 2 || last != '"' {
			return "", false, faultLine
		}
		return "", false, nil
	case last == 'i' || last == 'u':
		return value[:len(value)-1], true, nil
	}
	return value, true, nil
}

// cut splits a text at the first separator that no backslash precedes and, where texts may be quoted, that stands in no quotes.
func cut(text string, separator byte, quoted bool) (before, after string, found bool) {
	inside := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"' && quoted:
			inside = !inside
		case c == separator && !inside:
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

// unescape takes the backslashes off before what they protect.
func unescape(text string) string {
	if !strings.Contains(text, "\\") {
		return text
	}
	return strings.NewReplacer("\\,", ",", "\\ ", " ", "\\=", "=", "\\\\", "\\").Replace(text)
}
