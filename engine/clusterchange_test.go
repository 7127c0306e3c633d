package engine

import (
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/privacy"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// TestChangeOfFixedClusters: the same buildings twice, half a degree warmer each time, tell the change far better than their levels;
// so do they after a restart, and when the frame was made anew.
func TestChangeOfFixedClusters(t *testing.T) {
	p := newPlaces(t).part("region", "oceania")
	k := p.deploy(t, "SELECT mean(temperature), total(temperature) FROM sense.temperature WHERE region = 'oceania' GROUP BY cooling_type "+
		"SAMPLE ALL CLUSTERED BY building 60 CLUSTERS FIXED WINDOW 1m PRIVACY NONE BETWEEN 0 AND 50", 3)
	start := epoch.UnixMilli() / 60_000
	for i := range int64(4) {
		p.answer(t, k, start+i)
		for j := range p.list {
			p.list[j].Readings[0] += privacy.Micro(250_000 + 40_000*int64(j%7)) // two windows bring about 0.74
		}
	}
	results := func(k *kappa) map[string]*quadratv1.Result {
		out := map[string]*quadratv1.Result{}
		for i, w := range k.sorted() {
			w.revision = 1
			for _, r := range k.estimate(w, 0) {
				out[string(rune('0'+i))+r.GetStatistic()+r.GetCell()["cooling_type"]] = r
			}
		}
		return out
	}
	want, changes := results(k), 0
	for name, now := range want {
		then := want[string(name[0]-2)+name[1:]]
		c := now.GetChange()
		if then == nil || then.Value == nil || now.Value == nil {
			if c != nil {
				t.Errorf("%s: a change of nothing: %v", name, c)
			}
			continue
		}
		changes++
		if relative(c.GetValue(), now.GetValue()-then.GetValue()) > 1e-9 || !c.GetSince().AsTime().Equal(then.GetWindowStart().AsTime()) ||
			c.GetMatched() < 10 || c.GetStdError() > 0.7*math.Hypot(now.GetStdError(), then.GetStdError()) {
			t.Errorf("%s: %v of errors %g and %g", name, c, now.GetStdError(), then.GetStdError())
		}
	}
	if c := want["2mean(temperature)"].GetChange(); math.Abs(c.GetValue()-0.74) > 0.05 || c.GetStdError() > 0.05 {
		t.Errorf("all cells: %v", c)
	}
	if changes < 8 {
		t.Errorf("%d changes", changes)
	}
	e := &Engine{config: Config{}.withDefaults(), kappas: map[string]*kappa{"k1": k}, order: []string{"k1"}}
	s, err := decodeCheckpoint(e.encode())
	if err != nil {
		t.Fatal(err)
	}
	k.windows = map[int64]*window{}
	e.adopt(&s.kappas[0])
	apart := *k.windows[start+3].layout // as after a change of the frame
	k.windows[start+3].layout = &apart
	for name, r := range results(k) {
		if !proto.Equal(r, want[name]) {
			t.Errorf("%s after a restart: %v, want %v", name, r, want[name])
		}
	}
	e.lateFor(k, k.windows[start])
	if e.reopen(); len(e.late) != 2 || e.late[1].window != k.windows[start+2] {
		t.Errorf("%d windows are revised, want the late one and the one compared with it", len(e.late))
	}
}
