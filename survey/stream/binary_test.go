package stream

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quadrat-dev/quadrat/survey"
)

// kept is a sample behind one face: what tests of bytes need of each kind.
type kept struct {
	name  string
	add   func(item string, weight float64)
	merge func(kept) error
	bytes func() []byte
	self  any
}

func text(item string) []byte { return []byte(item) }

func item(data []byte) (string, error) { return string(data), nil }

func faceOf(name string, sample any) kept {
	k := kept{name: name, self: sample}
	switch s := sample.(type) {
	case *Reservoir[string]:
		k.add = func(item string, _ float64) { s.Add(item) }
		k.merge = func(o kept) error { return s.Merge(o.self.(*Reservoir[string])) }
		k.bytes = func() []byte { return s.Append(nil, text) }
	case *Priority[string]:
		k.add = func(item string, w float64) { _ = s.Add(item, w) }
		k.merge = func(o kept) error { return s.Merge(o.self.(*Priority[string])) }
		k.bytes = func() []byte { return s.Append(nil, text) }
	case *VarOpt[string]:
		k.add = func(item string, w float64) { _ = s.Add(item, w) }
		k.merge = func(o kept) error { return s.Merge(o.self.(*VarOpt[string])) }
		k.bytes = func() []byte { return s.Append(nil, text) }
	case *Successive[string]:
		k.add = func(item string, w float64) { _ = s.Add(item, w) }
		k.merge = func(o kept) error { return s.Merge(o.self.(*Successive[string])) }
		k.bytes = func() []byte { return s.Append(nil, text) }
	}
	return k
}

var kinds = []string{"reservoir", "priority", "varopt", "successive"}

// empty returns a new sample of at most so many items.
func empty(name string, src rand.Source, size int) kept {
	var sample any
	switch name {
	case "reservoir":
		sample, _ = NewReservoir[string](src, size)
	case "priority":
		sample, _ = NewPriority[string](src, size)
	case "varopt":
		sample, _ = NewVarOpt[string](src, size)
	case "successive":
		sample, _ = NewSuccessive[string](src, size)
	}
	return faceOf(name, sample)
}

// readAs reads a sample.
func readAs(name string, src rand.Source, data []byte) (kept, error) {
	var sample any
	var err error
	switch name {
	case "reservoir":
		sample, err = ReadReservoir(src, data, item)
	case "priority":
		sample, err = ReadPriority(src, data, item)
	case "varopt":
		sample, err = ReadVarOpt(src, data, item)
	case "successive":
		sample, err = ReadSuccessive(src, data, item)
	}
	return faceOf(name, sample), err
}

