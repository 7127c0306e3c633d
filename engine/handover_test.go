package engine

import (
	"bytes"
	"encoding/hex"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey"
)

// sumsOf is the state of a window that estimates rest on.
func sumsOf(w *window) ([]survey.Moments, []survey.Tails, []survey.Support) {
	return w.moments, w.tails, w.supports
}

// TestMergedHandoversAreTheWindow: however the reports of a window fall to shares, and however often each hands on, what the merger adds up
// is what one window counts: counts and whole numbers exactly, moments to 1e-9.
func TestMergedHandoversAreTheWindow(t *testing.T) {
	world := newWorld(t, 3)
	world.populate(120)
	histogram := &quadratv1.StatisticPlan{
		Name: "histogram(temperature, 8)", Kind: "histogram", Reading: "temperature", Summary: "avg", Mechanism: "subset",
		Categories: 8, LoMicro: 10e6, HiMicro: 40e6,
	}
	variance := meanPlan("hybrid")
	variance.Name, variance.Kind = "variance(temperature)", "variance"
	record := world.deploy("k1", 1, []string{"cooling"}, meanPlan("hybrid"), variance, histogram)
	k, err := newKappa(record)
	if err != nil {
		t.Fatal(err)
	}
	p := k.plans[0]
	f := k.frame(world.registry, p, firstWindow)
	answers := world.answers(record, firstWindow, 1)
	rapid.Check(t, func(r *rapid.T) {
		shares := rapid.IntRange(1, 8).Draw(r, "shares")
		whole, merged := newWindow(firstWindow, p, f), newWindow(firstWindow, p, f)
		parts := make([]*window, shares)
		for i := range parts {
			parts[i] = newWindow(firstWindow, p, f)
		}
		closed := make([]bool, shares)
		hand := func(share int) {
			body := encodeHandover(handover{
				spot: spot{mark: 9}, share: uint64(share), shares: uint64(shares), gathered: []gathered{parts[share].gather(!closed[share])},
			})
			h, err := decodeHandover(body[0])
			if err != nil || len(body) != 1 || !h.last {
				r.Fatalf("a handover can't be read again: %v", err)
			}
			if !h.gathered[0].fits(merged) || h.gathered[0].closes == closed[share] {
				r.Fatal("what was gathered does not fit its window")
			}
			merged.add(&h.gathered[0])
			closed[share] = true
		}
		for _, a := range answers {
			if rapid.IntRange(0, 9).Draw(r, "silent") == 0 {
				continue
			}
			share := int(uint64(a.key) % uint64(shares))
			for _, to := range []*window{whole, parts[share], parts[share]} { // the second time it is a duplicate
				var v verdict
				columns := reports{device: []uint64{uint64(a.key)}, statistic: []uint64{uint64(a.statistic)}, value: []int64{a.value}}
				to.count(&columns, &v, nil, 0)
			}
			if rapid.IntRange(0, 19).Draw(r, "hand on") == 0 {
				hand(share)
			}
		}
		for share := range parts {
			hand(share)
		}
		wantMoments, wantTails, wantSupports := sumsOf(whole)
		moments, tails, supports := sumsOf(merged)
		for i := range wantMoments {
			a, b := moments[i], wantMoments[i]
			if a.Count != b.Count || !close9(a.Mean, b.Mean) || !close9(a.M2, b.M2) || !close9(a.Noise, b.Noise) ||
				abs(tails[i].M3-wantTails[i].M3) > 1e-9*(1+math.Pow(b.M2, 1.5)) || abs(tails[i].M4-wantTails[i].M4) > 1e-9*(1+b.M2*b.M2) {
				r.Fatalf("place %d: %v, want %v", i, a, b)
			}
			if supports[i].Count != wantSupports[i].Count || !slices.Equal(supports[i].Hits, wantSupports[i].Hits) {
				r.Fatalf("place %d: %v, want %v", i, supports[i], wantSupports[i])
			}
		}
	})
}

func close9(a, b float64) bool {
	diff := a - b
	return diff <= 1e-9*(1+abs(a)+abs(b)) && -diff <= 1e-9*(1+abs(a)+abs(b))
}

func abs(x float64) float64 { return max(x, -x) }

