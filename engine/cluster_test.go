package engine

import (
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/privacy"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	planner "github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
)

// places is the demo fleet, said hello.
type places struct {
	list     []indoor.Place
	byKey    map[uint64]*indoor.Place
	members  []planner.Member
	registry *fleet.Registry
}

func newPlaces(t *testing.T) *places {
	t.Helper()
	list, err := indoor.Places()
	if err != nil {
		t.Fatal(err)
	}
	p := &places{list: list, byKey: map[uint64]*indoor.Place{}, registry: fleet.New(fleet.NewKeyer([16]byte{1}))}
	for i := range list {
		place := &list[i]
		err := p.registry.Hello(&quadratv1.Hello{
			Device: place.ID, Attributes: place.Attributes, Capabilities: []*quadratv1.Capability{{Name: indoor.Capability, Open: true}},
			Limits: &quadratv1.Limits{EpsilonMicro: 8e6, PeriodMs: 3.6e6, Models: []string{"local", "none"}},
		}, epoch.Add(-time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		p.members = append(p.members, planner.Member{ID: place.ID, Attributes: place.Attributes})
	}
	keyer := fleet.NewKeyer([16]byte{1})
	for i := range list {
		p.byKey[uint64(keyer.Key(list[i].ID))] = &list[i]
	}
	return p
}

// deploy plans a script with a salt.
func (p *places) deploy(t *testing.T, text string, salt byte) *kappa {
	t.Helper()
	s, err := script.Prepare(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	rev, err := planner.Build(s, p.members, planner.Options{Ref: "k1", Revision: 1, Salt: [16]byte{salt, 7}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := newKappa(&quadratv1.KappaRecord{
		Version: 1, Kappa: &quadratv1.Kappa{Ref: "k1"}, Revisions: []*quadratv1.PlanRevision{rev},
	})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// answer lets all due devices of a window answer without noise.
func (p *places) answer(t *testing.T, k *kappa, index int64) *window {
	t.Helper()
	w, _ := k.open(p.registry, k.plans[0], index)
	r := &reports{revision: 1, window: index}
	for d, statistic := range w.dueDevices() {
		value := p.byKey[d.key].Readings[0]
		if w.plan.statistics[statistic].bit {
			value = above(value)
		}
		r.device, r.statistic, r.value = append(r.device, d.key), append(r.statistic, statistic), append(r.value, int64(value))
	}
	var v verdict
	w.count(r, &v, nil, 1)
	if v.counted != len(r.device) {
		t.Fatalf("%d of %d reports counted", v.counted, len(r.device))
	}
	return w
}

func above(reading privacy.Micro) privacy.Micro {
	if reading > 26_000_000 {
		return 1_000_000
	}
	return 0
}

// TestClusteredIntervals replays two parts of the demo fleet with buildings as clusters, over the windows of many laps with
// salts of their own: about 95 % of the intervals hold the truth. In Oceania 82 buildings of 1 to 125 devices differ much:
// with 20 of them for each statistic in a window intervals are a little short, so the floor is lower there. The salts are
// fixed, so the shares are too; the floors stand some three standard errors, 1.4 points each, below them.
func TestClusteredIntervals(t *testing.T) {
	p := newPlaces(t)
	for _, each := range []struct {
		attribute, value, size string
		salts                  int
		floor                  float64
	}{
		{"region", "oceania", "40 CLUSTERS", 250, 0.86},
		{"building_type", "multifamily housing", "80 CLUSTERS", 200, 0.90},
	} {
		part := p.part(each.attribute, each.value)
		truth := part.truth()
		var held [2]int
		windows := 0
		for salt := range each.salts {
			k := part.deploy(t, "SELECT mean(temperature), proportion(temperature > 26) FROM sense.temperature WHERE "+each.attribute+
				" = '"+each.value+"' SAMPLE ALL CLUSTERED BY building "+each.size+" WINDOW 1m PRIVACY NONE BETWEEN 0 AND 50", byte(salt))
			for i := range k.plans[0].lapWindows {
				windows++
				for j, r := range k.estimate(part.answer(t, k, epoch.UnixMilli()/60_000+i), 0.5) {
					if r.Value == nil {
						t.Fatal(r.GetWarnings())
					}
					if r.GetCiLow() <= truth[j] && truth[j] <= r.GetCiHigh() {
						held[j]++
					}
				}
			}
		}
		for j, n := range held {
			share := float64(n) / float64(windows)
			t.Logf("%s, statistic %d: %.1f %% of %d windows", each.value, j, 100*share, windows)
			if share < each.floor || share > 0.985 {
				t.Errorf("%s, statistic %d: %.3f of %d intervals hold the truth", each.value, j, share, windows)
			}
		}
	}
}

// part is the places with a value of an attribute.
func (p *places) part(attribute, value string) *places {
	out := *p
	out.list, out.members = nil, nil
	for i := range p.list {
		if p.list[i].Attributes[attribute] == value {
			out.list = append(out.list, p.list[i])
			out.members = append(out.members, p.members[i])
		}
	}
	return &out
}

// truth is the mean of the first readings, and the share above 26 degrees.
func (p *places) truth() (out [2]float64) {
	for i := range p.list {
		out[0] += p.list[i].Readings[0].Float64() / float64(len(p.list))
		out[1] += above(p.list[i].Readings[0]).Float64() / float64(len(p.list))
	}
	return out
}
