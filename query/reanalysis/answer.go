package reanalysis

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey"
)

// leastResponses is how many reports a stratum needs to be estimated on its own, as in the engine.
const leastResponses = 2

// The bounds of a span that is open.
const (
	minMs = math.MinInt64
	maxMs = math.MaxInt64
)

// Config bounds and dates an answer. Now is required.
type Config struct {
	Now time.Time // what "so long ago" counts from
	// ResultsMost is the most results; more are refused. Default: 100,000.
	ResultsMost int
	// AnswersMost is the most reports that are kept one by one, 40 bytes each, where devices answer several times in an asked window.
	// Beyond, where the same devices answer in every window (FIXED) or their noise repeats (PER VALUE), the variance of scores is an upper bound,
	// and categories are refused; elsewhere answers are taken as independent, and a warning says so. Default: 4,000,000.
	AnswersMost int64
}

// Answered is an answer, and what was read for it.
type Answered struct {
	Results []*quadratv1.Result // by window, statistic, and cell, the one over all cells first
	Windows int                 // windows of the kappa that were closed in the span
	Rows    int64               // reports that were read
	Stored  int64               // reports that would be read without SAMPLE
	Files   int
	Notes   []string // what the reader should know of how it was read
	Early   bool     // one of several, see [Watch]
	Share   float64  // of the reports of each window that was read at least; 1 for all, in an answer without SAMPLE
}

// Answer answers a question about the stored reports of a kappa. Over its own windows the results are those that the engine made
// last, to rounding. Longer windows take each window of the kappa as a stratum of its own: a mean or a proportion is that of all
// device-windows, a total or a count the mean of the windows'. The variance adds up over windows (Särndal, Swensson and Wretman
// 1992, §3.7), which is not too small: two panels of one lap are disjoint, and the means of disjoint simple random samples of
// one population have the covariance −S²/N; over whole laps of values that stay there is no sampling error at all.
//
// Where a device answers several times in a window that is asked for, its answers belong together: those of a mean, a total, a proportion and
// a count by [survey.Repeats], those of categories, and what clusters say, as one number of the unit that was drawn.
//
// A broken question gives a *script.Error with its place.
func Answer(ctx context.Context, archive Archive, record *quadratv1.KappaRecord, s *script.Stored, config Config) (*Answered, error) {
	q, err := bind(record, s, config)
	if err != nil {
		return nil, err
	}
	g, err := gather(ctx, archive, q)
	if err != nil {
		return nil, err
	}
	out := &Answered{Windows: len(g.windows), Share: 1}
	if err := out.read(ctx, archive, q, g); err != nil {
		return nil, err
	}
	out.Results, err = g.results(q, s, config)
	return out, err
}

// results makes the results of what was read.
func (g *gathered) results(q *question, s *script.Stored, config Config) ([]*quadratv1.Result, error) {
	most := config.ResultsMost
	if most == 0 {
		most = 100_000
	}
	buckets := g.buckets(q)
	each := 0
	for i := range q.asked {
		each += q.asked[i].results()
	}
	if n := len(buckets) * each * (len(g.domains) + 1); n > most {
		return nil, at(s.Kappa.Pos, "take longer windows, fewer cells or a shorter span", "the answer would have %d results, at most %d are given", n, most)
	}
	var out []*quadratv1.Result
	for _, windows := range buckets {
		for i := range q.asked {
			out = append(out, g.tellAll(q, &q.asked[i], windows, allCells)...)
			for _, domain := range g.sorted() {
				out = append(out, g.tellAll(q, &q.asked[i], windows, domain)...)
			}
		}
	}
	return out, nil
}

// read reads the reports that the question needs.
func (out *Answered) read(ctx context.Context, archive Archive, q *question, g *gathered) error {
	return g.open(ctx, archive, q, func(f *opened) (err error) {
		if q.percent == 0 && q.margin == 0 {
			err = g.add(ctx, q, f.Files, nil)
		} else {
			out.Notes, err = g.sample(ctx, q, f.Files)
			out.Share = g.shareOf(g.windows)
		}
		out.Rows, out.Stored, out.Files = f.read(g), f.stored, f.count
		return err
	})
}

