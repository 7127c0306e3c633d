package engine

import (
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

// TestPlainWindowsCountTheSame: what reports of a plain window do to its state, and what becomes of each, is the same to the bit whether
// hearScores or hearEach takes them, with duplicates, strangers and codes that no device sends among them.
func TestPlainWindowsCountTheSame(t *testing.T) {
	world := newWorld(t, 3)
	world.populate(90)
	k, err := newKappa(world.deploy("k1", 1, []string{"cooling"}, meanPlan("hybrid")))
	if err != nil {
		t.Fatal(err)
	}
	p := k.plans[0]
	f := k.frame(world.registry, p, firstWindow)
	codes := int64(len(p.statistics[0].scores))
	rapid.Check(t, func(r *rapid.T) {
		plain, each := newWindow(firstWindow, p, f), newWindow(firstWindow, p, f)
		if !plain.plain() {
			r.Fatal("the window is not plain")
		}
		for range 3 {
			var a, b reports
			for range rapid.IntRange(1, 80).Draw(r, "reports") {
				d := berth{seat: vacant}
				if !rapid.Bool().Draw(r, "stranger") {
					d = berth{seat: rapid.Uint32Range(0, uint32(len(plain.moments)-1)).Draw(r, "seat"), turn: rapid.Uint32Range(0, 63).Draw(r, "rank")}
				}
				a.berths = append(a.berths, d)
				a.value = append(a.value, rapid.SampledFrom([]int64{-1, 0, 1, codes / 2, codes - 1, codes, codes + 1}).Draw(r, "code"))
				a.statistic = append(a.statistic, 0)
			}
			b.berths, b.value, b.statistic = append(b.berths, a.berths...), a.value, a.statistic
			a.said, b.said = make([]uint64, len(a.berths)), make([]uint64, len(a.berths))
			var va, vb verdict
			plain.hearScores(&a, &va)
			each.hearEach(&b, &vb)
			if !reflect.DeepEqual(a, b) || !reflect.DeepEqual(va, vb) {
				r.Fatalf("%+v and %+v", va, vb)
			}
		}
		if !reflect.DeepEqual(plain.moments, each.moments) || !reflect.DeepEqual(plain.heard, each.heard) {
			r.Fatal("the windows differ")
		}
	})
}
