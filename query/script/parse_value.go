package script

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// number reads a decimal with an optional sign, or a parameter.
func (p *parser) number(what string) (*Number, *Error) {
	t := p.peek()
	pos := t.pos
	if t.kind == parameter {
		p.at++
		return &Number{Pos: pos, Param: t.text}, nil
	}
	sign := ""
	if t.kind == symbol && (t.text == "-" || t.text == "+") {
		sign = t.text
		p.at++
		t = p.peek()
	}
	if t.kind != number {
		hint := ""
		switch {
		case t.kind == span:
			hint = "write the number without " + strings.TrimLeft(t.text, "0123456789.")
		case t.kind == literal:
			hint = "write the number without quotes"
		case sign != "" && t.kind == parameter:
			hint = "give the parameter itself the sign"
		}
		return nil, p.expected(what, hint)
	}
	value, err := strconv.ParseFloat(sign+t.text, 64)
	if err != nil || math.Abs(value) > numberMost {
		return nil, errorAt(pos, "numbers reach to 9e12", "%s is too large", sign+t.text)
	}
	p.at++
	return &Number{Pos: pos, Value: value + 0, Bound: true}, nil
}

// numberMost is what still fits in millionths with 64 bits.
const numberMost = 9e12

// units of durations, largest first.
func units() []struct {
	name string
	span time.Duration
} {
	return []struct {
		name string
		span time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}
}

const durationHint = "write a whole number with ms, s, m, h or d right behind it, e.g. 30s, 5m, 1h or 1d"

// duration reads 30s, 5m, 1h, 1d or 500ms.
func (p *parser) duration(what string) (Duration, *Error) {
	t := p.peek()
	if t.kind == number {
		hint := durationHint
		if next := p.after(); next.kind == word && unitOf(next.text) > 0 {
			hint = "write " + t.text + strings.ToLower(next.text) + ", without a space"
		}
		return Duration{}, errorAt(t.pos, hint, "expected %s, found %s without a unit", what, t.text)
	}
	if t.kind != span {
		return Duration{}, p.expected(what, durationHint)
	}
	if unit := strings.TrimLeft(t.text, "0123456789."); strings.ContainsAny(unit, "0123456789") {
		return Duration{}, p.expected(what, "write one number and one unit, e.g. 90m for 1h30m")
	}
	figures := digits(t.text)
	unit := unitOf(t.text[figures:])
	if unit == 0 {
		return Duration{}, p.expected(what, unitHint(t.text))
	}
	n, err := strconv.ParseInt(t.text[:figures], 10, 64)
	if err != nil || n > int64(durationMost/unit) {
		return Duration{}, errorAt(t.pos, "", "%s is longer than ten years", t.text)
	}
	if n == 0 {
		return Duration{}, errorAt(t.pos, durationHint, "a duration must be longer than nothing")
	}
	p.at++
	return Duration{Pos: t.pos, Value: time.Duration(n) * unit}, nil
}

const durationMost = 3660 * 24 * time.Hour

func unitOf(text string) time.Duration {
	for _, u := range units() {
		if strings.EqualFold(u.name, text) {
			return u.span
		}
	}
	return 0
}

func unitHint(text string) string {
	unit := strings.ToLower(strings.TrimLeft(text, "0123456789."))
	switch {
	case strings.Contains(text, ".") && unitOf(unit) > 0:
		return "write it as a whole number of a smaller unit, e.g. 90m for 1.5h"
	case strings.HasPrefix(unit, "min"):
		return "m stands for minutes"
	case strings.HasPrefix(unit, "sec"):
		return "s stands for seconds"
	case strings.HasPrefix(unit, "ho"), strings.HasPrefix(unit, "hr"):
		return "h stands for hours"
	case strings.HasPrefix(unit, "day"):
		return "d stands for days"
	case strings.HasPrefix(unit, "w"):
		return "write 7d for a week"
	}
	return durationHint
}
