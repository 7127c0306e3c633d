package script

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"
)

// The defaults of a script.
const (
	DefaultConfidence = 0.95
	DefaultEpsilon    = 1.0
	DefaultPeriod     = 24 * time.Hour
)

// DefaultGrace is the grace of a window that names none: a tenth of the window, at least one second and at most one
// minute, in whole milliseconds.
func DefaultGrace(window time.Duration) time.Duration {
	return min(max(window/10, time.Second), time.Minute).Truncate(time.Millisecond)
}

// Prepare parses, checks and binds a script: what a deployment needs before planning. Its error is an [*Error] or, for a
// part that the engine can't run yet, an [*UnsupportedError].
func Prepare(text string, params map[string]float64) (*Script, error) {
	s, err := Parse(text)
	if err != nil {
		return nil, err
	}
	if err := Check(s); err != nil {
		return nil, err
	}
	if s, err = s.Bind(params); err != nil {
		return nil, err
	}
	if err := Unsupported(s); err != nil {
		return nil, err
	}
	return s, nil
}

// Bind gives a copy in which every parameter has its value and every default stands: SAMPLE ALL ROTATING, confidence
// 0.95, GRACE [DefaultGrace], PRIVACY LOCAL EPSILON 1 PER 1d, half of epsilon for REPORT with PER VALUE, CLUSTERED BY gateway with PRIVACY GATEWAY, and a name made from the content. The copy is checked with
// the values in place. A parameter without a value, a value that is not finite and a value for a parameter that the
// script has not are an [*Error].
func (s *Script) Bind(params map[string]float64) (*Script, error) {
	known := map[string]bool{}
	for n := range s.numbers() {
		if n.Param == "" {
			continue
		}
		known[n.Param] = true
		value, ok := params[n.Param]
		if !ok {
			return nil, errorAt(n.Pos, fmt.Sprintf("give it when deploying, e.g. ?%s=400", n.Param),
				"the parameter $%s has no value", n.Param)
		}
		if math.IsNaN(value) || math.Abs(value) > numberMost {
			return nil, errorAt(n.Pos, "numbers reach to 9e12", "the value of $%s is no number that fits", n.Param)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(params)) {
		if !known[name] {
			list := slices.Sorted(maps.Keys(known))
			hint := "the script has no parameters"
			if len(list) > 0 {
				hint = didYouMean(name, "the script has $"+anyOf(list...), list...)
			}
			return nil, errorAt(Pos{1, 1}, hint, "the script has no parameter $%s", name)
		}
	}
	out := s.clone(params)
	if err := Check(out); err != nil {
		return nil, err
	}
	out.fill(s)
	return out, nil
}

// fill puts the defaults into a copy of the script that was written.
func (s *Script) fill(written *Script) {
	if s.Name.Text == "" {
		s.Name = Ident{Pos: Pos{1, 1}, Text: written.generatedName()}
	}
	at := s.Window.Pos
	if s.Sample == nil {
		s.Sample = &Sample{Pos: at, Size: All}
	}
	if s.Sample.Rotation == "" {
		s.Sample.Rotation = Rotating
	}
	if s.Sample.Confidence == nil {
		s.Sample.Confidence = &Number{Pos: s.Sample.Pos, Value: DefaultConfidence, Bound: true}
	}
	if len(s.Sample.Stratified) > 0 && s.Sample.Allocate == "" {
		s.Sample.Allocate = Proportional
	}
	if s.Window.Grace == nil {
		s.Window.Grace = &Duration{Pos: at, Value: DefaultGrace(s.Window.Pane())}
	}
	if s.Privacy == nil {
		s.Privacy = &Privacy{Pos: at, Model: Local, Epsilon: &Number{Pos: at, Value: DefaultEpsilon, Bound: true}}
	}
	if s.Privacy.Model == Gateway {
		s.Sample.Clustered = Ident{Pos: cmp.Or(s.Sample.Clustered.Pos, s.Privacy.Pos), Text: GatewayAttribute}
	}
	if s.Privacy.PerValue {
		s.Privacy.fillReport()
	} else if s.Privacy.Per == nil && s.Privacy.Model != None {
		s.Privacy.Per = &Duration{Pos: s.Privacy.Pos, Value: DefaultPeriod}
	}
}

// generatedName is "kappa_" and eight hexadecimal digits of a hash of the canonical text, so that the same question gets
// the same name.
func (s *Script) generatedName() string {
	sum := sha256.Sum256([]byte(s.String()))
	return "kappa_" + hex.EncodeToString(sum[:4])
}

// clone copies the tree and binds its parameters.
func (s *Script) clone(params map[string]float64) *Script {
	out := *s
	number := func(n *Number) *Number {
		if n == nil {
			return nil
		}
		c := *n
		if c.Param != "" {
			c.Value, c.Bound = params[c.Param]+0, true
		}
		return &c
	}
	out.Select = make([]*Statistic, len(s.Select))
	for i, stat := range s.Select {
		c := *stat
		c.Number = number(stat.Number)
		out.Select[i] = &c
	}
	out.Where = s.Where.clone(number)
	if s.Sample != nil {
		c := *s.Sample
		c.Number, c.Confidence, c.Exponent, c.Clusters =
			number(c.Number), number(c.Confidence), number(c.Exponent), number(c.Clusters)
		out.Sample = &c
	}
	if s.Privacy != nil {
		c := *s.Privacy
		c.Epsilon, c.Report, c.Lo, c.Hi = number(c.Epsilon), number(c.Report), number(c.Lo), number(c.Hi)
		out.Privacy = &c
	}
	return &out
}

func (p *Predicate) clone(number func(*Number) *Number) *Predicate {
	if p == nil {
		return nil
	}
	out := *p
	out.Args = make([]*Predicate, len(p.Args))
	for i, a := range p.Args {
		out.Args[i] = a.clone(number)
	}
	out.Values = slices.Clone(p.Values)
	for i := range out.Values {
		out.Values[i].Number = number(out.Values[i].Number)
	}
	return &out
}
