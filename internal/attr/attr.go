// Package attr decides conditions on the public attributes of a device, on the server and on the device alike. It holds
// no readings, imports nothing but the field codec of protobuf, and follows SQL's three truth values: a comparison with
// a missing attribute is neither true nor false, and a device is in the frame only where the condition is true.
//
//	p := attr.Predicate{Op: "=", Attribute: "region", Values: []attr.Literal{{Text: "asia"}}}
//	p.Match(map[string]string{"region": "asia"}) // true
package attr

import (
	"strconv"
	"strings"
)

// Missing is how a missing attribute is written in the names of strata and in cells.
const Missing = "(missing)"

// Literal is a constant of a condition.
type Literal struct {
	Text   string // as it is compared
	Number bool   // written as a number, so that it compares with values that are numbers
}

// Predicate is a condition. Op is one of and, or, not, =, <>, <, <=, >, >=, in, like, null; Args are the operands of the
// first three, Attribute and Values those of the rest. A Predicate is not changed once built and may be shared.
type Predicate struct {
	Op        string
	Args      []*Predicate
	Attribute string
	Values    []Literal
}

// truth is one of SQL's three truth values.
type truth int8

const (
	isFalse truth = iota
	isUnknown
	isTrue
)

// Match tells whether the condition is true for these attributes. A nil condition is true.
func (p *Predicate) Match(attributes map[string]string) bool {
	return p == nil || p.eval(attributes) == isTrue
}

func (p *Predicate) eval(attributes map[string]string) truth {
	switch p.Op {
	case "and":
		out := isTrue
		for _, a := range p.Args {
			out = min(out, a.eval(attributes))
		}
		return out
	case "or":
		out := isFalse
		for _, a := range p.Args {
			out = max(out, a.eval(attributes))
		}
		return out
	case "not":
		return isTrue - p.Args[0].eval(attributes)
	}
	value, ok := attributes[p.Attribute]
	ok = ok && value != ""
	if p.Op == "null" {
		return of(!ok)
	}
	if !ok {
		return isUnknown
	}
	if p.Op == "in" {
		out := isFalse
		for _, v := range p.Values {
			out = max(out, compare(value, v, "="))
		}
		return out
	}
	return compare(value, p.Values[0], p.Op)
}

func of(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// compare sets a value against a literal: as numbers when the literal is one, unknown when the value then is not.
func compare(value string, with Literal, op string) truth {
	if op == "like" {
		return of(like(value, with.Text))
	}
	order := strings.Compare(value, with.Text)
	if with.Number {
		a, errA := strconv.ParseFloat(value, 64)
		b, errB := strconv.ParseFloat(with.Text, 64)
		if errA != nil || errB != nil {
			return isUnknown
		}
		order = 0
		if a < b {
			order = -1
		} else if a > b {
			order = 1
		}
	}
	switch op {
	case "=":
		return of(order == 0)
	case "<>":
		return of(order != 0)
	case "<":
		return of(order < 0)
	case "<=":
		return of(order <= 0)
	case ">":
		return of(order > 0)
	case ">=":
		return of(order >= 0)
	}
	return isUnknown
}

// like matches SQL's LIKE: % stands for any run of characters, _ for one.
func like(text, pattern string) bool {
	t, p := []rune(text), []rune(pattern)
	i, j, star, mark := 0, 0, -1, 0
	for i < len(t) {
		switch {
		case j < len(p) && p[j] == '%':
			star, mark = j, i
			j++
		case j < len(p) && (p[j] == '_' || p[j] == t[i]):
			i++
			j++
		case star >= 0:
			mark++
			i, j = mark, star+1
		default:
			return false
		}
	}
	for j < len(p) && p[j] == '%' {
		j++
	}
	return j == len(p)
}