// opened is the files with the reports that a question is about.
type opened struct {
	*tabular.Files

	stored int64 // reports in them, at most
	count  int
}

// read is how many of the reports were read. Those on a page that two looks share are read twice and counted once for each, but never
// more than there are.
func (f *opened) read(g *gathered) int64 { return min(g.rows, f.stored) }

// open opens the files for use.
func (g *gathered) open(ctx context.Context, archive Archive, q *question, use func(*opened) error) error {
	found, release, err := archive.ReportFiles(ctx, q.ref, spanOf(q.since), spanOf(q.until))
	if err != nil {
		return fmt.Errorf("stored reports: %w", err)
	}
	defer release()
	files, err := tabular.OpenFiles(found)
	if err != nil {
		return fmt.Errorf("stored reports: %w", err)
	}
	defer files.Close()
	out := &opened{Files: files, stored: files.Rows(q.bound()), count: len(found)}
	if err := g.plan(q, out.stored); err != nil {
		return err
	}
	return use(out)
}

// plan settles which reports are kept one by one, of so many that there are.
func (g *gathered) plan(q *question, stored int64) error {
	part := q.percent > 0 || q.margin > 0
	if q.percent > 0 {
		stored = int64(float64(stored) * q.percent / 100)
	}
	again := map[string]bool{}
	for _, windows := range g.buckets(q) {
		for i := range q.asked {
			a := &q.asked[i]
			binned := a.categories != nil && !a.categories.Shape
			if q.repeats(a, windows) && (binned || estimators[a.kind] != nil) {
				again[a.stored] = again[a.stored] || binned
			}
		}
	}
	if g.clustered || len(again) == 0 || !q.strict && (part || stored > q.answersMost) {
		return g.whole(q, part, false)
	}
	g.keep, g.lost = true, stored > q.answersMost
	binned := slices.Contains(slices.Collect(maps.Values(again)), true)
	if g.lost && binned {
		return at(q.kappaPos, "ask for a shorter span, or for windows in which a device answers once",
			"some %d reports would have to be kept one by one, since devices answer several times in a window, and at most %d are", stored, q.answersMost)
	}
	if !g.lost {
		q.kept = map[string]bool{}
		for statistic := range again {
			q.kept[statistic] = true
		}
	}
	return g.whole(q, part, binned)
}

// whole refuses a part of the reports where what one cluster or device said belongs together.
func (g *gathered) whole(q *question, part, binned bool) error {
	g.together = g.clustered || binned
	switch {
	case part && g.clustered:
		return at(q.samplePos, "leave SAMPLE out", "the reports of a cluster belong together, and a part of them is no sample of clusters")
	case part && binned:
		return at(q.samplePos, "leave SAMPLE out", "the answers that a device gives in a window belong together, and a part of them is no sample of devices")
	}
	return nil
}

// buckets are the kappa's windows by asked window, in order.
func (g *gathered) buckets(q *question) [][]int64 {
	var out [][]int64
	for i, start := range g.windows {
		if i == 0 || q.bucket(start) != q.bucket(g.windows[i-1]) {
			out = append(out, nil)
		}
		out[len(out)-1] = append(out[len(out)-1], start)
	}
	return out
}

