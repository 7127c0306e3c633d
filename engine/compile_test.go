package engine

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// plainDevice is a device of a frame that was compiled row by row.
type plainDevice struct {
	stratum, cell, slot int
	window              int64 // of the lap, −1 for none
	rank                uint32
}

// plainFrame compiles rows, which are sorted, one after the other: the reference of newFrame without clusters.
func plainFrame(p *plan, rows []*fleet.Row) (devices map[uint64]plainDevice, groups []group, fingerprint string) {
	devices, cells, due, h := map[uint64]plainDevice{}, map[string]int{}, map[int64]uint32{}, sha256.New()
	var texts []string
	for _, row := range rows {
		if p.stratumOf(row.Attributes, nil) >= 0 {
			text := fmt.Sprintf("{\"cooling\":%q}", cmp.Or(row.Attributes["cooling"], "(missing)"))
			if !slices.Contains(texts, text) {
				texts = append(texts, text)
			}
		}
	}
	slices.Sort(texts)
	for i, text := range texts {
		cells[text] = i
	}
	for _, row := range rows {
		d := plainDevice{stratum: p.stratumOf(row.Attributes, nil), window: -1}
		if d.stratum < 0 {
			continue
		}
		text := fmt.Sprintf("{\"cooling\":%q}", cmp.Or(row.Attributes["cooling"], "(missing)"))
		d.cell = cells[text]
		if window, slot, ok := p.rotations[d.stratum].Place(panel.NumberOf(p.salt, row.ID)); ok {
			d.window, d.slot = int64(window), int(slot)
			d.rank = due[d.window]
			due[d.window]++
		}
		devices[uint64(row.Key)] = d
		at := slices.IndexFunc(groups, func(g group) bool { return g.stratum == d.stratum && g.cell == d.cell })
		if at < 0 {
			at = len(groups)
			groups = append(groups, group{stratum: d.stratum, cell: d.cell})
		}
		groups[at].size++
		sum := sha256.Sum256([]byte(p.strata[d.stratum] + "\x00" + text))
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(row.Key)))
		h.Write(sum[:8])
	}
	return devices, groups, hex.EncodeToString(h.Sum(nil)[:8])
}

// TestFrameIsThatOfEachRow compares the compiled frame with one that is made row by row, where many rows share their attributes
// and where none do, in more than one chunk, in the order of the keys and out of it.
func TestFrameIsThatOfEachRow(t *testing.T) {
	w := newWorld(t, 21)
	w.populate(300)
	record := w.deploy("k1", 3, []string{"cooling"}, meanPlan("none"), meanPlan("none"))
	record.GetRevisions()[0].GetDevice().GetStatistics()[1].Name = "second"
	strata := record.GetRevisions()[0].GetDevice().GetStrata()
	for _, s := range strata {
		s.Last[5] = s.GetLast()[4] + 1<<62 // some rest
		s.Last[5] = max(s.GetLast()[5], s.GetLast()[4])
	}
	record.GetRevisions()[0].GetDevice().Strata = strata[:3] // some are in no stratum
	k, err := newKappa(record)
	if err != nil {
		t.Fatal(err)
	}
	p, r, keyer := k.plans[0], rand.New(rand.NewPCG(6, 7)), fleet.NewKeyer([16]byte{2})
	for _, n := range []int{0, 1, 200, 2*chunkRows + 77} {
		shared := []map[string]string{{"region": "asia"}, {"region": "europe", "cooling": "air"}, {"cooling": "air"}, {"region": "asia", "cooling": "air"}}
		var rows []*fleet.Row
		for i := range n {
			row := &fleet.Row{ID: fmt.Sprint("d", i), Attributes: shared[r.IntN(len(shared))]}
			if i%3 == 0 {
				row.Attributes = map[string]string{"region": "africa", "cooling": fmt.Sprint("c", i%5)}
			}
			row.Key = keyer.Key(row.ID)
			rows = append(rows, row)
		}
		sorted := slices.SortedFunc(slices.Values(rows), func(a, b *fleet.Row) int { return cmp.Compare(a.Key, b.Key) })
		devices, groups, fingerprint := plainFrame(p, sorted)
		for name, f := range map[string]*frame{"sorted": newFrame(p, sorted), "unsorted": newFrame(p, rows)} {
			if f.fingerprint != fingerprint || !slices.Equal(f.groups, groups) || int(f.size) != len(devices) {
				t.Fatalf("%s, %d rows: fingerprint %s, want %s; %d devices, want %d", name, n, f.fingerprint, fingerprint, f.size, len(devices))
			}
			checkDevices(t, f, devices)
			checkDue(t, p, f, devices)
		}
	}
}

func checkDevices(t *testing.T, f *frame, want map[uint64]plainDevice) {
	t.Helper()
	n := 0
	for d := range f.everyDevice() {
		n++
		x, g := want[d.key], f.groups[f.group(d.berth)]
		turn := nowhere
		if x.window >= 0 {
			turn = f.lapFrom[x.window] + x.rank
		}
		if g.stratum != x.stratum || g.cell != x.cell || d.turn != turn || int(d.seat)/len(f.groups) != x.slot {
			t.Fatalf("device %x is %+v in %+v, want %+v", d.key, d, g, x)
		}
	}
	if n != len(want) {
		t.Fatalf("%d devices, want %d", n, len(want))
	}
}

func checkDue(t *testing.T, p *plan, f *frame, devices map[uint64]plainDevice) {
	t.Helper()
	for index := int64(firstWindow); index < firstWindow+7; index++ {
		want := make([]int64, len(p.statistics)*len(f.groups))
		for key, d := range devices {
			if d.window == index%p.lapWindows {
				statistic := (d.slot + int(index/p.lapWindows)) % len(p.statistics)
				want[statistic*len(f.groups)+int(f.group(f.devices.find(key)))]++
			}
		}
		if got := f.due(p, index); !slices.Equal(got, want) {
			t.Fatalf("window %d: %v are due, want %v", index, got, want)
		}
	}
}

// TestOneStatisticOfEachDevice sends every statistic, and numbers beyond the last, for every device that is due: only that of its
// turn is counted, whatever the lap.
func TestOneStatisticOfEachDevice(t *testing.T) {
	w := newWorld(t, 22)
	w.populate(60)
	k, err := newKappa(w.deploy("k1", 2, nil, meanPlan("hybrid"), totalPlan("hybrid"), bitPlan("count", "warner")))
	if err != nil {
		t.Fatal(err)
	}
	for index := int64(firstWindow); index < firstWindow+8; index++ {
		open, _ := k.open(w.registry, k.plans[0], index)
		for d, answers := range open.dueDevices() {
			for _, statistic := range []uint64{0, 1, 2, 3, 4, 5, 6, 1 << 32, 1<<32 + 1, 1<<64 - 1} {
				var v verdict
				open.count(&reports{device: []uint64{d.key}, statistic: []uint64{statistic}, value: []int64{0}}, &v, nil, 1)
				if due := len(v.refused[causeDue]) == 0; due != (statistic == answers) || due != (v.counted == 1) {
					t.Fatalf("window %d: a device that answers %d sent %d: %+v", index, answers, statistic, v)
				}
			}
		}
		for i, n := range open.due {
			if open.moments[i].Count != n {
				t.Fatalf("window %d: %d of %d counted", index, open.moments[i].Count, n)
			}
		}
	}
}
