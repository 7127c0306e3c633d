package plan_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// due lists, for every device, the windows of the span in which the revisions make it report, and counts the reports of
// every (window, stratum, statistic).
func due(revs []*quadratv1.PlanRevision, frame []plan.Member, from, until int64) (windows map[string][]int64, counts map[[3]int64]int) {
	windows, counts = map[string][]int64{}, map[[3]int64]int{}
	for r, rev := range revs {
		end := until
		if r+1 < len(revs) {
			end = revs[r+1].GetDevice().GetFromWindow()
		}
		p := rev.GetDevice()
		for h, s := range p.GetStrata() {
			rotation := plan.Rotation(p, s)
			for _, m := range frame {
				if !slices.ContainsFunc(s.GetMembers(), func(v *quadratv1.AttributeValues) bool {
					return len(v.GetValues()) == 0 || v.GetValues()[0] == m.Attributes["region"]
				}) {
					continue
				}
				number := panel.NumberOf(panel.Salt(p.GetSalt()), m.ID)
				for w := max(from, p.GetFromWindow()); w < end; w++ {
					if statistic, ok := rotation.Due(number, w); ok {
						windows[m.ID] = append(windows[m.ID], w)
						counts[[3]int64{w, int64(h), int64(statistic)}]++
					}
				}
			}
		}
	}
	return windows, counts
}

// TestPanelsHoldWhatThePlanSays draws questions and frames, plans three revisions in a row where units rest, and holds the
// laws of sampling against who is due.
func TestPanelsHoldWhatThePlanSays(t *testing.T) {
	planned, turned := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		windows := rapid.SampledFrom([]int64{1, 2, 3, 4, 6, 12, 30}).Draw(t, "windows")
		statistics := rapid.SampledFrom([]string{"mean(x)", "mean(x), proportion(x > 3)", "total(x), count(x > 1), mean(x)"}).Draw(t, "select")
		size := rapid.SampledFrom([]string{"ALL", "24 DEVICES", "7 PERCENT", "MARGIN 9"}).Draw(t, "size")
		strata := rapid.SampledFrom([]string{"", "STRATIFIED BY region"}).Draw(t, "strata")
		rotation := rapid.SampledFrom([]string{"ROTATING", "FIXED"}).Draw(t, "rotation")
		epsilon := rapid.SampledFrom([]string{"1", "4", "20"}).Draw(t, "epsilon")
		s := prepared(t, fmt.Sprintf("SELECT %s FROM a.q SAMPLE %s %s %s WINDOW 1m PRIVACY LOCAL EPSILON %s PER %dm BETWEEN 0 AND 6",
			statistics, size, strata, rotation, epsilon, windows), nil)
		frame := fleet("a", "", rapid.IntRange(0, 300).Draw(t, "a"), "b", "", rapid.IntRange(0, 90).Draw(t, "b"), "", "", rapid.IntRange(0, 9).Draw(t, "c"))
		opt := plan.Options{Ref: "k", Revision: 1, FromWindow: rapid.Int64Range(0, 1e6).Draw(t, "from")}
		copy(opt.Salt[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt"))
		first, err := plan.Build(s, frame, opt)
		if _, infeasible := errors.AsType[*plan.Infeasible](err); infeasible {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		revs := turns(t, first, opt, func(o plan.Options) (*quadratv1.PlanRevision, error) { return plan.Build(s, frame, o) })
		holds(t, revs, frame, windows)
		planned++
		turned += len(revs) - 1
	})
	plans, turnsLeast := 20, 5
	if testing.Short() { // rapid then draws a fifth as often
		plans, turnsLeast = 4, 1
	}
	if planned < plans || turned < turnsLeast {
		t.Errorf("only %d plans and %d turns were made", planned, turned)
	}
}

// turns adds the revisions of two more turns, where units rest. The turn is put off to a boundary of laps.
func turns(t *rapid.T, first *quadratv1.PlanRevision, opt plan.Options, build func(plan.Options) (*quadratv1.PlanRevision, error)) []*quadratv1.PlanRevision {
	revs := []*quadratv1.PlanRevision{first}
	for range 2 {
		last := revs[len(revs)-1]
		next, ok := plan.NextTurn(last)
		if !ok {
			return revs
		}
		if lap := int64(last.GetDevice().GetLapWindows()); next <= last.GetDevice().GetFromWindow() || next%lap != 0 {
			t.Fatalf("a turn at window %d after %d with a lap of %d", next, last.GetDevice().GetFromWindow(), lap)
		}
		opt.Revision, opt.FromWindow, opt.Previous = opt.Revision+1, next, last.GetDevice()
		rev, err := build(opt)
		if err != nil {
			t.Fatal(err)
		}
		revs = append(revs, rev)
	}
	return revs
}

func holds(t *rapid.T, revs []*quadratv1.PlanRevision, frame []plan.Member, periodWindows int64) {
	first, last := revs[0], revs[len(revs)-1]
	p, v := first.GetDevice(), first.GetPlan()
	lap := int64(p.GetLapWindows())
	from, until := p.GetFromWindow(), last.GetDevice().GetFromWindow()+3*lap
	windows, counts := due(revs, frame, from, until)
	reports := periodWindows / lap
	if v.GetRotation() == "fixed" {
		reports = periodWindows
	}
	if uint64(reports)*p.GetEpsilonMicro() > p.GetEpsilonPeriodMicro() {
		t.Fatalf("%d reports of %d are more than %d", reports, p.GetEpsilonMicro(), p.GetEpsilonPeriodMicro())
	}
	for id, list := range windows {
		for i := range list {
			if k := i + int(reports); k < len(list) && list[k]-list[i] < periodWindows {
				t.Fatalf("%s reports more than %d times in %d windows: %v", id, reports, periodWindows, list)
			}
		}
	}
	slots := int64(len(p.GetStatistics()))
	for h, s := range v.GetStrata() {
		for w := from; w < until; w++ {
			sum := 0
			for k := range slots {
				n := counts[[3]int64{w, int64(h), k}]
				if n < 2 || float64(n) < float64(int(s.GetPanel()/float64(slots))) || float64(n) > s.GetPanel()/float64(slots)+1 {
					t.Fatalf("stratum %s, window %d, statistic %d: %d due, want about %g", s.GetName(), w, k, n, s.GetPanel()/float64(slots))
				}
				sum += n
			}
			if d := float64(sum) - s.GetPanel(); d > 1 || d < -1 || v.GetAllocation() != "all" && d != 0 {
				t.Fatalf("stratum %s, window %d: %d due, want %g", s.GetName(), w, sum, s.GetPanel())
			}
		}
	}
	if v.GetAllocation() != "all" {
		return
	}
	for _, m := range frame {
		if list := windows[m.ID]; int64(len(list)) != (until-from)/lap {
			t.Fatalf("%s reports in %v: not once a lap of %d from %d", m.ID, list, lap, from)
		}
	}
}

func TestPlanDoesNotDependOnTheOrderOfTheFrame(t *testing.T) {
	s := prepared(t, indoor, nil)
	frame := fleet("asia", "air", 900, "europe", "", 500, "", "x", 300)
	opt := plan.Options{Ref: "k", Revision: 1, Salt: [16]byte{1}}
	want, err := plan.Build(s, frame, opt)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(frame)
	got, err := plan.Build(s, frame, opt)
	if err != nil {
		t.Fatal(err)
	}
	if !proto.Equal(want, got) {
		t.Error("another order of the frame gives another plan")
	}
}
