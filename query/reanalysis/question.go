package reanalysis

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/categories"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey"
)

// question is a checked question about one kappa.
type question struct {
	ref, name    string
	asked        []asked
	where        *attr.Predicate
	groupBy      []string
	confidence   float64
	originMs     int64           // length of the kappa's windows
	windowMs     int64           // length of those that are asked for; 0 for one over the whole span
	terms        []terms         // who answers when, by revision
	strict       bool            // the same devices answer in every window (FIXED), or their noise repeats (PER VALUE)
	permanent    bool            // the noise of a device's answers is the same in every window
	clustered    bool            // clusters were drawn
	gateways     bool            // some of which speak as sums
	kept         map[string]bool // stored statistics whose reports are kept one by one; nil for none
	samplePos    script.Pos
	kappaPos     script.Pos
	answersMost  int64                          // see [Config]
	since, until int64                          // window starts, in milliseconds; until is exclusive
	strata       map[string][]map[string]string // what each stratum's devices may have; more than one when strata were collapsed
	stratified   map[string]bool                // attributes that strata tell
	grouped      map[string]bool                // attributes that a cell tells
	wherePos     script.Pos
	privacy      *quadratv1.Privacy
	percent      float64 // of the reports to be read; 0 for another way
	margin       float64 // half-width of intervals to be reached; 0 for another way
	perCell      bool    // in every cell
	early        bool    // answers come from a growing share
}

// asked is one statistic.
type asked struct {
	name   string // in the answer
	stored string // in the rows
	kind   string
	below  string // of a ratio the stored name of the denominator
	// Of categories what they are, and of a quantile its share; of a variance what the noise does to powers.
	categories *categories.Binning
	share      float64
	powers     survey.Powers
}

// The statistics that the scores of a mean, and the bits of a proportion, answer.
var answers = map[string][]string{
	"mean": {"mean", "total"}, "total": {"mean", "total"},
	"proportion": {"proportion", "count"}, "count": {"proportion", "count"}, kindVariance: {kindVariance},
}

// needsMore tells whether sums of squares are not enough.
func (q *question) needsMore() bool {
	return slices.ContainsFunc(q.asked, func(a asked) bool { return a.categories != nil || a.kind == kindVariance })
}

// bind checks a question against a kappa's record.
func bind(record *quadratv1.KappaRecord, q *script.Stored, config Config) (*question, error) {
	revisions := record.GetRevisions()
	if len(revisions) == 0 {
		return nil, at(q.Kappa.Pos, "", "%s has no plan any more", q.Kappa.Text)
	}
	newest := revisions[len(revisions)-1]
	out := &question{
		ref: record.GetKappa().GetRef(), name: record.GetKappa().GetName(), where: q.Where.Attr(), confidence: newest.GetDevice().GetConfidence(),
		originMs: int64(newest.GetDevice().GetWindowMs()), since: math.MinInt64, until: math.MaxInt64, privacy: newest.GetPlan().GetPrivacy(),
		kappaPos: q.Kappa.Pos, answersMost: cmp.Or(config.AnswersMost, answersMost), strata: map[string][]map[string]string{}, stratified: map[string]bool{}, grouped: map[string]bool{},
	}
	if q.Confidence != nil {
		out.confidence = q.Confidence.Value
	}
	if q.Sample != nil {
		out.samplePos = q.Sample.Pos
		switch q.Sample.Size {
		case script.Percent:
			out.percent = q.Sample.Number.Value
		case script.Margin:
			out.margin, out.perCell = q.Sample.Number.Value, q.Sample.PerCell
		case script.All, script.Devices: // the parser refuses devices
		}
	}
	if q.Where != nil {
		out.wherePos = q.Where.Pos
	}
	for _, g := range q.GroupBy {
		out.groupBy = append(out.groupBy, g.Text)
	}
	out.knows(revisions)
	for _, step := range []func(*script.Stored, []*quadratv1.PlanRevision) error{out.bindDesign, out.bindStatistics, out.bindAttributes} {
		if err := step(q, revisions); err != nil {
			return nil, err
		}
	}
	return out, out.bindTime(q, config.Now)
}

func at(pos script.Pos, hint, format string, a ...any) *script.Error {
	return &script.Error{Line: pos.Line, Column: pos.Column, Message: fmt.Sprintf(format, a...), Hint: hint}
}

// knows notes which attributes cells and strata tell, in every revision.
func (q *question) knows(revisions []*quadratv1.PlanRevision) {
	for i, r := range revisions {
		d := r.GetDevice()
		q.grouped = among(d.GetGroupBy(), q.grouped, i == 0)
		q.stratified = among(d.GetStratifiedBy(), q.stratified, i == 0)
		for _, s := range d.GetStrata() {
			var members []map[string]string
			for _, m := range s.GetMembers() {
				values := map[string]string{}
				for j, a := range d.GetStratifiedBy() {
					if j < len(m.GetValues()) {
						values[a] = m.GetValues()[j]
					}
				}
				members = append(members, values)
			}
			q.strata[s.GetName()] = members
		}
	}
}

