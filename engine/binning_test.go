package engine

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/bits"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// histogramPlan is a histogram of temperatures.
func histogramPlan(mechanism string, categories uint32) *quadratv1.StatisticPlan {
	p := meanPlan(mechanism)
	p.Kind, p.Categories = "histogram", categories
	return p
}

// readRow tells which categories a stored report supports, by docs/format/parquet.md alone.
func readRow(r *column.Report) (supported []uint32) {
	switch {
	case !r.Coded:
		for v := range r.Categories {
			if r.Answer>>v&1 == 1 {
				supported = append(supported, v)
			}
		}
	case r.Mechanism == "square-wave": // its bin of the codes
		supported = []uint32{uint32(r.Code * uint64(r.Categories) / (1<<16 + uint64(r.Size)))}
	case r.Mechanism == "olh":
		seed, hash := r.Code/uint64(r.Size), r.Code%uint64(r.Size)
		class, u := map[uint64]uint64{}, uint64(1)
		for e := range uint64(r.Seeds - 1) {
			class[u] = e % uint64(r.Size)
			u = u * uint64(r.Root) % uint64(r.Seeds)
		}
		for v := range uint64(r.Categories) {
			if at := (v + seed) % uint64(r.Seeds); at != 0 && class[at] == hash {
				supported = append(supported, uint32(v))
			}
		}
	default:
		width := bits.Len32(r.Categories - 1)
		for i := range r.Size {
			supported = append(supported, uint32(r.Code>>(int(i)*width))&(1<<width-1))
		}
	}
	return supported
}

// TestStoredReportsTellTheirCategories randomises, stores, and reads the row as the document says: it must support what the
// mechanism says, with the mechanism's probabilities.
func TestStoredReportsTellTheirCategories(t *testing.T) {
	source := privacy.NewSeeded(8)
	for _, c := range []struct {
		mechanism string
		k         uint32
		epsilon   privacy.Epsilon
		coded     bool
	}{
		{"subset", 64, 1e6, false},
		{"none", 64, 0, false},
		{"subset", 200, 4e6, true},
		{"subset", 1024, 7e6, true},
		{"grr", 1000, 7e6, true},
		{"olh", 1024, 1e6, true},
		{"olh", 65, 4e6, true},
		{"none", 1024, 0, true},
		{"square-wave", 100, 1e6, true},
	} {
		p := histogramPlan(c.mechanism, c.k)
		if c.mechanism == "square-wave" {
			p.Kind = kindDistribution
		}
		b, err := categories.New(p, mechanisms.Price{Report: c.epsilon})
		if err != nil {
			t.Fatal(c, err)
		}
		for i := range uint32(200) {
			value := int64(i * 5 % c.k)
			if b.Set != nil {
				report, err := b.Set.Randomise(i*5%c.k, source, make([]byte, 0, 8))
				if err != nil {
					t.Fatal(err)
				}
				value = int64(binary.LittleEndian.Uint64(report[:8]))
			}
			said, ok := b.Read(value)
			row := column.Report{Mechanism: c.mechanism}
			storeAnswer(b, &row, said)
			if !ok || row.Coded != c.coded || !slices.Equal(readRow(&row), b.Supported()) {
				t.Fatalf("%v: the row %+v supports %v, the report %v", c, row, readRow(&row), b.Supported())
			}
			other := row.Other
			if !row.Coded {
				other = (float64(row.Size) - row.Include) / float64(row.Categories-1)
			}
			if row.Include != b.Pure.Truth || math.Abs(other-b.Pure.Other) > 1e-15 {
				t.Fatalf("%v: the row's probabilities are %g and %g", c, row.Include, other)
			}
		}
	}
}

// TestCountingAllocatesNothing: a state that has its counters takes any number of reports without memory.
func TestCountingAllocatesNothing(t *testing.T) {
	b, err := categories.New(histogramPlan("olh", 1024), mechanisms.Price{Report: 1e6})
	if err != nil {
		t.Fatal(err)
	}
	var state survey.Support
	state.AddEach(nil, 1024)
	value := int64(0)
	allocations := testing.AllocsPerRun(500, func() {
		if said, ok := b.Read(value); ok {
			b.Count(&state, said)
		}
		value++
	})
	if allocations != 0 || state.Count < 500 {
		t.Errorf("%g allocations a report, %d counted", allocations, state.Count)
	}
}

func TestBinningRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		mechanism string
		k         uint32
		epsilon   privacy.Epsilon
		change    func(*quadratv1.StatisticPlan)
	}{
		"a set that is too long":         {mechanism: "subset", k: 65, epsilon: 1e6},
		"unary beyond the word":          {mechanism: "oue", k: 65, epsilon: 1e6},
		"sets of no fixed size":          {mechanism: "olh", k: 64, epsilon: 1e6},
		"too many categories":            {mechanism: "olh", k: 1025, epsilon: 1e6},
		"too many without noise":         {mechanism: "none", k: 1025},
		"no such mechanism":              {mechanism: "hybrid", k: 200, epsilon: 1e6},
		"a quantile beyond the word":     {mechanism: "olh", k: 100, epsilon: 1e6, change: func(s *quadratv1.StatisticPlan) { s.Kind, s.ShareMicro = "quantile", 5e5 }},
		"numbers that are not the range": {mechanism: "olh", k: 100, epsilon: 1e6, change: func(s *quadratv1.StatisticPlan) { s.Kind = "frequency" }},
	} {
		p := histogramPlan(c.mechanism, c.k)
		if c.change != nil {
			c.change(p)
		}
		if b, err := categories.New(p, mechanisms.Price{Report: c.epsilon}); err == nil {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// FuzzCategories reads any value as a report of any plan over categories: it is refused, or it supports some of the
// categories, each once, and is counted as one report.
func FuzzCategories(f *testing.F) {
	f.Add(uint8(0), uint64(4_000_000), uint32(200), int64(0x0403_0201))
	f.Add(uint8(1), uint64(1_000_000), uint32(1024), int64(4000))
	f.Add(uint8(2), uint64(1_000_000), uint32(65), int64(-1))
	f.Fuzz(func(t *testing.T, which uint8, micro uint64, k uint32, value int64) {
		names := append(mechanisms.CategoricalNames(), "none", "square-wave")
		p := histogramPlan(names[int(which)%len(names)], k)
		if int(which)/len(names)%2 == 1 || p.GetMechanism() == "square-wave" {
			p.Kind = kindDistribution
		}
		b, err := categories.New(p, mechanisms.Price{Report: privacy.Epsilon(micro)})
		if err != nil {
			return
		}
		said, ok := b.Read(value)
		if !ok {
			return
		}
		var state survey.Support
		b.Count(&state, said)
		hits := int64(0)
		for _, n := range state.Hits {
			hits += n
		}
		if !state.Valid() || state.Count != 1 || hits != int64(len(b.Supported())) || len(state.Hits) != int(k) {
			t.Errorf("%s of %d: the value %d supports %v, counted as %v", p.GetMechanism(), k, value, b.Supported(), state)
		}
		if b.Set != nil && len(b.Supported()) > 0 && b.Set.Bytes() > mechanisms.ReportBytes {
			t.Errorf("%s of %d: a report of %d bytes", p.GetMechanism(), k, b.Set.Bytes())
		}
	})
}

// goldenCategories is goldenState with a histogram of 65 bins in place of the mean: one more than version 5 can hold.
func goldenCategories(t testing.TB) *Engine {
	t.Helper()
	e := goldenState(t)
	k := e.kappas["k1"]
	compiled, err := newStatistic(histogramPlan("none", 65), mechanisms.Price{})
	if err != nil {
		t.Fatal(err)
	}
	k.plans[0].statistics = []statistic{compiled}
	open := newWindow(firstWindow+1, k.plans[0], k.windows[firstWindow].frame)
	for _, value := range []int64{0, 64, 64} {
		said, _ := compiled.bins.Read(value)
		open.moments[0].Add(0, 0)
		compiled.bins.Count(&open.supports[0], said)
	}
	open.heard[0] = 0b1011
	k.windows = map[int64]*window{firstWindow + 1: open}
	return e
}

// TestGoldenCategories freezes version 6 of the checkpoint: version 5 with more than 64 categories, which it refuses.
func TestGoldenCategories(t *testing.T) {
	golden, _, _ := frozen(t, 6, goldenCategories)
	older := slices.Clone(golden[:len(golden)-crc32.Size])
	older[len(checkpointMagic)] = checkpointSupports
	older = binary.LittleEndian.AppendUint32(older, crc32.Checksum(older, castagnoli))
	if _, err := decodeCheckpoint(older); err == nil {
		t.Error("version 5 was read with 65 categories")
	}
}