// tellAll makes the results of a statistic in a domain over some windows: several of one about categories.
func (g *gathered) tellAll(q *question, a *asked, windows []int64, domain int) []*quadratv1.Result {
	first, last := windows[0], windows[len(windows)-1]+q.originMs
	if q.windowMs > 0 {
		first = q.bucket(first)
		last = first + q.windowMs
	}
	out := &quadratv1.Result{
		Kappa: q.name, Ref: q.ref, WindowStart: timestamppb.New(time.UnixMilli(first)), WindowEnd: timestamppb.New(time.UnixMilli(last)),
		Revision: 1, Final: true, Statistic: a.name, Confidence: q.confidence, Privacy: q.privacy, Cell: map[string]string{},
	}
	if domain != allCells {
		out.Cell = g.domains[domain]
	}
	g.warn(q, a, windows, out)
	switch {
	case a.categories != nil:
		return g.bins(q, a, windows, domain, out)
	case g.byUnits(q, a, windows):
		g.count(out, a.stored, windows, domain)
		e, notes, err := g.solveUnits(q, a, windows, domain, 0)
		note(out, notes)
		g.tell(q, a, out, e, err, windows)
		return []*quadratv1.Result{out}
	}
	g.count(out, a.stored, windows, domain)
	if a.below != "" {
		g.count(out, a.below, windows, domain)
	}
	rest, err := g.strataFor(q, a, windows, domain)
	var e survey.Estimate
	if level := g.level(q, a, windows); err == nil {
		note(out, rest.notes)
		switch a.kind {
		case kindVariance:
			e, err = survey.Variance(rest.merged, a.powers, level)
		case kindRatio:
			e, err = g.ratio(q, a, rest, windows, domain, out)
		default:
			e, err = estimators[a.kind](rest.merged, g.repeated(q, a, rest, windows, domain), level)
		}
	}
	g.tell(q, a, out, e, err, windows)
	return []*quadratv1.Result{out}
}

// warn says what is not known of devices that answer several times in some windows.
func (g *gathered) warn(q *question, a *asked, windows []int64, out *quadratv1.Result) {
	if !q.repeats(a, windows) || a.categories != nil && a.categories.Shape {
		return
	}
	if g.byUnits(q, a, windows) {
		if n := len(q.termsIn(windows)); n > 1 {
			out.Warnings = append(out.Warnings, fmt.Sprintf("%d plans were in force in this window, and what a device or a cluster said under one is taken as "+
				"independent of what it said under another: the interval may be too short", n))
		}
		return
	}
	t, _ := q.termsAt(windows[len(windows)-1])
	again := fmt.Sprintf("a device answers again after %d windows of %v, ", t.turn(a.kind), time.Duration(q.originMs)*time.Millisecond)
	switch {
	case !g.keep || estimators[a.kind] == nil:
		out.Warnings = append(out.Warnings, again+"and its answers are taken as independent: the "+
			"interval is too long where readings stay, and too short where they come again lap by lap")
	case g.lost:
		out.Warnings = append(out.Warnings, again+"and these are too many answers to be kept one by one: those of one device are taken to be as "+
			"alike as they can be, so the interval may be too wide")
	}
}

// ratio estimates a ratio whose numerator rests on some strata.
func (g *gathered) ratio(q *question, a *asked, above *rests, windows []int64, domain int, out *quadratv1.Result) (survey.Estimate, error) {
	other := *a
	other.stored = a.below
	below, err := g.strataFor(q, &other, windows, domain)
	if err != nil {
		return survey.Estimate{}, err
	}
	note(out, below.notes)
	return survey.Ratio(above.merged, below.merged, g.level(q, a, windows))
}

// note adds notes that a result doesn't have yet.
func note(out *quadratv1.Result, notes []string) {
	for _, n := range notes {
		if !slices.Contains(out.GetWarnings(), n) {
			out.Warnings = append(out.Warnings, n)
		}
	}
}

// count adds who was due and who answered a stored statistic, whether or not there is an estimate; population is that of one window, as in the
// live results.
func (g *gathered) count(out *quadratv1.Result, statistic string, windows []int64, domain int) {
	population := int64(0)
	for _, s := range g.each(statistic, windows) {
		population += s.population
		of := s.in(domain)
		out.Reports += uint32(of.moments.Count)
		if domain == allCells {
			out.Panel += uint32(s.panel)
		}
	}
	if domain == allCells {
		out.Population = uint32(math.Round(float64(population) / float64(len(windows))))
	}
}

// each lists the strata of a statistic in some windows.
func (g *gathered) each(statistic string, windows []int64) []*stratum {
	var out []*stratum
	for _, start := range windows {
		for _, name := range g.order[statistic] {
			if s := g.strata[strataKey{start, statistic, name}]; s != nil {
				out = append(out, s)
			}
		}
	}
	return out
}

