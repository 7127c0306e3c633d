package stream

import (
	"math/rand/v2"
	"slices"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quadrat-dev/quadrat/survey"
)

// falseAlarm is the probability with which a statistical test fails although all is well; seeds are fixed besides.
const falseAlarm = 1e-6

// even fails unless the counts are those of so many equally likely cells.
func even[K comparable](t *testing.T, what string, counts map[K]int, cells int) {
	t.Helper()
	total := 0
	for _, n := range counts {
		total += n
	}
	want := float64(total) / float64(cells)
	square := want * float64(cells-len(counts)) // cells that never came up
	for _, n := range counts {
		square += (float64(n) - want) * (float64(n) - want) / want
	}
	if bound := (distuv.ChiSquared{K: float64(cells - 1)}).Quantile(1 - falseAlarm); square > bound || len(counts) > cells {
		t.Errorf("%s: χ² = %g over %d cells, at most %g", what, square, cells, bound)
	}
}

func newReservoir(t *testing.T, src rand.Source, size int) *Reservoir[int] {
	t.Helper()
	r, err := NewReservoir[int](src, size)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// algorithmR is the plain reference: item n replaces one of the k with the probability k/n (Waterman; Vitter 1985).
func algorithmR(rng *rand.Rand, n, k int) []int {
	var kept []int
	for i := range n {
		if i < k {
			kept = append(kept, i)
		} else if j := rng.IntN(i + 1); j < k {
			kept[j] = i
		}
	}
	return kept
}

func set(items []int) [3]int {
	slices.Sort(items)
	return [3]int(items)
}

// Every set of three of nine items is equally likely, by jumps as by the plain algorithm.
func TestReservoirIsASimpleRandomSample(t *testing.T) {
	src := rand.NewPCG(1, 2)
	jumps, plain := map[[3]int]int{}, map[[3]int]int{}
	for range 60_000 {
		r := newReservoir(t, src, 3)
		for i := range 9 {
			r.Add(i)
		}
		if r.Pi() != 3./9 || r.Seen() != 9 {
			t.Fatal("π")
		}
		jumps[set(r.Items())]++
		plain[set(algorithmR(rand.New(src), 9, 3))]++
	}
	even(t, "jumps", jumps, 84)
	even(t, "plain", plain, 84)
}

// In a long stream every place is equally likely, first and last ones too.
func TestReservoirOfALongStream(t *testing.T) {
	const n, k = 20_000, 50
	src := rand.NewPCG(3, 4)
	parts := map[int]int{}
	for range 400 {
		r := newReservoir(t, src, k)
		for i := range n {
			r.Add(i)
		}
		for _, item := range r.Items() {
			parts[item*40/n]++
		}
	}
	even(t, "places", parts, 40)
}

// Merged reservoirs are samples of both streams: full with full, full with part, part with part, merged in a chain, and the
// streams may go on afterwards.
func TestMergedReservoirsAreSimpleRandomSamples(t *testing.T) {
	for _, c := range []struct {
		name    string
		lengths []int
		after   int
	}{
		{"full and full", []int{5, 4}, 0},
		{"full and part", []int{7, 2}, 0},
		{"part and full", []int{1, 8}, 0},
		{"part and part", []int{2, 2}, 5},
		{"just full", []int{2, 1}, 6},
		{"chain", []int{4, 2, 3}, 0},
		{"going on", []int{4, 3}, 2},
	} {
		src := rand.NewPCG(5, uint64(len(c.name)))
		sets := map[[3]int]int{}
		for range 40_000 {
			next := 0
			fill := func(r *Reservoir[int], n int) {
				for range n {
					r.Add(next)
					next++
				}
			}
			whole := newReservoir(t, src, 3)
			fill(whole, c.lengths[0])
			for _, n := range c.lengths[1:] {
				part := newReservoir(t, src, 3)
				fill(part, n)
				if err := whole.Merge(part); err != nil {
					t.Fatal(err)
				}
			}
			fill(whole, c.after)
			if whole.Seen() != 9 {
				t.Fatal(whole.Seen())
			}
			sets[set(whole.Items())]++
		}
		even(t, c.name, sets, 84)
	}
}

func TestReservoirSmallAndRefusals(t *testing.T) {
	src := rand.NewPCG(1, 1)
	r := newReservoir(t, src, 3)
	r.Add(7)
	if !slices.Equal(r.Items(), []int{7}) || r.Pi() != 1 {
		t.Error("a stream shorter than the sample")
	}
	for name, err := range map[string]error{
		"itself": r.Merge(r), "nothing": r.Merge(nil), "another size": r.Merge(newReservoir(t, src, 2)),
		"no size":   func() error { _, err := NewReservoir[int](src, 0); return err }(),
		"no source": func() error { _, err := NewVarOpt[int](nil, 1); return err }(),
	} {
		if survey.CodeOf(err) != survey.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}
