package tabular_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/tabular"
)

// content is what is in a table whatever the order of its rows: rows, the sum of each column of numbers without the
// missing ones, how many these are, and the rows of each label.
type content struct {
	rows   int
	sums   map[string]float64
	labels map[string]int
}

func newContent() *content { return &content{sums: map[string]float64{}, labels: map[string]int{}} }

func (c *content) add(t *tabular.Table) {
	c.rows += t.Rows
	for _, name := range everyColumn.Numbers {
		indices, entries := t.Coded(name)
		for k, x := range t.Number(name) {
			if indices != nil && entries[indices[k]] != x {
				c.sums["differs from its code"]++
			}
			if math.IsNaN(x) {
				c.sums[name+" missing"]++
			} else {
				c.sums[name] += math.Round(1e6 * x)
			}
		}
	}
	for _, name := range everyColumn.Labels {
		l := t.Label(name)
		for _, code := range l.Codes {
			if code < 0 {
				c.labels[name+" missing"]++
			} else {
				c.labels[name+" "+l.Levels[code]]++
			}
		}
	}
}

func (c *content) merge(o *content) {
	c.rows += o.rows
	for name, x := range o.sums {
		c.sums[name] += x
	}
	for name, n := range o.labels {
		c.labels[name] += n
	}
}

func (c *content) equals(o *content) bool {
	if c.rows != o.rows || len(c.sums) != len(o.sums) || len(c.labels) != len(o.labels) {
		return false
	}
	for name, x := range c.sums {
		if o.sums[name] != x {
			return false
		}
	}
	for name, n := range c.labels {
		if o.labels[name] != n {
			return false
		}
	}
	return true
}

// blocks reads a file in blocks.
func blocks(path string, readers int) (*content, error) {
	var parts []*content
	err := tabular.Blocks(path, everyColumn, readers, func() func(*tabular.Table) error {
		part := newContent()
		parts = append(parts, part)
		return func(t *tabular.Table) error {
			part.add(t)
			return nil
		}
	})
	all := newContent()
	for _, part := range parts {
		all.merge(part)
	}
	return all, err
}

func whole(path string) (*content, error) {
	t, err := tabular.Read(path, everyColumn)
	if err != nil {
		return nil, err
	}
	c := newContent()
	c.add(t)
	return c, nil
}

func TestBlocksHoldWhatTheTableHolds(t *testing.T) {
	path := wideFile(t, wideRows(100_000))
	want, err := whole(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, readers := range []int{1, 2, 3, 50} {
		if got, err := blocks(path, readers); err != nil || !got.equals(want) {
			t.Errorf("%d readers: %v, %+v, want %+v", readers, err, got, want)
		}
	}
}

// What blocks take from a damaged file is what the whole table has: either both refuse it, or both read the same.
func TestBlocksOfDamagedFiles(t *testing.T) {
	good, err := os.ReadFile(wideFile(t, wideRows(300)))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(8, 1))
	path, refused := filepath.Join(t.TempDir(), "damaged.parquet"), 0
	for range 300 {
		bytes := append([]byte(nil), good...)
		bytes[4+random.IntN(len(bytes)-4)] ^= byte(1 + random.IntN(255))
		if err := os.WriteFile(path, bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := blocks(path, 2)
		want, wrong := whole(path)
		switch {
		case err != nil:
			refused++
		case wrong != nil || !got.equals(want):
			t.Fatalf("blocks take %+v, the whole says %v", got, wrong)
		}
	}
	if refused < 100 {
		t.Errorf("%d damaged files refused only", refused)
	}
}

func TestBlocksRefuse(t *testing.T) {
	csv := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(csv, []byte("plain\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	never := func() func(*tabular.Table) error {
		return func(*tabular.Table) error {
			t.Error("a block of a table without")
			return nil
		}
	}
	if err := tabular.Blocks(csv, tabular.Want{Numbers: []string{"plain"}}, 2, never); !errors.Is(err, tabular.ErrNoBlocks) {
		t.Error(err)
	}
	path := wideFile(t, wideRows(10))
	if err := tabular.Blocks(path, tabular.Want{Numbers: []string{"nothing"}}, 2, never); !errors.Is(err, tabular.ErrNoBlocks) {
		t.Error(err)
	}
	stop := errors.New("stop")
	err := tabular.Blocks(path, everyColumn, 2, func() func(*tabular.Table) error { return func(*tabular.Table) error { return stop } })
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}
