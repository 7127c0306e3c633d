package script_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/query/script"
)

// strip sets every position to zero, so that trees compare by what they mean.
func strip(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			strip(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			strip(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[script.Pos]() {
			v.SetZero()
			return
		}
		for _, field := range v.Fields() {
			strip(field)
		}
	}
}

func drawIdent(t *rapid.T) script.Ident {
	return script.Ident{Text: rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z_][a-z0-9_]{0,6}`),
		rapid.SampledFrom([]string{"window", "SELECT", "per", "power", "mean", "avg", "größe", "5x", `a"b`, "a b", "margin", "--"}),
	).Draw(t, "name")}
}

func drawNumber(t *rapid.T) *script.Number {
	if rapid.IntRange(0, 5).Draw(t, "parameter") == 0 {
		return &script.Number{Param: rapid.StringMatching(`[a-z][a-z0-9]{0,3}`).Draw(t, "param")}
	}
	return &script.Number{Value: rapid.Float64Range(-9e12, 9e12).Draw(t, "number") + 0, Bound: true}
}

func drawPredicate(t *rapid.T, depth int) *script.Predicate {
	ops := []string{"=", "<>", "<", "<=", ">", ">=", "in", "not in", "like", "not like", "null", "not null", "not", "and", "or"}
	if depth == 0 {
		ops = ops[:12]
	}
	p := &script.Predicate{Op: rapid.SampledFrom(ops).Draw(t, "op")}
	text := rapid.StringMatching(`[ -~äß']{0,5}`)
	switch p.Op {
	case "not":
		p.Args = []*script.Predicate{drawPredicate(t, depth-1)}
		return p
	case "and", "or":
		for range rapid.IntRange(2, 3).Draw(t, "args") {
			a := drawPredicate(t, depth-1)
			for a.Op == p.Op { // a parsed condition is flat: it holds none of its own kind
				a = a.Args[0]
			}
			p.Args = append(p.Args, a)
		}
		return p
	}
	p.Attribute = drawIdent(t)
	switch p.Op {
	case "null", "not null":
	case "like", "not like":
		p.Values = []script.Literal{{Text: text.Draw(t, "text")}}
	default:
		n := 1
		if strings.HasSuffix(p.Op, "in") {
			n = rapid.IntRange(1, 3).Draw(t, "values")
		}
		for range n {
			l := script.Literal{Text: text.Draw(t, "text")}
			if rapid.Bool().Draw(t, "numeric") {
				l = script.Literal{Number: drawNumber(t)}
			}
			p.Values = append(p.Values, l)
		}
	}
	return p
}

func drawDuration(t *rapid.T) script.Duration {
	return script.Duration{Value: time.Duration(rapid.Int64Range(1, 1e9).Draw(t, "ms")) * time.Millisecond}
}

func optional[T any](t *rapid.T, draw func(*rapid.T) T) *T {
	if rapid.Bool().Draw(t, "written") {
		v := draw(t)
		return &v
	}
	return nil
}

func drawStatistic(t *rapid.T) *script.Statistic {
	kind := rapid.SampledFrom([]string{
		"mean", "total", "ratio", "variance", "quantile", "median", "histogram", "frequency", "distribution", "proportion", "count",
	}).Draw(t, "kind")
	s := &script.Statistic{Kind: kind}
	n := 1
	if kind == "ratio" {
		n = 2
	}
	for range n {
		s.Args = append(s.Args, script.Argument{
			Summary: rapid.SampledFrom([]string{"", "avg", "last", "min", "max", "sum", "count"}).Draw(t, "summary"),
			Reading: drawIdent(t),
		})
	}
	switch kind {
	case "quantile", "histogram":
		s.Number = drawNumber(t)
	case "distribution":
		if rapid.Bool().Draw(t, "bins") {
			s.Number = drawNumber(t)
		}
	case "proportion", "count":
		s.Comparison = rapid.SampledFrom([]string{"=", "<>", "<", "<=", ">", ">="}).Draw(t, "comparison")
		s.Number = drawNumber(t)
	}
	if rapid.Bool().Draw(t, "as") {
		s.As = drawIdent(t)
	}
	return s
}