// among is the names that were known before, all of them when these are the first.
func among(names []string, before map[string]bool, first bool) map[string]bool {
	out := map[string]bool{}
	for _, name := range names {
		if first || before[name] {
			out[name] = true
		}
	}
	return out
}

// bindDesign reads how the panels were drawn, and refuses what there is no variance for.
func (q *question) bindDesign(s *script.Stored, revisions []*quadratv1.PlanRevision) error {
	for i, r := range revisions {
		d := r.GetDevice()
		t := terms{from: d.GetFromWindow(), lap: int64(d.GetLapWindows()), statistics: int64(len(d.GetStatistics()))}
		q.terms = append(q.terms, t)
		clustered := d.GetClusteredBy() != ""
		if i > 0 && clustered != q.clustered {
			return at(s.Kappa.Pos, "ask the spans apart, or export the reports and use quadrat estimate",
				"the panels of %s were clusters for a part of the time", s.Kappa.Text)
		}
		q.clustered, q.gateways = clustered, q.gateways || d.GetModel() == "gateway"
		fixed := r.GetPlan().GetRotation() == "fixed"
		q.permanent = q.permanent || d.GetEpsilonValueMicro() > 0
		q.strict = q.strict || fixed || d.GetEpsilonValueMicro() > 0
		for _, stat := range s.Select {
			turn := t.turn(stat.Kind)
			if !fixed || s.Window != nil && s.Window.Value.Milliseconds() <= max(1, turn)*q.originMs || stat.Kind != kindRatio && stat.Kind != kindVariance {
				continue
			}
			return at(stat.Pos, fmt.Sprintf("write WINDOW %v", time.Duration(q.originMs*max(1, turn))*time.Millisecond),
				"the same devices answer in every window of %s (FIXED), and a %s over several answers of one device has no variance here", s.Kappa.Text, stat.Kind)
		}
	}
	return nil
}

// bindStatistics finds the stored statistic that answers each one that is asked for.
func (q *question) bindStatistics(s *script.Stored, revisions []*quadratv1.PlanRevision) error {
	device := revisions[len(revisions)-1].GetDevice()
	stored := device.GetStatistics()
	for _, stat := range s.Select {
		i := best(stored, stat)
		if i < 0 {
			return at(stat.Pos, "it has "+listed(stored), "%s has no reports that answer %s", s.Kappa.Text, stat.Name())
		}
		one := asked{name: stat.Name(), stored: stored[i].GetName(), kind: stat.Kind}
		switch {
		case stat.Kind == kindRatio:
			one.below = stored[i+1].GetName()
		case stat.Kind == kindVariance:
			one.powers = powersOf(stored[i], device)
		case stored[i].GetCategories() > 0:
			var err error
			if one.categories, err = categoriesOf(stored[i], device); err != nil {
				return at(stat.Pos, "export the reports and use quadrat estimate", "%s can't be answered: %v", stat.Name(), err)
			}
			one.share, _ = answersBins(stored[i], stat)
			one.categories = one.categories.Of(one.share)
		}
		if (one.categories != nil || stat.Kind == kindVariance) && !q.alike(stored[i], revisions) {
			return at(stat.Pos, "ask the spans apart, or export the reports", "%s can't be answered: plans asked it with different bins or epsilon", stat.Name())
		}
		q.asked = append(q.asked, one)
	}
	return nil
}

// alike tells whether all revisions asked a statistic in the same way.
func (q *question) alike(s *quadratv1.StatisticPlan, revisions []*quadratv1.PlanRevision) bool {
	for _, r := range revisions {
		if r.GetDevice().GetEpsilonMicro() != revisions[len(revisions)-1].GetDevice().GetEpsilonMicro() {
			return false
		}
		for _, o := range r.GetDevice().GetStatistics() {
			if o.GetName() == s.GetName() && !proto.Equal(o, s) {
				return false
			}
		}
	}
	return true
}

// best is the place of the stored statistic that answers another one: of several the one that was asked just so, else one of most
// categories; −1 for none.
func best(stored []*quadratv1.StatisticPlan, s *script.Statistic) int {
	if s.Kind == kindRatio {
		return ratioOf(stored, s)
	}
	out := -1
	for i, p := range stored {
		if !serves(p, s) {
			continue
		}
		if share, _ := answersBins(p, s); p.GetKind() == s.Kind || share > 0 && math.Round(share*1e6) == float64(p.GetShareMicro()) {
			return i
		}
		if out < 0 || p.GetCategories() > stored[out].GetCategories() {
			out = i
		}
	}
	return out
}

// ratioOf is the place of the numerator of a stored ratio, behind which the denominator stands; −1 for none.
func ratioOf(stored []*quadratv1.StatisticPlan, s *script.Statistic) int {
	part := func(i, of int, word string) bool {
		p := stored[i]
		return p.GetPart() == word && p.GetReading() == s.Args[of].Reading.Text && p.GetSummary() == s.SummaryOf(s.Args[of])
	}
	for i := range len(stored) - 1 {
		if part(i, 0, "numerator") && part(i+1, 1, "denominator") {
			return i
		}
	}
	return -1
}

