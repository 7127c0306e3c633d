package plan

import (
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestShapeBins: the bins follow the root of the reports between their bounds, and a plan that is drawn again keeps its bins while
// they are not far off.
func TestShapeBins(t *testing.T) {
	for _, c := range []struct {
		reports      float64
		before, want int
	}{
		{0, 0, 16},
		{200, 0, 16},
		{1_000, 0, 32},
		{1_024, 0, 32},
		{1_025, 0, 64},
		{10_000, 0, 128},
		{1e6, 0, 256},
		{1_000, 16, 16},
		{1_000, 64, 64},
		{1_000, 128, 32},
		{1e6, 64, 256},
		{1e6, 128, 128},
	} {
		if got := shapeBins(c.reports, c.before); got != c.want {
			t.Errorf("%g reports, %d bins before: %d, want %d", c.reports, c.before, got, c.want)
		}
	}
	previous := &quadratv1.DevicePlan{Statistics: []*quadratv1.StatisticPlan{
		{Name: "a", Kind: "histogram", Categories: 9}, {Name: "b", Kind: kindDistribution, Categories: 33},
	}}
	for name, want := range map[string]int{"a": 0, "b": 33, "c": 0} {
		if got := before(previous, name); got != want {
			t.Errorf("%s had %d bins, want %d", name, got, want)
		}
	}
	if before(nil, "a") != 0 {
		t.Error("no plan has bins")
	}
}
