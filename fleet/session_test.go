package fleet

import (
	"testing"
	"time"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Whoever begins anew has another session each time; only a session that had its turn before others comes from a second
// device.
func TestTwoDevicesOfOneIdentityTakeTurns(t *testing.T) {
	for name, c := range map[string]struct {
		sessions []uint32
		want     uint32
	}{
		"one device":             {[]uint32{1, 1, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9}, 0},
		"no session":             {[]uint32{0, 1, 0, 1, 0}, 0},
		"two devices":            {[]uint32{1, 2, 1, 1, 2, 2, 1}, 3},
		"three devices":          {[]uint32{1, 2, 3, 1, 2, 3}, 3},
		"two, one begins anew":   {[]uint32{1, 2, 3, 2, 4, 2}, 2},
		"more than are kept":     {[]uint32{1, 2, 3, 4, 5, 1}, 0},
		"as many as can be told": {[]uint32{1, 2, 3, 4, 1}, 1},
	} {
		r := newTestRegistry()
		told := uint32(0)
		for i, s := range c.sessions {
			h := helloOf("pi")
			h.Session = s
			h.Counters = map[string]uint64{counterDuplicate: 77, counterBack: 77, "reported": 1}
			doubt, err := r.Announce(h.GetDevice(), h, epoch.Add(time.Duration(i)*time.Second))
			if err != nil {
				t.Fatal(err)
			}
			if doubt == DuplicateIdentity {
				told++
			}
		}
		var d *quadratv1.Device
		r.entry("pi", func(s *shard, i int) { d = s.device(i) })
		if got := d.GetCounters()[counterDuplicate]; got != c.want || told != c.want || d.GetCounters()["reported"] != 1 {
			t.Errorf("%s: %v, told %d times, want %d", name, d.GetCounters(), told, c.want)
		}
		if _, shown := d.GetCounters()[counterDuplicate]; shown != (c.want > 0) {
			t.Errorf("%s: %v", name, d.GetCounters())
		}
		// What is stored knows it still, and the session.
		again := newTestRegistry()
		for i := range r.shards {
			m := r.shards[i].save()
			if err := again.restore(i, m); err != nil {
				t.Fatal(err)
			}
		}
		again.entry("pi", func(s *shard, i int) {
			if s.entries[i].duplicates != c.want || s.entries[i].sessions[0] != c.sessions[len(c.sessions)-1] && c.sessions[len(c.sessions)-1] != 0 {
				t.Errorf("%s: stored as %d, session %d", name, s.entries[i].duplicates, s.entries[i].sessions[0])
			}
		})
	}
}

// A ledger only grows: one that is shorter than it was comes from a backup, or from another device.
func TestLedgerThatGoesBackIsSeen(t *testing.T) {
	r := newTestRegistry()
	backs := uint32(0)
	for i, charges := range []uint64{0, 3, 3, 9, 4, 5, 6, 0, 1} {
		h := helloOf("pi")
		h.Counters = map[string]uint64{counterCharges: charges}
		doubt, err := r.Announce(h.GetDevice(), h, epoch.Add(time.Duration(i)*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if doubt == LedgerBack {
			backs++
		}
	}
	var d *quadratv1.Device
	r.entry("pi", func(s *shard, i int) { d = s.device(i) })
	if d.GetCounters()[counterBack] != 2 || backs != 2 || d.GetCounters()[counterCharges] != 1 {
		t.Errorf("%v, told %d times", d.GetCounters(), backs)
	}
}
