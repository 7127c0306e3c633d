package coordinate

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/survey"
)

// golden reads the frozen bytes.
func golden(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "states.hex"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := hex.DecodeString(strings.TrimPrefix(strings.TrimSpace(string(text)), "pairs "))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The bytes of version 1 are frozen.
func TestPairsKeepTheirBytes(t *testing.T) {
	want := Pairs{Count: 20, MeanFirst: 40, MeanSecond: 21.5, M2First: 8, M2Second: 9, Cross: -3}
	var got Pairs
	if err := got.UnmarshalBinary(golden(t)); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if data, err := want.MarshalBinary(); err != nil || !bytes.Equal(data, golden(t)) {
		t.Errorf("%x, %v", data, err)
	}
}

// What can't be is refused, in words, and the receiver stays.
func TestPairsRefuse(t *testing.T) {
	edit := func(at int, with byte) []byte {
		out := bytes.Clone(golden(t))
		out[at] = with
		return out
	}
	for what, data := range map[string][]byte{
		"no such header": nil, "version 9": edit(3, 9), "those of moments": edit(2, 1), "sums of no pairs": edit(4, 0), "one pair": edit(4, 1),
		"bytes end": golden(t)[:20], "too many": append(golden(t), 1), "first M2: negative": edit(28, 0xc0), "not a finite number": edit(44, 0x7f),
	} {
		if what == "not a finite number" {
			data[43] = 0xf8
		}
		p := Pairs{Count: 3}
		err := p.UnmarshalBinary(data)
		if survey.CodeOf(err) != survey.Invalid || !strings.Contains(err.Error(), what) || p.Count != 3 {
			t.Errorf("%s: %v", what, err)
		}
	}
	for _, bad := range []Pairs{{Count: -1}, {Cross: 1}, {Count: 1, M2First: 1}, {Count: 2, MeanFirst: math.Inf(1)}} {
		if _, err := bad.MarshalBinary(); survey.CodeOf(err) != survey.Invalid {
			t.Errorf("%+v is written: %v", bad, err)
		}
	}
}

// Pairs in any order, parts and grouping give one state to 1e-12, with bytes on the way or not. Where the spread is less than
// a thousandth of the scores, their own last digits say no more.
func TestPairsMergeExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.Float64Range(-1e3, 1e3)
		scores := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) [2]float64 {
			return [2]float64{number.Draw(t, "first"), number.Draw(t, "second")}
		}), 1, 150).Draw(t, "scores")
		var want Pairs
		var first, second float64
		for _, s := range scores {
			want.Add(s[0], s[1])
			first, second = first+s[0]*s[0], second+s[1]*s[1]
		}
		parts := make([]Pairs, rapid.IntRange(1, 10).Draw(t, "parts"))
		for _, s := range rapid.Permutation(scores).Draw(t, "order") {
			parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")].Add(s[0], s[1])
		}
		for len(parts) > 1 {
			i := rapid.IntRange(0, len(parts)-2).Draw(t, "pair")
			other := parts[i+1]
			if rapid.Bool().Draw(t, "sent") {
				data, err := other.MarshalBinary()
				if err != nil {
					t.Fatal(err)
				}
				var back Pairs
				if err := back.UnmarshalBinary(data); err != nil || back != other {
					t.Fatalf("%+v came back as %+v: %v", other, back, err)
				}
				other = back
			}
			parts[i].Merge(other)
			parts = append(parts[:i+1], parts[i+2:]...)
		}
		got, n := parts[0], float64(len(scores))
		both := math.Sqrt(first * second)
		for _, c := range []struct{ got, want, scale float64 }{
			{float64(got.Count), float64(want.Count), 0},
			{got.MeanFirst, want.MeanFirst, math.Sqrt(first / n)},
			{got.MeanSecond, want.MeanSecond, math.Sqrt(second / n)},
			{got.M2First, want.M2First, first / 1000},
			{got.M2Second, want.M2Second, second / 1000},
			{got.Cross, want.Cross, max(both/1000, math.Sqrt(want.M2First*want.M2Second))},
		} {
			if math.Abs(c.got-c.want) > 1e-12*max(math.Abs(c.want), c.scale) {
				t.Fatalf("%+v, want %+v", got, want)
			}
		}
	})
}

// Any bytes are refused or read; what is read is written again byte for byte.
func FuzzPairs(f *testing.F) {
	f.Add(golden(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p Pairs
		if p.UnmarshalBinary(data) != nil {
			return
		}
		if again, err := p.MarshalBinary(); err != nil || !bytes.Equal(again, data) {
			t.Errorf("%x came back as %x, %v", data, again, err)
		}
	})
}