// serves tells whether the reports of a stored statistic answer another one.
func serves(p *quadratv1.StatisticPlan, s *script.Statistic) bool {
	if p.GetCategories() > 0 {
		_, ok := answersBins(p, s)
		return ok && p.GetReading() == s.Args[0].Reading.Text && p.GetSummary() == s.SummaryOf(s.Args[0])
	}
	if !slices.Contains(answers[p.GetKind()], s.Kind) || p.GetReading() != s.Args[0].Reading.Text ||
		p.GetSummary() != s.SummaryOf(s.Args[0]) || p.GetComparison() != s.Comparison {
		return false
	}
	return s.Comparison == "" || math.Round(s.Number.Value*1e6) == float64(p.GetThresholdMicro())
}

func listed(stored []*quadratv1.StatisticPlan) string {
	var names []string
	for _, p := range stored {
		if answers[p.GetKind()] != nil || p.GetCategories() > 0 {
			names = append(names, p.GetName())
		}
	}
	if len(names) == 0 {
		return "no statistic that can be answered from stored reports: export them and use quadrat estimate"
	}
	return strings.Join(names, ", ")
}

// bindAttributes refuses attributes that stored reports don't tell.
func (q *question) bindAttributes(s *script.Stored, _ []*quadratv1.PlanRevision) error {
	names := slices.Clone(s.GroupBy)
	for name := range s.Where.Attributes() {
		names = append(names, name)
	}
	for _, name := range names {
		if q.grouped[name.Text] || q.stratified[name.Text] {
			continue
		}
		known := slices.Sorted(maps.Keys(q.grouped))
		for other := range q.stratified {
			if !q.grouped[other] {
				known = append(known, other)
			}
		}
		slices.Sort(known)
		hint := "they tell no attribute"
		if len(known) > 0 {
			hint = "they tell " + strings.Join(known, ", ")
		}
		return at(name.Pos, hint, "the stored reports of %s don't tell %s", s.Kappa.Text, name.Text)
	}
	return nil
}

// bindTime settles the windows.
func (q *question) bindTime(s *script.Stored, now time.Time) error {
	if s.Window != nil {
		q.windowMs = s.Window.Value.Milliseconds()
		if q.windowMs%q.originMs != 0 {
			return at(s.Window.Pos, "", "a window must hold whole windows of %s, which are %v long", s.Kappa.Text, time.Duration(q.originMs)*time.Millisecond)
		}
	}
	if s.Since != nil {
		q.since = s.Since.At(now).UnixMilli()
	}
	if s.Until != nil {
		q.until = s.Until.At(now).UnixMilli()
	}
	if q.until <= q.since {
		return at(cmp.Or(s.Until, s.Since).Pos, "", "UNTIL must be later than SINCE")
	}
	return nil
}

// bucket is the start of the asked window that a window of the kappa lies in; the whole span has one.
func (q *question) bucket(startMs int64) int64 {
	if q.windowMs == 0 {
		return 0
	}
	b := startMs / q.windowMs
	if startMs%q.windowMs < 0 {
		b--
	}
	return b * q.windowMs
}

// cell gives the values of the GROUP BY attributes that reports of a stratum and a stored cell have, and false where WHERE leaves
// them out. Strata that were collapsed were drawn as one, and their reports don't tell which they are of: such a cell is named by
// the values of all, and a WHERE that parts them is an error.
func (q *question) cell(stratum string, stored map[string]string) (values map[string]string, in bool, err error) {
	members := q.strata[stratum]
	if len(members) == 0 {
		members = []map[string]string{{}}
	}
	values = make(map[string]string, len(q.groupBy))
	for i, member := range members {
		told := told(member, stored)
		if matches := q.where == nil || q.where.Match(told); i == 0 {
			in = matches
		} else if matches != in {
			return nil, false, at(q.wherePos, "leave the condition out, or name all of them",
				"the reports of stratum %s don't tell which of its parts they are of, and the condition holds for some", stratum)
		}
		for _, name := range q.groupBy {
			values[name] = joined(values[name], cmp.Or(told[name], attr.Missing), i == 0)
		}
	}
	return values, in, nil
}

// told is what a device of a stratum and a cell has; attributes of the cell go first, a missing one is absent.
func told(member, stored map[string]string) map[string]string {
	out := maps.Clone(member)
	if out == nil {
		out = map[string]string{}
	}
	for name, value := range stored {
		if value == attr.Missing {
			value = ""
		}
		out[name] = value
	}
	maps.DeleteFunc(out, func(_, value string) bool { return value == "" })
	return out
}

// joined adds a value to others that stand for one cell.
func joined(values, next string, first bool) string {
	if first || values == next {
		return next
	}
	if slices.Contains(strings.Split(values, "+"), next) {
		return values
	}
	return values + "+" + next
}
