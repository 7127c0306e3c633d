package service_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/query/service"
)

const (
	everyone = `KAPPA all AS SELECT mean(temperature) FROM sense.temperature WINDOW 1m PRIVACY LOCAL EPSILON 4 PER 10m BETWEEN 10 AND 40`
	sized    = `KAPPA some AS SELECT mean(temperature) FROM sense.temperature SAMPLE $n DEVICES WINDOW 1m PRIVACY LOCAL EPSILON 4 PER 10m BETWEEN 10 AND 40`
)

// registryOf has n devices with a temperature and one without.
func registryOf(t testing.TB, n int) *fleet.Registry {
	t.Helper()
	r := fleet.New(fleet.NewKeyer([16]byte{1}))
	for i := range n + 1 {
		reading := "temperature"
		if i == n {
			reading = "humidity"
		}
		err := r.Hello(&quadratv1.Hello{
			Device: fmt.Sprintf("d%d", i), Attributes: map[string]string{"region": []string{"asia", "europe"}[i%2]},
			Capabilities: []*quadratv1.Capability{{Name: "sense.temperature", Readings: []string{reading}}},
			Limits:       &quadratv1.Limits{EpsilonMicro: 8e6, PeriodMs: 600_000, Models: []string{"local"}},
		}, start)
		if err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func TestFleetPlanner(t *testing.T) {
	settled := 0
	p := service.NewFleetPlanner(registryOf(t, 100), func(context.Context) error { settled++; return nil })
	now := start.Add(90 * time.Second)
	draft := service.Draft{Script: everyone, Ref: "k7f3q2", Name: "all", Salt: make([]byte, 16), Revision: 1, Now: now}
	revision, err := p.Plan(t.Context(), draft)
	if err != nil {
		t.Fatal(err)
	}
	if settled != 1 || revision.GetPlan().GetPopulation() != 100 || revision.GetDevice().GetFromWindow() != now.UnixMilli()/60_000+1 {
		t.Errorf("settled %d times, plan %v", settled, revision.GetPlan())
	}
	draft.Previous = revision
	for minute := range 30 {
		draft.Now = now.Add(time.Duration(minute) * time.Minute)
		if reason, err := p.Redraw(draft); reason != "" || err != nil {
			t.Fatalf("redraw after %d min: %q %v", minute, reason, err)
		}
	}
	draft.Previous.Plan.Strata[0].Population = 50
	if reason, err := p.Redraw(draft); !strings.Contains(reason, "50") || err != nil {
		t.Errorf("a frame that doubled: %q %v", reason, err)
	}
	if name, err := p.Name(everyone, nil); name != "all" || err != nil {
		t.Errorf("name %q %v", name, err)
	}
}

// TestThoseWhoRestTakeTurns counts the windows at which a plan that leaves devices out asks for a new one.
func TestThoseWhoRestTakeTurns(t *testing.T) {
	p := service.NewFleetPlanner(registryOf(t, 100), func(context.Context) error { return nil })
	draft := service.Draft{
		Script: sized, Params: map[string]float64{"n": 4}, Ref: "k7f3q2", Name: "some", Salt: make([]byte, 16), Revision: 1, Now: start,
	}
	var err error
	if draft.Previous, err = p.Plan(t.Context(), draft); err != nil {
		t.Fatal(err)
	}
	lap := int64(draft.Previous.GetDevice().GetLapWindows())
	turns := 0
	for minute := range 180 {
		draft.Now = start.Add(time.Duration(minute) * time.Minute)
		reason, err := p.Redraw(draft)
		if err != nil {
			t.Fatal(err)
		}
		if reason == "" {
			continue
		}
		turns++
		draft.Revision++
		if draft.Previous, err = p.Plan(t.Context(), draft); err != nil {
			t.Fatal(err)
		}
		if from := draft.Previous.GetDevice().GetFromWindow(); from%lap != 0 {
			t.Errorf("a turn begins with window %d, inside a lap of %d", from, lap)
		}
	}
	if turns < 2 || turns > 3 {
		t.Errorf("%d turns in three hours, want one an hour", turns)
	}
}

func TestFleetPlannerRefuses(t *testing.T) {
	p := service.NewFleetPlanner(registryOf(t, 100), func(context.Context) error { return nil })
	draft := service.Draft{Salt: make([]byte, 16), Now: start}
	var broken *script.Error
	draft.Script = "SELECT"
	if _, err := p.Plan(t.Context(), draft); !errors.As(err, &broken) {
		t.Errorf("half a script: %v", err)
	}
	if _, err := p.Where("region ="); !errors.As(err, &broken) {
		t.Errorf("half a condition: %v", err)
	}
	var infeasible *plan.Infeasible
	draft.Script = strings.Replace(sized, "$n DEVICES", "MARGIN 0.01", 1)
	if _, err := p.Plan(t.Context(), draft); !errors.As(err, &infeasible) || infeasible.BestMargin <= 0.01 {
		t.Errorf("an impossible margin: %v", err)
	}
	var unsupported *script.UnsupportedError
	draft.Script = strings.Replace(everyone, "mean(temperature)", "frequency(temperature)", 1)
	draft.Script = strings.Replace(draft.Script, "AND 40", "AND 4000", 1)
	if _, err := p.Plan(t.Context(), draft); !errors.As(err, &unsupported) {
		t.Errorf("a frequency of four thousand: %v", err)
	}
}

// countedFrames counts how often a frame is taken.
type countedFrames struct {
	*fleet.Registry

	taken int
}

func (f *countedFrames) Frame(q fleet.Query, at time.Time) []*fleet.Row {
	f.taken++
	return f.Registry.Frame(q, at)
}

// A fleet that is as it was isn't looked over again, but those who rested still get their turn.
func TestAStillFleetIsNotLookedOver(t *testing.T) {
	frames := &countedFrames{Registry: registryOf(t, 400)}
	p := service.NewFleetPlanner(frames, func(context.Context) error { return nil })
	const few = "KAPPA few AS SELECT mean(temperature) FROM sense.temperature SAMPLE 4 DEVICES WINDOW 1m PRIVACY LOCAL EPSILON 1 PER 2m BETWEEN 10 AND 40"
	draft := service.Draft{Script: few, Ref: "k7f3q2", Name: "few", Salt: make([]byte, 16), Revision: 1, Now: start.Add(time.Minute)}
	revision, err := p.Plan(t.Context(), draft)
	if err != nil {
		t.Fatal(err)
	}
	before := frames.taken
	draft.Previous, draft.Revision, draft.Still = revision, 2, true
	if reason, err := p.Redraw(draft); reason != "" || err != nil || frames.taken != before {
		t.Errorf("%q, %v, %d frames", reason, err, frames.taken-before)
	}
	turned := false
	for range 200 {
		draft.Now = draft.Now.Add(time.Minute)
		reason, err := p.Redraw(draft)
		if err != nil {
			t.Fatal(err)
		}
		turned = turned || strings.Contains(reason, "rested")
	}
	if !turned || frames.taken != before {
		t.Errorf("a turn came: %v, %d frames were taken", turned, frames.taken-before)
	}
	draft.Still = false
	if _, err := p.Redraw(draft); err != nil || frames.taken != before+1 {
		t.Errorf("%v, %d frames", err, frames.taken-before)
	}
}
