package confseq

import (
	"bytes"
	"encoding"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/survey"
)

// sequence is a state that takes values, and can be written and read.
type sequence interface {
	Add(x float64) error
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// blank returns an empty receiver of each kind, by name.
func blank() map[string]sequence {
	return map[string]sequence{
		"asymptotic": &Asymptotic{}, "bernstein": &EmpiricalBernstein{}, "mixture": &PredictableMixture{}, "betting": &Betting{},
	}
}

// golden reads the frozen bytes: a name and hexadecimal digits on each line.
func golden(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "states.hex"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for line := range strings.Lines(string(text)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if out[name], err = hex.DecodeString(digits); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The bytes of version 1 are frozen, field by field.
func TestSequencesKeepTheirBytes(t *testing.T) {
	frozen, read := golden(t), blank()
	for name, s := range read {
		if err := s.UnmarshalBinary(frozen[name]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again, err := s.MarshalBinary(); err != nil || !bytes.Equal(again, frozen[name]) {
			t.Errorf("%s comes back as %x, %v", name, again, err)
		}
	}
	if a := read["asymptotic"].(*Asymptotic); *a != (Asymptotic{Count: 500, Mean: 20, M2: 250, TimeBest: 100}) {
		t.Errorf("%+v", *a)
	}
	if e := read["bernstein"].(*EmpiricalBernstein); e.support.High != 40 || e.varianceBest != 25 || e.count != 2 || e.sum != 1 || e.variance != 0.3125 {
		t.Errorf("%+v", *e)
	}
	if p := read["mixture"].(*PredictableMixture); p.count != 3 || p.squares != 0.25 || p.low != 0.125 || p.high != 0.875 ||
		p.centre != 0.75 || p.slope != 1.5 || p.spread != 0.5 {
		t.Errorf("%+v", *p)
	}
	b := read["betting"].(*Betting)
	if b.plan.Population != 200 || b.step != 0.1 || b.first != 2 || b.above[0] != -1 || b.below[2] != -0.25 || b.sum != 1.5 {
		t.Errorf("%+v", *b)
	}
}

// What can't be is refused, in words.
func TestSequencesRefuse(t *testing.T) {
	float := func(x float64) []byte {
		b := make([]byte, 8)
		for i := range b {
			b[i] = byte(math.Float64bits(x) >> (8 * i))
		}
		return b
	}
	for _, c := range []struct {
		name string
		at   int
		with []byte
		want string
	}{
		{"asymptotic", 3, []byte{2}, "version 2"},
		{"asymptotic", 22, float(0), "time to tune for"},
		{"asymptotic", 6, float(math.NaN()), "mean: not a finite number"},
		{"bernstein", 4, float(50), "low < high"},
		{"bernstein", 20, float(1), "confidence in (0, 1)"},
		{"bernstein", 37, float(2.5), "sums that so many values can't have"},
		{"bernstein", 28, float(-1), "negative"},
		{"mixture", 29, []byte{0}, "so many values"},
		{"mixture", 46, float(0.9), "interval that is none"},
		{"mixture", 70, float(0), "bets on no values"},
		{"betting", 28, []byte{0x81, 0}, "shortest form"},
		{"betting", 63, []byte{9}, "too few steps"},
		{"betting", 64, []byte{10}, "off the grid"},
		{"betting", 65, []byte{99}, "99 items"},
	} {
		data := bytes.Clone(golden(t)[c.name])
		copy(data[c.at:], c.with)
		err := blank()[c.name].UnmarshalBinary(data)
		if survey.CodeOf(err) != survey.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	for name, s := range blank() {
		if _, err := s.MarshalBinary(); survey.CodeOf(err) != survey.Invalid {
			t.Errorf("%s: a sequence that nobody made is written: %v", name, err)
		}
	}
}

// fresh returns a new sequence of each kind, for values in [-3, 5].
func fresh(t *rapid.T) map[string]sequence {
	plan := Plan{Range: Range{Low: -3, High: 5}, Confidence: 0.9, Population: int64(rapid.SampledFrom([]int{0, 200}).Draw(t, "population"))}
	a, err := NewAsymptotic(100)
	if err != nil {
		t.Fatal(err)
	}
	e, err := NewEmpiricalBernstein(plan.Range, plan.Confidence, 4)
	if err != nil {
		t.Fatal(err)
	}
	p, err := NewPredictableMixture(plan)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBetting(plan, 50)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]sequence{"asymptotic": &a, "bernstein": e, "mixture": p, "betting": b}
}

// A sequence that is written and read at any moment goes on as if nothing had happened, to the last bit.
func TestSequencesGoOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-3, 5), 0, 100).Draw(t, "values")
		at := rapid.IntRange(0, len(values)).Draw(t, "at")
		for name, s := range fresh(t) {
			other := s
			for i, x := range values {
				if i == at {
					other = again(t, name, s)
				}
				if err := s.Add(x); err != nil {
					t.Fatal(err)
				}
				if i >= at {
					if err := other.Add(x); err != nil {
						t.Fatal(err)
					}
				}
			}
			one, _ := s.MarshalBinary()
			two, err := other.MarshalBinary()
			if err != nil || !bytes.Equal(one, two) {
				t.Fatalf("%s: %x and %x, %v", name, one, two, err)
			}
		}
	})
}

// again writes a sequence and reads it.
func again(t *rapid.T, name string, s sequence) sequence {
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	back := blank()[name]
	if err := back.UnmarshalBinary(data); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return back
}

// The asymptotic sequence merges: order and grouping change nothing beyond 1e-12.
func TestAsymptoticMergesExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(-1e3, 1e3), 1, 150).Draw(t, "values")
		want := Asymptotic{TimeBest: 50}
		square := 0.0
		for _, x := range values {
			_ = want.Add(x)
			square += x * x
		}
		parts := make([]Asymptotic, rapid.IntRange(1, 10).Draw(t, "parts"))
		for i := range parts {
			parts[i].TimeBest = 50
		}
		for _, x := range rapid.Permutation(values).Draw(t, "order") {
			_ = parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")].Add(x)
		}
		for len(parts) > 1 {
			i := rapid.IntRange(0, len(parts)-2).Draw(t, "pair")
			parts[i].Merge(*again(t, "asymptotic", &parts[i+1]).(*Asymptotic))
			parts = append(parts[:i+1], parts[i+2:]...)
		}
		got := parts[0]
		const exact = 1e-12
		root := math.Sqrt(square / float64(len(values)))
		if got.Count != want.Count || math.Abs(got.Mean-want.Mean) > exact*root || math.Abs(got.M2-want.M2) > exact*max(want.M2, square/1000) {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}

// Any bytes are refused or read; what is read is written again byte for byte, and can take values.
func FuzzSequences(f *testing.F) {
	for _, data := range golden(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, s := range blank() {
			if s.UnmarshalBinary(data) != nil {
				continue
			}
			if again, err := s.MarshalBinary(); err != nil || !bytes.Equal(again, data) {
				t.Errorf("%s: %x came back as %x, %v", name, data, again, err)
			}
			_ = s.Add(0.5)
		}
	})
}
