package survey

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
)

// packedState is a state that can be written and read.
type packedState interface {
	encoding.BinaryMarshaler
	encoding.BinaryUnmarshaler
}

// blank returns an empty state of each kind, by name.
func blank() map[string]packedState {
	return map[string]packedState{"moments": &Moments{}, "tails": &Tails{}, "cluster": &Cluster{}, "running": &Running{}}
}

// The bytes of version 1 are frozen: what was written once is read for ever, and written alike.
func TestStatesKeepTheirBytes(t *testing.T) {
	want := map[string]packedState{
		"moments": &Moments{Count: 300, Mean: 21.5, M2: 17.25, Noise: 1200},
		"tails":   &Tails{M3: -3.5, M4: 80},
		"cluster": &Cluster{Size: 12, Responses: 9, Domain: Moments{Count: 2, Mean: -1, M2: 0.5, Noise: 3}},
		"running": &Running{Windows: 128, Mean: 24.58, Variance: 2.5},
	}
	frozen := golden(t)
	if len(frozen) != len(want) {
		t.Fatalf("%d states are frozen, not %d", len(frozen), len(want))
	}
	read := blank()
	for name, data := range frozen {
		wrote, err := want[name].MarshalBinary()
		if err != nil || !bytes.Equal(wrote, data) {
			t.Errorf("%s is written as %x, %v", name, wrote, err)
		}
		if err := read[name].UnmarshalBinary(data); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if again, _ := read[name].MarshalBinary(); !bytes.Equal(again, data) {
			t.Errorf("%s comes back as %x", name, again)
		}
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

// What can't be is refused, with the field or the law in the error; the receiver stays.
func TestStatesRefuse(t *testing.T) {
	moments := golden(t)["moments"]
	edit := func(at int, with ...byte) []byte {
		out := bytes.Clone(moments)
		copy(out[at:], with)
		return out
	}
	nan := []byte{0, 0, 0, 0, 0, 0, 0xf8, 0x7f}
	for what, data := range map[string][]byte{
		"no such header": {}, "tails": golden(t)["tails"], "version 2": edit(3, 2), "count: the bytes end": moments[:4],
		"mean: the bytes end": moments[:10], "mean: not a finite number": edit(6, nan...), "M2: negative": edit(21, 0xc0),
		"1 bytes too many": append(bytes.Clone(moments), 0), "count: not in its shortest form": edit(4, 0x80, 0),
		"sums of no scores":   append(append(bytes.Clone(moments[:4]), 0), moments[6:]...),
		"one score":           append(append(bytes.Clone(moments[:4]), 1), moments[6:]...),
		"count: out of range": append(append(bytes.Clone(moments[:4]), bytes.Repeat([]byte{0xff}, 9)...), 1),
	} {
		m := Moments{Count: 7}
		err := m.UnmarshalBinary(data)
		if CodeOf(err) != Invalid || !strings.Contains(err.Error(), what) || m.Count != 7 {
			t.Errorf("%s: %v, %v", what, err, m)
		}
	}
	c := Cluster{Size: 1, Responses: 2}
	if _, err := c.MarshalBinary(); CodeOf(err) != Invalid {
		t.Errorf("more reports than devices are written: %v", err)
	}
	for _, bad := range []encoding.BinaryMarshaler{
		Moments{Count: -1}, Moments{M2: 1}, Moments{Count: 2, Mean: math.NaN()}, Tails{M4: -1}, Running{Mean: 1}, Running{Windows: 1, Variance: -1},
	} {
		if _, err := bad.MarshalBinary(); CodeOf(err) != Invalid {
			t.Errorf("%v is written: %v", bad, err)
		}
	}
}

// piece is a part of a stream of scores on its way up a tree of merges.
type piece struct {
	cluster Cluster
	tails   Tails
	running Running
}

func (p *piece) add(score, noise float64) {
	p.tails.Add(p.cluster.Domain, score)
	p.cluster.Domain.Add(score, noise)
	p.cluster.Responses++
	p.running.Add(score, noise)
}

// merge takes another piece in. Bytes on the way change nothing, not even the last digit.
func (p *piece) merge(t *rapid.T, o piece, sent bool) {
	if sent {
		o.cluster.Size = o.cluster.Responses
		o.cluster = sendOver(t, &o.cluster)
		o.cluster.Size = 0
		o.tails, o.running = sendOver(t, &o.tails), sendOver(t, &o.running)
	}
	p.tails.Merge(p.cluster.Domain, o.tails, o.cluster.Domain)
	p.cluster.Merge(o.cluster)
	p.running.Merge(o.running)
}

// sendOver writes a state and reads it.
func sendOver[S comparable, P interface {
	*S
	packedState
}](t *rapid.T, s P) S {
	data, err := s.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	var back S
	if err := P(&back).UnmarshalBinary(data); err != nil || back != *s {
		t.Fatalf("%v came back as %v: %v", *s, back, err)
	}
	return back
}

// Scores in any order, in any number of parts, merged in any order and grouping, with bytes on the way or not, give one
// state to 1e-12. Sums of powers of deviations are compared beside what the same sums about 0 would be, times a thousandth:
// where the spread is a smaller part of the scores, their own last digits say no more.
func TestStatesMergeExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		scores := rapid.SliceOfN(rapid.Float64Range(-1e3, 1e3), 1, 200).Draw(t, "scores")
		var whole piece
		var second, third, fourth float64
		for i, y := range scores {
			whole.add(y, float64(i%3))
			second, third, fourth = second+y*y, third+math.Abs(y*y*y), fourth+y*y*y*y
		}
		order := rapid.Permutation(scoresWithNoise(scores)).Draw(t, "order")
		parts := make([]piece, rapid.IntRange(1, 12).Draw(t, "parts"))
		for _, s := range order {
			parts[rapid.IntRange(0, len(parts)-1).Draw(t, "part")].add(s[0], s[1])
		}
		for len(parts) > 1 {
			i := rapid.IntRange(0, len(parts)-2).Draw(t, "pair")
			parts[i].merge(t, parts[i+1], rapid.Bool().Draw(t, "sent"))
			parts = append(parts[:i+1], parts[i+2:]...)
		}
		got, want := parts[0], whole
		if got.cluster.Responses != want.cluster.Responses || got.cluster.Domain.Count != want.cluster.Domain.Count ||
			got.running.Windows != want.running.Windows {
			t.Fatalf("counts: %v, want %v", got, want)
		}
		const exact = 1e-12
		root := math.Sqrt(second / float64(len(scores)))
		for _, c := range []struct {
			what             string
			got, want, scale float64
		}{
			{"mean", got.cluster.Domain.Mean, want.cluster.Domain.Mean, root},
			{"M2", got.cluster.Domain.M2, want.cluster.Domain.M2, second / 1000},
			{"noise", got.cluster.Domain.Noise, want.cluster.Domain.Noise, 0},
			{"M3", got.tails.M3, want.tails.M3, max(third/1000, root*want.cluster.Domain.M2)},
			{"M4", got.tails.M4, want.tails.M4, fourth / 1000},
			{"running mean", got.running.Mean, want.running.Mean, root},
			{"running variance", got.running.Variance, want.running.Variance, 0},
		} {
			if !near(c.got, c.want, exact, c.scale) {
				t.Fatalf("%s: %.17g, want %.17g", c.what, c.got, c.want)
			}
		}
	})
}

func scoresWithNoise(scores []float64) [][2]float64 {
	out := make([][2]float64, len(scores))
	for i, y := range scores {
		out[i] = [2]float64{y, float64(i % 3)}
	}
	return out
}

// Any bytes are refused or read; what is read is written again byte for byte.
func FuzzStates(f *testing.F) {
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
		}
	})
}