// answered is the share of the due devices that answered, when all reports were read.
func (g *gathered) answered(a *asked, windows []int64) float64 {
	responses, due := int64(0), int64(0)
	for _, s := range g.each(a.stored, windows) {
		responses, due = responses+s.responses, due+s.panel
	}
	if due == 0 {
		return 0
	}
	return float64(responses) / float64(due)
}

// tell writes an estimate, or why there is none, into a result.
func (g *gathered) tell(q *question, a *asked, out *quadratv1.Result, e survey.Estimate, err error, windows []int64) {
	if err != nil {
		out.Warnings = append(out.Warnings, "no estimate: "+err.Error())
		return
	}
	if rate, part := g.rate(a.stored, windows); part {
		e.ResponseRate = rate
	} else if g.byUnits(q, a, windows) { // the estimate doesn't know units that said nothing
		e.ResponseRate = g.answered(a, windows)
	}
	fill(out, e.Over(perWindow(a.kind, len(windows))))
	if q.gateways && e.DesignEffect == 0 {
		out.DesignEffect = nil // not known where gateways tell sums
	}
}

var estimators = map[string]func([]survey.Sample, *survey.Repeats, float64) (survey.Estimate, error){
	"mean": survey.MeanOf, "total": survey.TotalOf, "proportion": survey.ProportionOf, "count": survey.CountOf,
}

// perWindow is what an estimate over all device-windows is divided by: sums are told for one window.
func perWindow(kind string, windows int) float64 {
	if kind == "total" || kind == "count" {
		return float64(windows)
	}
	return 1
}

func fill(r *quadratv1.Result, e survey.Estimate) {
	r.Value, r.StdError = new(e.Value), new(e.StdError)
	r.CiLow, r.CiHigh = new(e.Low), new(e.High)
	r.VarianceSampling, r.VariancePrivacy = new(e.VarianceSampling), new(e.VariancePrivacy)
	r.DesignEffect, r.DegreesOfFreedom, r.ResponseRate = new(e.DesignEffect), new(e.DegreesOfFreedom), e.ResponseRate
	r.Warnings = append(r.Warnings, e.Warnings...)
}

// strataFor gives what an estimate rests on. Of one window they are the engine's, of several those of each window, see
// [survey.JoinPanes].
func (g *gathered) strataFor(q *question, a *asked, windows []int64, domain int) (*rests, error) {
	share := g.shareOf(windows)
	early := q.early && share < 1
	panes, out := make([]survey.Pane, len(windows)), &rests{}
	for w, start := range windows {
		panes[w].Label = time.UnixMilli(start).UTC().Format(time.RFC3339)
		for _, name := range g.order[a.stored] {
			s := g.strata[strataKey{start, a.stored, name}]
			if s == nil {
				continue
			}
			if len(windows) == 1 && !early && s.responses == 0 && s.panel >= leastResponses {
				if err := g.silent(s, name, domain); err != nil {
					return nil, err
				}
				continue
			}
			panes[w].Strata = append(panes[w].Strata, s.sample(name, domain))
			out.of = append(out.of, s)
		}
	}
	var into [][]int
	if early {
		out.merged, into, out.notes = survey.JoinPanesByDue(panes, int64(math.Ceil(leastDue/share)))
	} else {
		out.merged, into, out.notes = survey.JoinPanes(panes, leastResponses)
	}
	out.into = slices.Concat(into...)
	kept := out.of[:0]
	places := out.into[:0]
	for i, at := range out.into {
		if at >= 0 {
			kept, places = append(kept, out.of[i]), append(places, at)
		}
	}
	out.of, out.into = kept, places
	return out, nil
}

// silent is the engine's rule: a stratum in which enough were due and nobody answered stands for nobody else, so a domain that
// has members there gets no estimate; others do without it.
func (g *gathered) silent(s *stratum, name string, domain int) error {
	if domain == allCells || g.holds[domainKey{name, domain}] {
		return &survey.Error{Code: survey.NoReports, Stratum: name, Detail: fmt.Sprintf("%d devices, %d due", s.population, s.panel)}
	}
	return nil
}
