package tabular_test

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/quadrat-dev/quadrat/internal/tabular"
)

// turn is a row of a file that is sorted by window and then by random.
type turn struct {
	Window int64    `parquet:"window,dict"`
	Random float64  `parquet:"random,split"`
	Name   string   `parquet:"name,dict"`
	Score  *float64 `parquet:"score,optional"`
}

// turns is some windows of random length; nulls are rare enough that some pages have none.
func turns(rng *rand.Rand, sorted bool) []turn {
	var out []turn
	for window := range int64(40) {
		from := len(out)
		for range rng.IntN(3000) {
			x := turn{Window: window, Random: rng.Float64(), Name: string(rune('a' + rng.IntN(5)))}
			if score := rng.NormFloat64(); rng.IntN(2000) > 0 {
				x.Score = &score
			}
			out = append(out, x)
		}
		if sorted {
			slices.SortFunc(out[from:], func(a, b turn) int {
				if a.Random < b.Random {
					return -1
				}
				return 1
			})
		}
	}
	return out
}

// cutTo gives the rows that a cut reads, and of them those that it wants.
func cutTo(t *testing.T, path string, between func(int64) (from, below float64)) (read int, wanted []turn) {
	t.Helper()
	files, err := tabular.OpenPaths([]string{path})
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	want := tabular.Want{Numbers: []string{"window", "random", "score"}, Labels: []string{"name"}}
	part := tabular.Part{Cut: &tabular.Cut{Group: "window", Order: "random", Between: between}}
	var mu sync.Mutex
	err = files.Blocks(want, part, 3, func() func(*tabular.Table) error {
		return func(b *tabular.Table) error {
			mu.Lock()
			defer mu.Unlock()
			read += b.Rows
			windows, randoms, scores, names := b.Number("window"), b.Number("random"), b.Number("score"), b.Label("name")
			for i := range b.Rows {
				if from, below := between(int64(windows[i])); randoms[i] >= from && randoms[i] < below {
					x := turn{Window: int64(windows[i]), Random: randoms[i], Name: names.Levels[names.Codes[i]]}
					if scores[i] == scores[i] {
						x.Score = &scores[i]
					}
					wanted = append(wanted, clone(x))
				}
			}
			return nil
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return read, wanted
}

func clone(x turn) turn {
	if x.Score != nil {
		score := *x.Score
		x.Score = &score
	}
	return x
}

func sameTurn(a, b turn) bool {
	same := a.Window == b.Window && a.Random == b.Random && a.Name == b.Name && (a.Score == nil) == (b.Score == nil)
	return same && (a.Score == nil || *a.Score == *b.Score)
}

// TestCutLeavesNothingOut holds what a cut reads against all rows, of sorted files and of others, at several sizes of pages and row groups.
func TestCutLeavesNothingOut(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 7))
	for _, sorted := range []bool{true, false} {
		for _, page := range []int{256, 4096, 1 << 20} {
			rows := turns(rng, sorted)
			path := filepath.Join(t.TempDir(), "turns.parquet")
			if err := parquet.WriteFile(path, rows, parquet.PageBufferSize(page), parquet.MaxRowsPerRowGroup(5000)); err != nil {
				t.Fatal(err)
			}
			from, below := map[int64]float64{}, map[int64]float64{}
			for window := range int64(40) {
				from[window], below[window] = rng.Float64()*0.5, rng.Float64()
			}
			var want []turn
			for _, x := range rows {
				if x.Random >= from[x.Window] && x.Random < below[x.Window] {
					want = append(want, x)
				}
			}
			read, got := cutTo(t, path, func(w int64) (float64, float64) { return from[w], below[w] })
			order := func(a, b turn) int {
				if a.Random < b.Random {
					return -1
				}
				return 1
			}
			slices.SortFunc(got, order)
			slices.SortFunc(want, order)
			if !slices.EqualFunc(got, want, sameTurn) {
				t.Errorf("sorted %v, pages of %d bytes: %d rows, want %d", sorted, page, len(got), len(want))
			}
			if sorted && page == 256 && float64(read) > 1.2*float64(len(want)) {
				t.Errorf("%d rows were read for %d", read, len(want))
			}
		}
	}
}
