package engine

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// everyDevice goes over the devices of a frame in the order of their keys.
func (f *frame) everyDevice() iter.Seq[entry] {
	all := slices.DeleteFunc(slices.Clone(f.devices.entries), func(e entry) bool { return e.seat == vacant })
	slices.SortFunc(all, func(a, b entry) int { return cmp.Compare(a.key, b.key) })
	return slices.Values(all)
}

// dueDevices goes over the devices that are due in a window, by rank, and the statistic that each answers.
func (w *window) dueDevices() iter.Seq2[entry, uint64] {
	f, p := w.frame, w.plan
	lap, at := uint64(w.index/p.lapWindows), w.index%p.lapWindows
	return func(yield func(entry, uint64) bool) {
		for d := range f.everyDevice() {
			slot := uint64(d.seat) / uint64(len(f.groups))
			if due := d.turn >= f.lapFrom[at] && d.turn < f.lapFrom[at+1]; due && !yield(d, (slot+lap)%uint64(len(p.statistics))) {
				return
			}
		}
	}
}

// TestTableFindsItsKeysAlone compares the table with a map, for uniform keys, for keys that all have one home, and for the least and
// the greatest.
func TestTableFindsItsKeysAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 5))
	uniform := func() uint64 { return r.Uint64() }
	for name, draw := range map[string]func() uint64{
		"uniform":              uniform,
		"crowded":              func() uint64 { return r.Uint64N(3000) },
		"at the end of a part": func() uint64 { return ^uint64(0) - r.Uint64N(700) },
		"one partition":        func() uint64 { return r.Uint64() &^ (fleet.Partitions - 1) },
	} {
		rows := []*fleet.Row{{Key: 0}, {Key: ^fleet.Key(0)}}
		for range 500 {
			rows = append(rows, &fleet.Row{Key: fleet.Key(draw())})
		}
		slices.SortFunc(rows, func(a, b *fleet.Row) int { return cmp.Compare(a.Key, b.Key) })
		rows = slices.CompactFunc(rows, func(a, b *fleet.Row) bool { return a.Key == b.Key })
		rows = slices.DeleteFunc(rows, func(*fleet.Row) bool { return r.IntN(10) == 0 })
		f := newFrame(meanOfAll(t), rows)
		ranks, keys := map[uint64]uint32{}, []uint64(nil)
		for i, row := range rows {
			ranks[uint64(row.Key)] = uint32(i)
			keys = append(keys, uint64(row.Key), uint64(row.Key)+1, draw())
		}
		keys = append(keys, 0, ^uint64(0))
		for i, at := range f.devices.findAll(nil, keys) {
			rank, known := ranks[keys[i]]
			if want := (berth{seat: 0, turn: rank}); known && at != want || !known && at.seat != vacant || at != f.devices.find(keys[i]) {
				t.Fatalf("%s: key %x is at %+v, want %+v, known %v", name, keys[i], at, want, known)
			}
		}
	}
}

// meanOfAll is a plan without strata in which everybody answers in every window.
func meanOfAll(t *testing.T) *plan {
	t.Helper()
	k, err := newKappa(&quadratv1.KappaRecord{Kappa: &quadratv1.Kappa{Ref: "k1"}, Revisions: []*quadratv1.PlanRevision{{
		Device: &quadratv1.DevicePlan{
			Ref: "k1", Revision: 1, WindowMs: windowMs, Salt: make([]byte, 16), LapWindows: 1, Model: "none", Confidence: 0.95,
			Capability: "sense.temperature", Statistics: []*quadratv1.StatisticPlan{meanPlan("none")},
			Strata: []*quadratv1.StratumPlan{{Name: "(all)", Last: []uint64{1<<64 - 1}}},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return k.plans[0]
}
