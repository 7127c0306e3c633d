package attr_test

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/internal/attr"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

func is(attribute, op string, values ...string) *attr.Predicate {
	p := &attr.Predicate{Op: op, Attribute: attribute}
	for _, v := range values {
		p.Values = append(p.Values, attr.Literal{Text: v})
	}
	return p
}

func number(attribute, op, value string) *attr.Predicate {
	return &attr.Predicate{Op: op, Attribute: attribute, Values: []attr.Literal{{Text: value, Number: true}}}
}

func join(op string, args ...*attr.Predicate) *attr.Predicate {
	return &attr.Predicate{Op: op, Args: args}
}

func TestMatchFollowsSQL(t *testing.T) {
	device := map[string]string{"region": "asia", "floor": "7", "city": "san ramon", "blank": ""}
	cases := []struct {
		name string
		p    *attr.Predicate
		want bool
	}{
		{"nil is true", nil, true},
		{"equal", is("region", "=", "asia"), true},
		{"not equal", is("region", "<>", "asia"), false},
		{"missing is not equal to anything", is("country", "=", "x"), false},
		{"missing is not unequal either", is("country", "<>", "x"), false},
		{"not of unknown is not true", join("not", is("country", "=", "x")), false},
		{"unknown or true", join("or", is("country", "=", "x"), is("region", "=", "asia")), true},
		{"unknown and false, negated", join("not", join("and", is("country", "=", "x"), is("region", "=", "europe"))), true},
		{"missing is null", is("country", "null"), true},
		{"blank is null", is("blank", "null"), true},
		{"present is not null", join("not", is("region", "null")), true},
		{"in", is("region", "in", "europe", "asia"), true},
		{"in, absent", is("region", "in", "europe"), false},
		{"numbers compare as numbers", number("floor", "<", "10"), true},
		{"text compares as text", is("floor", "<", "10"), false},
		{"a text that is no number", number("region", "<>", "10"), false},
		{"like %", is("city", "like", "san%"), true},
		{"like _", is("city", "like", "san_ramo_"), true},
		{"like, several", is("city", "like", "%a%m%"), true},
		{"like, whole text", is("city", "like", "san"), false},
	}
	for _, c := range cases {
		if got := c.p.Match(device); got != c.want {
			t.Errorf("%s: got %v", c.name, got)
		}
	}
}

func drawPredicate(t *rapid.T, depth int) *quadratv1.Predicate {
	name := rapid.StringMatching(`[a-z]{1,6}`)
	kinds := []string{"=", "<>", "<", "<=", ">", ">=", "like", "in", "null"}
	if depth < 3 {
		kinds = append(kinds, "and", "or", "not")
	}
	p := &quadratv1.Predicate{Op: rapid.SampledFrom(kinds).Draw(t, "op")}
	switch p.GetOp() {
	case "and", "or":
		for range rapid.IntRange(1, 3).Draw(t, "args") {
			p.Args = append(p.Args, drawPredicate(t, depth+1))
		}
		return p
	case "not":
		p.Args = []*quadratv1.Predicate{drawPredicate(t, depth+1)}
		return p
	}
	p.Attribute = name.Draw(t, "attribute")
	values := map[string]int{"null": 0, "in": rapid.IntRange(1, 4).Draw(t, "values")}
	count, ok := values[p.GetOp()]
	if !ok {
		count = 1
	}
	for range count {
		p.Values = append(p.Values, &quadratv1.Literal{Text: rapid.String().Draw(t, "text"), Number: rapid.Bool().Draw(t, "number")})
	}
	return p
}

// The generated code is the oracle of the codec, in both directions.
func TestCodecAgreesWithGeneratedCode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawPredicate(t, 0)
		b, err := proto.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		p, err := attr.Decode(b)
		if err != nil {
			t.Fatalf("decode: %v", err)
		}
		got := &quadratv1.Predicate{}
		if err := proto.Unmarshal(p.Append(nil), got); err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(want, got) {
			t.Fatalf("got %v, want %v", got, want)
		}
	})
}

// Whatever arrives, a decoded condition can be matched.
func FuzzDecode(f *testing.F) {
	f.Add(join("and", is("a", "=", "b"), join("not", is("c", "in", "d", "e"))).Append(nil))
	f.Add([]byte{0x12, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := attr.Decode(b)
		if err != nil {
			return
		}
		p.Match(map[string]string{"a": "b"})
		if again, err := attr.Decode(p.Append(nil)); err != nil || again == nil {
			t.Fatalf("what was decoded can't be encoded: %v", err)
		}
	})
}