// goldenHandover is the first part of a handover that has two.
func goldenHandover() handover {
	slot := gatheredSlot{at: 3, moments: survey.Moments{Count: 2, Mean: 21.5, M2: 0.5, Noise: 4}, tails: survey.Tails{M3: -1, M4: 2}}
	binned := gatheredSlot{at: 4, moments: survey.Moments{Count: 5}, support: survey.Support{Count: 5, Hits: []int64{2, 3}, Squares: []int64{2}}}
	return handover{
		spot: spot{mark: 77}, share: 3, shares: 8, markMs: 1_800_000_001_200, previous: 70,
		gathered: []gathered{
			{ref: "k1", index: 1_800_000_000, revision: 2, fingerprint: "00ff", closes: true, slots: []gatheredSlot{slot, binned}},
			{
				ref: "k2", index: -1, revision: 1, fingerprint: "ab", damaged: true, keeps: true, ranks: []uint32{0, 9}, values: []int64{-3, 1 << 40},
				slots: []gatheredSlot{{at: 0, moments: survey.Moments{Count: 1}, released: []int64{-1, 4}}},
			},
		},
	}
}

func TestGoldenHandover(t *testing.T) {
	got := encodeHandover(goldenHandover())[0]
	text, err := os.ReadFile("testdata/handover-v1.hex")
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the format changed without a new version:\n%x", got)
	}
	h, err := decodeHandover(want)
	if err != nil {
		t.Fatal(err)
	}
	if again := encodeHandover(*h); !bytes.Equal(again[0], want) {
		t.Error("what was read is written otherwise")
	}
}

// TestLongHandoverIsCut: parts are in order, the last one says so, and nothing is lost.
func TestLongHandoverIsCut(t *testing.T) {
	h := goldenHandover()
	one := h.gathered[0]
	for len(h.gathered) < 40 {
		one.fingerprint = strings.Repeat("f", handoverBytes/16)
		h.gathered = append(h.gathered, one)
	}
	parts, windows := encodeHandover(h), 0
	for i, body := range parts {
		part, err := decodeHandover(body)
		if err != nil {
			t.Fatal(err)
		}
		if part.part != uint64(i) || part.last != (i == len(parts)-1) || part.previous != h.previous || len(body) > 2*handoverBytes {
			t.Errorf("part %d of %d: %+v, %d bytes", i, len(parts), part.spot, len(body))
		}
		windows += len(part.gathered)
	}
	if len(parts) < 2 || windows != len(h.gathered) {
		t.Errorf("%d parts with %d windows of %d", len(parts), windows, len(h.gathered))
	}
}

func FuzzHandover(f *testing.F) {
	f.Add(encodeHandover(goldenHandover())[0])
	f.Add(encodeHandover(handover{spot: spot{mark: 1}, shares: 1})[0])
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHandover(b)
		if err != nil {
			return
		}
		if again := encodeHandover(*h); len(again) == 1 && h.part == 0 {
			if _, err := decodeHandover(again[0]); err != nil {
				t.Errorf("what was read can't be written: %v", err)
			}
		}
	})
}

func FuzzPartCheckpoint(f *testing.F) {
	e := &Engine{config: Config{Part: &Part{Share: Merger, Shares: 8}}, kappas: map[string]*kappa{}, marked: 9}
	f.Add(e.encodePart([]byte("checkpoint")))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _, _ = decodePart(b, e.config.Part) })
}

// TestPartCheckpointKnowsItsPart: a checkpoint of another share, or of another number of shares, is refused.
func TestPartCheckpointKnowsItsPart(t *testing.T) {
	e := &Engine{config: Config{Part: &Part{Share: 2, Shares: 8}}, kappas: map[string]*kappa{}, marked: 9}
	content := e.encodePart([]byte("body"))
	for _, c := range []struct {
		part Part
		ok   bool
	}{{Part{Share: 2, Shares: 8}, true}, {Part{Share: 3, Shares: 8}, false}, {Part{Share: 2, Shares: 4}, false}, {Part{Share: Merger, Shares: 8}, false}} {
		s, body, err := decodePart(content, &c.part)
		if (err == nil) != c.ok || c.ok && (s.marked != 9 || string(body) != "body") {
			t.Errorf("share %d of %d: %v", c.part.Share, c.part.Shares, err)
		}
	}
}