func drawSample(t *rapid.T) script.Sample {
	s := script.Sample{
		Size:     rapid.SampledFrom([]script.Size{script.All, script.Devices, script.Percent, script.Margin}).Draw(t, "size"),
		Rotation: rapid.SampledFrom([]script.Rotation{"", script.Rotating, script.Fixed}).Draw(t, "rotation"),
	}
	if s.Size != script.All {
		s.Number = drawNumber(t)
	}
	if s.Size == script.Margin {
		s.PerCell = rapid.Bool().Draw(t, "per cell")
		if rapid.Bool().Draw(t, "confidence") {
			s.Confidence = drawNumber(t)
		}
	}
	if rapid.Bool().Draw(t, "stratified") {
		s.Stratified = []script.Ident{drawIdent(t), drawIdent(t)}
		s.Allocate = rapid.SampledFrom([]script.Allocation{"", script.Equal, script.Power}).Draw(t, "allocate")
		if s.Allocate == script.Power {
			s.Exponent = drawNumber(t)
		}
	}
	if rapid.Bool().Draw(t, "clustered") {
		s.Clustered = drawIdent(t)
		if rapid.Bool().Draw(t, "clusters") {
			s.Clusters = &script.Number{Value: rapid.Float64Range(0, 9e12).Draw(t, "k"), Bound: true}
		}
	}
	return s
}

func drawPrivacy(t *rapid.T) script.Privacy {
	p := script.Privacy{Model: rapid.SampledFrom([]script.Model{script.None, script.Local, script.Gateway}).Draw(t, "model")}
	if p.Model != script.None {
		p.Epsilon = drawNumber(t)
		if p.PerValue = rapid.Bool().Draw(t, "per value"); !p.PerValue {
			p.Per = optional(t, drawDuration)
		} else if rapid.Bool().Draw(t, "report") {
			p.Report = drawNumber(t)
		}
	}
	if rapid.Bool().Draw(t, "bounds") {
		p.Lo, p.Hi = drawNumber(t), drawNumber(t)
	}
	return p
}

func drawScript(t *rapid.T) *script.Script {
	s := &script.Script{From: script.Capability{Parts: []string{drawIdent(t).Text, drawIdent(t).Text}}}
	if rapid.Bool().Draw(t, "named") {
		s.Name = drawIdent(t)
	}
	for range rapid.IntRange(1, 3).Draw(t, "statistics") {
		s.Select = append(s.Select, drawStatistic(t))
	}
	if rapid.Bool().Draw(t, "where") {
		s.Where = drawPredicate(t, 3)
	}
	for range rapid.IntRange(0, 2).Draw(t, "group") {
		s.GroupBy = append(s.GroupBy, drawIdent(t))
	}
	s.Sample = optional(t, drawSample)
	s.Window = script.Window{Length: drawDuration(t), Every: optional(t, drawDuration), Grace: optional(t, drawDuration)}
	s.Privacy = optional(t, drawPrivacy)
	return s
}

// TestPrintThenParse holds that printing loses nothing: a printed tree parses to an equal one.
func TestPrintThenParse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScript(t)
		text := s.String()
		back, err := script.Parse(text)
		if err != nil {
			t.Fatalf("%s\n%v", text, err)
		}
		strip(reflect.ValueOf(back))
		strip(reflect.ValueOf(s))
		if again := back.String(); again != text {
			t.Fatalf("printed\n%s\nthen\n%s", text, again)
		}
		if !reflect.DeepEqual(s, back) {
			t.Fatalf("another tree from\n%s", text)
		}
	})
}

// FuzzParse feeds any text: an error lies inside the text, a tree survives printing.
func FuzzParse(f *testing.F) {
	f.Add("KAPPA k AS SELECT mean(x) FROM a.b WHERE a = 'b' SAMPLE ALL WINDOW 5m PRIVACY LOCAL EPSILON 1 BETWEEN 0 AND 1")
	f.Add("SELECT proportion(avg(x) > $p) AS \"n\"\"\" FROM a WHERE NOT (a IN (1,'x') OR b IS NULL) WINDOW 5m EVERY 1m;")
	f.Add("SELECT ratio(a,b), quantile(x, .5) FROM a GROUP BY b SAMPLE MARGIN 1 PER CELL CONFIDENCE .9 WINDOW 1d -- x")
	f.Add("SELECT frequency(room) FROM sense.room WINDOW 5m PRIVACY LOCAL EPSILON 2 PER VALUE REPORT 1 BETWEEN 0 AND 7")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := script.Parse(text)
		if err != nil {
			var e *script.Error
			lines := strings.Split(text, "\n")
			if !errors.As(err, &e) || e.Line < 1 || e.Line > len(lines) || e.Column < 1 ||
				e.Column > utf8.RuneCountInString(lines[e.Line-1])+1 || e.Message == "" {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := script.Parse(s.String())
		if err != nil {
			t.Fatalf("%s\n%v", s, err)
		}
		if again.String() != s.String() {
			t.Fatalf("printed\n%s\nthen\n%s", s, again)
		}
		if bound, err := s.Bind(nil); err == nil {
			if again, err := script.Prepare(bound.String(), nil); err == nil && again.String() != bound.String() {
				t.Fatalf("bound\n%s\nthen\n%s", bound, again)
			}
		}
		_ = script.Unsupported(s)
	})
}
