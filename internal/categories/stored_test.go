package categories_test

import (
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// TestStoredAnswersCountAsTheyCame reads reports as a plan describes them, and again what was stored of them as rows describe them: both
// must count the same, with the same probabilities, between the same edges.
func TestStoredAnswersCountAsTheyCame(t *testing.T) {
	source := privacy.NewSeeded(3)
	for _, c := range []struct {
		kind, mechanism string
		k               uint32
		epsilon         privacy.Epsilon
	}{
		{categories.Histogram, "subset", 64, 1e6},
		{categories.Frequency, "none", 64, 0},
		{categories.Quantile, "subset", 20, 2e6},
		{categories.Histogram, "subset", 200, 4e6},
		{categories.Histogram, "olh", 1024, 1e6},
		{categories.Histogram, "none", 1024, 0},
		{categories.Distribution, "square-wave", 100, 1e6},
		{categories.Distribution, "none", 16, 0},
	} {
		plan := &quadratv1.StatisticPlan{Kind: c.kind, Mechanism: c.mechanism, Categories: c.k, LoMicro: -10e6, HiMicro: 40e6}
		if c.kind == categories.Quantile {
			plan.ShareMicro = 25e4
		}
		if c.kind == categories.Frequency {
			plan.LoMicro, plan.HiMicro = 0, int64(c.k-1)*1e6
		}
		came, err := categories.New(plan, mechanisms.Price{Report: c.epsilon})
		if err != nil {
			t.Fatal(c, err)
		}
		rows := categories.Stored{
			Kind: c.kind, Share: came.Share, Bounds: privacy.Bounds{Lo: privacy.Micro(plan.GetLoMicro()), Hi: privacy.Micro(plan.GetHiMicro())},
			Categories: int(c.k), Mechanism: c.mechanism, Epsilon: c.epsilon, Size: came.How.Size, Include: came.Pure.Truth, Other: came.Pure.Other,
		}
		kept, err := rows.Binning()
		if err != nil {
			t.Fatal(c, err)
		}
		if !slices.Equal(kept.Edges, came.Edges) || math.Abs(kept.Pure.Other-came.Pure.Other) > 1e-12 && !came.Shape || kept.Cumulative() != came.Cumulative() {
			t.Errorf("%v: rows tell %v and edges %v, the plan %v and %v", c, kept.Pure, kept.Edges, came.Pure, came.Edges)
		}
		var first, second survey.Support
		for i := range uint32(300) {
			value := int64(i * 7 % c.k)
			if came.Set != nil {
				report, err := came.Set.Randomise(i*7%c.k, source, make([]byte, 0, 8))
				if err != nil {
					t.Fatal(err)
				}
				value = int64(binary.LittleEndian.Uint64(report[:8]))
			}
			said, ok := came.Read(value)
			if !ok {
				t.Fatalf("%v: the report %d is refused", c, value)
			}
			came.Count(&first, said)
			if !kept.Add(&second, said) {
				t.Fatalf("%v: the stored answer %d is refused", c, said)
			}
		}
		if first.Count != second.Count || !slices.Equal(first.Hits, second.Hits) || !slices.Equal(first.Squares, second.Squares) {
			t.Errorf("%v: counted as %v, stored ones as %v", c, first, second)
		}
		if kept.Add(&second, math.MaxUint64) || second.Count != first.Count {
			t.Errorf("%v: an answer that no device sends was counted", c)
		}
	}
}
