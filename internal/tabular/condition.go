package tabular

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Condition is a predicate on rows: comparisons of a column with a number or a 'text', joined by and, or, not and
// parentheses: stype = 'H' and ell > 3, region in ('no1', 'no2'). = and ==, <> and !=, and and &, or and |, not and ! are the
// same. A column's name may stand in double quotes.
type Condition struct{ root node }

// Truth is what a condition says of a row. A comparison with a missing value is Unknown, as in SQL.
type Truth int8

// The truths.
const (
	False Truth = iota
	True
	Unknown
)

// node is a part of a condition.
type node interface {
	want(w *Want)
	prepare(t *Table) func(row int) Truth
}

// Parse reads a condition.
func Parse(text string) (Condition, error) {
	tokens, err := split(text)
	if err != nil {
		return Condition{}, err
	}
	p := &parser{tokens: tokens}
	root, err := p.or()
	if err == nil && p.at < len(p.tokens) {
		err = fmt.Errorf("condition: %q is too much", p.tokens[p.at].text)
	}
	return Condition{root: root}, err
}

// Want adds the columns that the condition needs.
func (c Condition) Want(w *Want) { c.root.want(w) }

// Eval evaluates it for every row of a table that was read with what Want added.
func (c Condition) Eval(t *Table) []Truth {
	eval, out := c.root.prepare(t), make([]Truth, t.Rows)
	for row := range out {
		out[row] = eval(row)
	}
	return out
}

// comparison is column operator value; in gives several texts.
type comparison struct {
	column, operator string
	texts            []string // of labels; nil for a number
	number           float64
}

func (c *comparison) want(w *Want) {
	if c.texts != nil {
		w.Labels = append(w.Labels, c.column)
	} else {
		w.Numbers = append(w.Numbers, c.column)
	}
}

func (c *comparison) prepare(t *Table) func(int) Truth {
	if c.texts == nil {
		values := t.Number(c.column)
		return func(row int) Truth {
			x := values[row]
			if math.IsNaN(x) {
				return Unknown
			}
			return compared(c.operator, x, c.number)
		}
	}
	labels := t.Label(c.column)
	truths := make([]Truth, len(labels.Levels))
	for code, level := range labels.Levels {
		for _, text := range c.texts {
			if compared(c.operator, level, text) == True {
				truths[code] = True
			}
		}
	}
	return func(row int) Truth {
		if code := labels.Codes[row]; code >= 0 {
			return truths[code]
		}
		return Unknown
	}
}

func compared[T string | float64](operator string, a, b T) Truth {
	ok := false
	switch operator {
	case "=":
		ok = a == b
	case "<>":
		ok = a != b
	case "<":
		ok = a < b
	case "<=":
		ok = a <= b
	case ">":
		ok = a > b
	case ">=":
		ok = a >= b
	}
	if ok {
		return True
	}
	return False
}

// joined is and (stop False) or or (stop True).
type joined struct {
	left, right node
	stop        Truth
}

func (j *joined) want(w *Want) {
	j.left.want(w)
	j.right.want(w)
}

func (j *joined) prepare(t *Table) func(int) Truth {
	left, right := j.left.prepare(t), j.right.prepare(t)
	return func(row int) Truth {
		a, b := left(row), right(row)
		switch {
		case a == j.stop || b == j.stop:
			return j.stop
		case a == Unknown || b == Unknown:
			return Unknown
		}
		return a
	}
}

type negated struct{ inner node }

func (n *negated) want(w *Want) { n.inner.want(w) }

func (n *negated) prepare(t *Table) func(int) Truth {
	inner := n.inner.prepare(t)
	return func(row int) Truth {
		switch inner(row) {
		case True:
			return False
		case False:
			return True
		default:
			return Unknown
		}
	}
}

// parser is recursive descent: or, and, not, comparison.
type parser struct {
	tokens []token
	at     int
	depth  int
}

// deepest bounds nesting.
const deepest = 100

func (p *parser) take(kinds ...string) bool {
	if p.at >= len(p.tokens) || p.tokens[p.at].quoted {
		return false
	}
	for _, kind := range kinds {
		if strings.EqualFold(p.tokens[p.at].text, kind) {
			p.at++
			return true
		}
	}
	return false
}

func (p *parser) or() (node, error)  { return p.chain(p.and, True, "or", "|", "||") }
func (p *parser) and() (node, error) { return p.chain(p.not, False, "and", "&", "&&") }

func (p *parser) chain(next func() (node, error), stop Truth, words ...string) (node, error) {
	left, err := next()
	for err == nil && p.take(words...) {
		var right node
		right, err = next()
		left = &joined{left: left, right: right, stop: stop}
	}
	return left, err
}

func (p *parser) not() (node, error) {
	if p.depth++; p.depth > deepest {
		return nil, errors.New("condition: nested too deeply")
	}
	defer func() { p.depth-- }()
	if p.take("not", "!") {
		inner, err := p.not()
		return &negated{inner: inner}, err
	}
	if !p.take("(") {
		return p.comparison()
	}
	inner, err := p.or()
	if err == nil && !p.take(")") {
		err = errors.New("condition: a parenthesis isn't closed")
	}
	return inner, err
}

func (p *parser) comparison() (node, error) {
	if p.at >= len(p.tokens) || !p.tokens[p.at].name {
		return nil, errors.New("condition: a column's name is missing")
	}
	c := &comparison{column: p.tokens[p.at].text}
	p.at++
	if p.take("in") {
		return p.list(c)
	}
	for operator, spellings := range map[string][]string{
		"=": {"=", "=="}, "<>": {"<>", "!="}, "<": {"<"}, "<=": {"<="}, ">": {">"}, ">=": {">="},
	} {
		if p.take(spellings...) {
			c.operator = operator
			return c, p.value(c)
		}
	}
	return nil, fmt.Errorf("condition: after %q want =, <>, <, <=, >, >= or in", c.column)
}

func (p *parser) value(c *comparison) error {
	if p.at >= len(p.tokens) {
		return fmt.Errorf("condition: after %s %s a value is missing", c.column, c.operator)
	}
	v := p.tokens[p.at]
	p.at++
	if v.quoted {
		c.texts = append(c.texts, v.text)
		return nil
	}
	x, ok := parseNumber(v.text)
	if _, err := strconv.Unquote(v.text); !ok || err == nil || v.text == "" {
		return fmt.Errorf("condition: want a number or a 'text' instead of %q", v.text)
	}
	c.number = x
	return nil
}

func (p *parser) list(c *comparison) (node, error) {
	c.operator = "="
	if !p.take("(") {
		return nil, errors.New("condition: want ( after in")
	}
	for {
		if p.at >= len(p.tokens) || !p.tokens[p.at].quoted {
			return nil, errors.New("condition: in takes a list of 'texts'")
		}
		if err := p.value(c); err != nil {
			return nil, err
		}
		if p.take(")") {
			return c, nil
		}
		if !p.take(",") {
			return nil, errors.New("condition: a parenthesis isn't closed")
		}
	}
}
