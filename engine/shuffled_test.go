package engine

import (
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/privacy/shuffle"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

var office = shuffle.Party{Name: "Statistics Office", Delta: 1e-6}

// batches counts reports by cooling, "" for all, and in each by region.
type batches map[string]map[string]uint32

func (b batches) count(cooling, region string) {
	if b[cooling] == nil {
		b[cooling] = map[string]uint32{}
	}
	b[cooling][region]++
}

// smallest is how many reports the smallest combination of region and cooling has.
func (b batches) smallest(cooling string, all bool) uint32 {
	least := uint32(0)
	for c, regions := range b {
		for _, n := range regions {
			if (all || c == cooling) && (least == 0 || n < least) {
				least = n
			}
		}
	}
	return least
}

// shuffledResults runs one window in which most devices answer.
func shuffledResults(t *testing.T, party shuffle.Party, statistic *quadratv1.StatisticPlan) ([]*quadratv1.Result, batches) {
	t.Helper()
	w := newWorld(t, 77)
	w.populate(30_000)
	record := w.deploy("k1", 1, []string{"cooling"}, statistic)
	w.start(true, func(config *Config) { config.Shuffler = party }, record)
	attributes := map[fleet.Key]map[string]string{}
	for _, r := range w.registry.Frame(fleet.Query{}, time.UnixMilli(firstWindow*windowMs)) {
		attributes[r.Key] = r.Attributes
	}
	answers, sent := w.answers(record, firstWindow, 0.9), batches{}
	for _, a := range answers {
		sent.count(attributes[a.key]["cooling"], attributes[a.key]["region"])
	}
	w.clock.Set(end(firstWindow).Add(-time.Millisecond))
	w.publish(answers, 50)
	w.clock.Set(end(firstWindow))
	w.closed(firstWindow, 1)
	w.stop()
	return w.sink.newest(), sent
}

// TestShuffledFiguresOfTheSmallestBatch counts the batches from what was sent, and takes the figure from the library.
func TestShuffledFiguresOfTheSmallestBatch(t *testing.T) {
	library := shuffle.NewFigures(office)
	results, sent := shuffledResults(t, office, bitPlan("proportion", "warner"))
	told := 0
	for _, r := range results {
		cooling := r.GetCell()["cooling"]
		if cooling == "(missing)" {
			cooling = ""
		}
		reports := sent.smallest(cooling, len(r.GetCell()) == 0)
		want, gain := library.Of("warner", 4_000_000, int(reports))
		got := r.GetPrivacy().GetShuffle()
		if gain != (got != nil) {
			t.Errorf("%v: %v of %d reports, want %+v", r.GetCell(), got, reports, want)
		}
		if got == nil {
			continue
		}
		told++
		if got.GetReports() != reports || got.GetEpsilon() != want.Epsilon || got.GetDelta() != office.Delta ||
			got.GetBound() != shuffle.ExactFigure || got.GetAssumes() != office.Assumes() {
			t.Errorf("%v: %v of %d reports, want %+v", r.GetCell(), got, reports, want)
		}
	}
	if told == 0 {
		t.Errorf("no figure in %d results", len(results))
	}
}

// TestNoFigureWithoutAShuffler: nobody declared, and no noise.
func TestNoFigureWithoutAShuffler(t *testing.T) {
	nobody, sent := shuffledResults(t, shuffle.Party{}, bitPlan("proportion", "warner"))
	if _, gain := shuffle.NewFigures(office).Of("warner", 4_000_000, int(sent.smallest("", true))); !gain {
		t.Fatal("a shuffler would gain nothing here")
	}
	open, _ := shuffledResults(t, office, bitPlan("proportion", "none"))
	for _, r := range append(nobody, open...) {
		if r.GetPrivacy().GetShuffle() != nil {
			t.Errorf("%s: %v", r.GetPrivacy().GetModel(), r.GetPrivacy().GetShuffle())
		}
	}
}
