package service

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

// Frames tells which devices a query can reach at a moment; the same call gives the same rows for ever.
type Frames interface {
	Frame(q fleet.Query, at time.Time) []*fleet.Row
}

// FleetPlanner is the Planner of a real server: query/script reads, query/plan draws, over the frames of the registry.
type FleetPlanner struct {
	frames Frames
	settle func(context.Context) error
}

// NewFleetPlanner makes a planner over frames. Settle returns once the rows of every frame that was taken are on disk.
func NewFleetPlanner(frames Frames, settle func(context.Context) error) *FleetPlanner {
	return &FleetPlanner{frames: frames, settle: settle}
}

// Name reads a script and gives the name that it bears, or one made from its content.
func (p *FleetPlanner) Name(source string, params map[string]float64) (string, error) {
	s, err := script.Prepare(source, params)
	if err != nil {
		return "", err
	}
	return s.Name.Text, nil
}

// Plan draws a revision over the frame of now.
func (p *FleetPlanner) Plan(ctx context.Context, d Draft) (*quadratv1.PlanRevision, error) {
	s, err := script.Prepare(d.Script, d.Params)
	if err != nil {
		return nil, err
	}
	rows := p.frames.Frame(queryOf(s), d.Now)
	members := membersOf(rows)
	if err := p.settle(ctx); err != nil {
		return nil, fmt.Errorf("frame: %w", err)
	}
	if len(d.Salt) != len(panel.Salt{}) {
		return nil, fmt.Errorf("salt: %d bytes", len(d.Salt))
	}
	options := plan.Options{
		Ref: d.Ref, Revision: d.Revision, FromWindow: nextWindow(s, d.Now),
		Salt: [16]byte(d.Salt), Previous: d.Previous.GetDevice(), Mechanisms: knownToAll(rows),
	}
	revision, err := plan.Build(s, members, options)
	if err != nil {
		return nil, err
	}
	known := d.Known
	if d.Knows != nil {
		known = append(slices.Clone(known), d.Knows(revision.GetDevice())...)
	}
	if options.Pilot = learned(pilot(known, revision.GetDevice()), revision.GetPlan()); options.Pilot != nil {
		if revision, err = plan.Build(s, members, options); err != nil {
			return nil, err
		}
	}
	warnOfLimits(revision, rows)
	return revision, nil
}

// warnOfLimits says how many devices of the frame will stay silent because their own policy gives less than the plan
// asks of one report, or of one category.
func warnOfLimits(revision *quadratv1.PlanRevision, rows []*fleet.Row) {
	asked, silent, what := revision.GetDevice().GetEpsilonMicro(), 0, "a report"
	if value := revision.GetDevice().GetEpsilonValueMicro(); value > 0 {
		asked, what = value, "all reports about one category"
	}
	for _, row := range rows {
		if l := row.Limits(); l != nil && (l.EpsilonMicro < asked || l.LifetimeMicro > 0 && l.LifetimeMicro < asked) {
			silent++
		}
	}
	if silent > 0 {
		revision.Plan.Warnings = append(revision.Plan.Warnings, fmt.Sprintf(
			"%d of %d devices allow less than ε = %g in %s and will stay silent", silent, len(rows), float64(asked)/1e6, what))
	}
}

// knownToAll are the mechanisms that every device of a frame has named.
func knownToAll(rows []*fleet.Row) []string {
	if len(rows) == 0 {
		return nil
	}
	known := slices.Clone(rows[0].Mechanisms())
	for _, row := range rows {
		known = slices.DeleteFunc(known, func(name string) bool { return !slices.Contains(row.Mechanisms(), name) })
		if len(known) == 0 {
			return nil
		}
	}
	return known
}

// strangersTo counts the devices of a frame that a revision can't ask, as they have not named a mechanism of its own.
func strangersTo(revision *quadratv1.PlanRevision, rows []*fleet.Row) (count int, mechanism string) {
	for _, s := range revision.GetDevice().GetStatistics() {
		if !slices.Contains(mechanisms.Announced(), s.GetMechanism()) {
			continue
		}
		mechanism = s.GetMechanism()
		for _, row := range rows {
			if !slices.Contains(row.Mechanisms(), mechanism) {
				count++
			}
		}
		return count, mechanism
	}
	return 0, ""
}

// membersOf is the frame of a query at a moment as the planner takes it.
func membersOf(rows []*fleet.Row) []plan.Member {
	members := make([]plan.Member, len(rows))
	for i, row := range rows {
		members[i] = plan.Member{ID: row.ID, Attributes: row.Attributes}
	}
	return members
}

// queryOf says which devices a script can reach.
func queryOf(s *script.Script) fleet.Query {
	q := fleet.Query{Capability: s.From.Name(), Where: s.Where.Attr(), Model: "local"}
	if s.Privacy.Model == script.None {
		q.Model = "none"
	}
	if s.Privacy.Model == script.Gateway {
		q.Model = fleet.ModelGateway
	}
	for _, statistic := range s.Select {
		for _, argument := range statistic.Args {
			if !slices.Contains(q.Readings, argument.Reading.Text) {
				q.Readings = append(q.Readings, argument.Reading.Text)
			}
		}
	}
	return q
}

// Redraw says why the previous revision no longer fits: the frame changed, or those who rested are due to take turns from
// the next window on.
func (p *FleetPlanner) Redraw(d Draft) (string, error) {
	s, err := script.Prepare(d.Script, d.Params)
	if err != nil {
		return "", err
	}
	if !d.Still {
		rows := p.frames.Frame(queryOf(s), d.Now)
		if count, mechanism := strangersTo(d.Previous, rows); count > 0 {
			return fmt.Sprintf("%d of %d devices don't know the mechanism %s", count, len(rows), mechanism), nil
		}
		if redraw, reason := plan.NeedsRedraw(d.Previous, membersOf(rows)); redraw {
			return reason, nil
		}
	}
	next := nextWindow(s, d.Now)
	if turn, ok := plan.NextTurn(d.Previous); ok && next >= turn && next%int64(d.Previous.GetDevice().GetLapWindows()) == 0 {
		return "a lap ends and others rested in it", nil
	}
	return "", nil
}

// nextWindow is the index of the first window, or pane, that starts after a moment.
func nextWindow(s *script.Script, now time.Time) int64 {
	return now.UnixMilli()/s.Window.Pane().Milliseconds() + 1
}

// Where reads a condition on attributes; nil for empty text.
func (p *FleetPlanner) Where(text string) (*attr.Predicate, error) {
	predicate, err := script.ParsePredicate(text)
	if err != nil {
		return nil, err
	}
	return predicate.Attr(), nil
}