// golden reads the frozen bytes: a name and hexadecimal digits on each line.
func golden(t testing.TB) map[string][]byte {
	t.Helper()
	lines, err := os.ReadFile(filepath.Join("testdata", "states.hex"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for line := range strings.Lines(string(lines)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if out[name], err = hex.DecodeString(digits); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// The bytes of version 1 are frozen, item by item.
func TestSamplesKeepTheirBytes(t *testing.T) {
	want := map[string]string{
		"reservoir": "[gate meter] 900 0.0022", "priority": "[{camera 10 10} { 3 4.5}] 4.5",
		"varopt": "[{camera 10 10} {gate 2 6} {meter 1 6}] 6", "successive": "[camera gate]",
	}
	for _, name := range kinds {
		k, err := readAs(name, rand.NewPCG(1, 1), golden(t)[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again := k.bytes(); !bytes.Equal(again, golden(t)[name]) {
			t.Errorf("%s comes back as %x", name, again)
		}
		got := ""
		switch s := k.self.(type) {
		case *Reservoir[string]:
			got = fmt.Sprintf("%v %d %.4f", s.Items(), s.Seen(), s.Pi())
		case *Priority[string]:
			got = fmt.Sprint(s.Sample(), s.Threshold())
		case *VarOpt[string]:
			got = fmt.Sprint(s.Sample(), s.Threshold())
		case *Successive[string]:
			got = fmt.Sprint(s.Items())
		}
		if got != want[name] {
			t.Errorf("%s holds %s, want %s", name, got, want[name])
		}
	}
}

// What can't be is refused, in words.
func TestSamplesRefuse(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func([]byte) []byte
		want string
	}{
		{"reservoir", func(b []byte) []byte { b[4] = 0; return b }, "a sample of 0 items"},
		{"reservoir", func(b []byte) []byte { b[4] = 3; return b }, "2 items of 900 in a sample of 3"},
		{"reservoir", func(b []byte) []byte { return b[:len(b)-1] }, "5 items in 4 bytes"},
		{"priority", func(b []byte) []byte { b[4] = 1; return b }, "3 items in a sample of 1"},
		{"priority", func(b []byte) []byte { copy(b[6:], make([]byte, 8)); return b }, "weight: too small"},
		{"priority", func(b []byte) []byte { b[21] = 0x40; b[20] = 0x30; return b }, "out of order"},
		{"priority", func(b []byte) []byte { copy(b[14:], make([]byte, 8)); return b }, "a priority below its weight"},
		{"varopt", func(b []byte) []byte { b[4] = 9; return b }, "so few items"},
		{"varopt", func(b []byte) []byte { copy(b[5:], make([]byte, 8)); return b }, "without a threshold"},
		{"varopt", func(b []byte) []byte { b[12] = 0x41; return b }, "stands for less"},
		{"successive", func(b []byte) []byte { b[29] = 0x40; return b }, "a key above 0"},
		{"successive", func(b []byte) []byte { b[4] = 7; return b }, "a jump before"},
		{"successive", func(b []byte) []byte { b[2] = 10; return b }, "those of reservoir"},
	} {
		_, err := readAs(c.name, rand.NewPCG(1, 1), c.edit(golden(t)[c.name]))
		if survey.CodeOf(err) != survey.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	bad := func([]byte) (string, error) { return "", errors.New("no") }
	if _, err := ReadPriority(rand.NewPCG(1, 1), golden(t)["priority"], bad); survey.CodeOf(err) != survey.Invalid {
		t.Errorf("an item that can't be read: %v", err)
	}
	if _, err := ReadPriority(nil, golden(t)["priority"], item); survey.CodeOf(err) != survey.Invalid {
		t.Errorf("no source: %v", err)
	}
}

// A sample that is written and read goes on and merges as the one that stayed, given the same random numbers.
func TestSamplesGoOn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(0.01, 100), 0, 60).Draw(t, "weights")
		others := rapid.SliceOfN(rapid.Float64Range(0.01, 100), 0, 30).Draw(t, "others")
		at, size := rapid.IntRange(0, len(weights)).Draw(t, "at"), rapid.IntRange(1, 12).Draw(t, "size")
		for _, name := range kinds {
			source := rand.NewPCG(3, 4)
			stays := empty(name, source, size)
			for i, w := range weights[:at] {
				stays.add(fmt.Sprint("a", i), w)
			}
			same := *source
			goes, err := readAs(name, &same, stays.bytes())
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			other := empty(name, rand.NewPCG(5, 6), size)
			for i, w := range others {
				other.add(fmt.Sprint("b", i), w)
			}
			for _, k := range []kept{stays, goes} {
				for i, w := range weights[at:] {
					k.add(fmt.Sprint("c", i), w)
				}
				if err := k.merge(other); err != nil {
					t.Fatal(err)
				}
			}
			if !bytes.Equal(stays.bytes(), goes.bytes()) {
				t.Fatalf("%s: %x and %x", name, stays.bytes(), goes.bytes())
			}
		}
	})
}

// Priority samples merge exactly: items in any order, parts and grouping give one sample, one threshold and one sum, as
// long as an item keeps its random number. A reservoir counts exactly, and a VarOpt sample keeps the total to 1e-12.
func TestSamplesMergeExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.Float64Range(0.01, 100), 1, 60).Draw(t, "weights")
		size, count := rapid.IntRange(1, 12).Draw(t, "size"), rapid.IntRange(1, 6).Draw(t, "parts")
		whole, _ := NewPriority[string](rand.NewPCG(1, 2), size)
		var entries []entry[string]
		total := 0.0
		for i, w := range weights {
			e := entry[string]{item: fmt.Sprint(i), weight: w, key: w / whole.open()}
			whole.keep(e)
			entries, total = append(entries, e), total+w
		}
		parts := map[string][]kept{}
		for _, name := range kinds {
			for i := range count {
				parts[name] = append(parts[name], empty(name, rand.NewPCG(9, uint64(i)), size))
			}
		}
		for _, e := range rapid.Permutation(entries).Draw(t, "order") {
			i := rapid.IntRange(0, count-1).Draw(t, "part")
			parts["priority"][i].self.(*Priority[string]).keep(e)
			parts["varopt"][i].add(e.item, e.weight)
			parts["reservoir"][i].add(e.item, e.weight)
		}
		for range count - 1 {
			i := rapid.IntRange(0, len(parts["priority"])-2).Draw(t, "pair")
			for name, list := range parts {
				other, err := readAs(name, rand.NewPCG(8, 8), list[i+1].bytes())
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				if err := list[i].merge(other); err != nil {
					t.Fatal(err)
				}
				parts[name] = slices.Delete(list, i+1, i+2)
			}
		}
		merged := parts["priority"][0].self.(*Priority[string])
		if !slices.Equal(merged.Sample(), whole.Sample()) || merged.Threshold() != whole.Threshold() {
			t.Fatalf("%v, want %v", merged.Sample(), whole.Sample())
		}
		if seen := parts["reservoir"][0].self.(*Reservoir[string]).Seen(); seen != int64(len(weights)) {
			t.Fatalf("%d items seen of %d", seen, len(weights))
		}
		if sum, _ := parts["varopt"][0].self.(*VarOpt[string]).Sum(nil); math.Abs(sum-total) > 1e-12*total {
			t.Fatalf("the total is %.17g, not %.17g", sum, total)
		}
	})
}

// Any bytes are refused or read; what is read is written again byte for byte, and takes items.
func FuzzSamples(f *testing.F) {
	for _, data := range golden(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, name := range kinds {
			k, err := readAs(name, rand.NewPCG(1, 2), data)
			if err != nil {
				continue
			}
			if again := k.bytes(); !bytes.Equal(again, data) {
				t.Errorf("%s: %x came back as %x", name, data, again)
			}
			k.add("more", 2)
		}
	})
}
