package reanalysis

import (
	"context"
	"fmt"
	"math"
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
// A broken question gives a *script.Error with its place.
func Answer(ctx context.Context, archive Archive, record *quadratv1.KappaRecord, s *script.Stored, config Config) (*Answered, error) {
	q, err := bind(record, s, config.Now)
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
	if n := len(buckets) * len(q.asked) * (len(g.domains) + 1); n > most {
		return nil, at(s.Kappa.Pos, "take longer windows, fewer cells or a shorter span", "the answer would have %d results, at most %d are given", n, most)
	}
	var out []*quadratv1.Result
	for _, windows := range buckets {
		for i := range q.asked {
			out = append(out, g.result(q, &q.asked[i], windows, allCells))
			for _, domain := range g.sorted() {
				out = append(out, g.result(q, &q.asked[i], windows, domain))
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
		out.Rows, out.Stored, out.Files = g.rows, f.stored, f.count
		return err
	})
}

// opened is the files with the reports that a question is about.
type opened struct {
	*tabular.Files

	stored int64 // reports in them, at most
	count  int
}

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
	return use(&opened{Files: files, stored: files.Rows(q.bound()), count: len(found)})
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

// result estimates a statistic in a domain over some windows.
func (g *gathered) result(q *question, a *asked, windows []int64, domain int) *quadratv1.Result {
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
	strata, notes, err := g.strataFor(q, a, windows, domain)
	var e survey.Estimate
	if err == nil {
		e, err = estimators[a.kind](strata, g.level(q, a, windows))
	}
	for _, s := range strata {
		out.Reports += uint32(s.Domain.Count)
		if domain == allCells {
			out.Population, out.Panel = out.GetPopulation()+uint32(s.Population), out.GetPanel()+uint32(s.Panel)
		}
	}
	if domain == allCells { // of one window, as in the live results
		out.Population = uint32(math.Round(float64(out.GetPopulation()) / float64(len(windows))))
	}
	out.Warnings = notes
	if err != nil {
		out.Warnings = append(out.Warnings, "no estimate: "+err.Error())
		return out
	}
	if rate, part := g.rate(a.stored, windows); part {
		e.ResponseRate = rate
	}
	fill(out, e, perWindow(a.kind, len(windows)))
	return out
}

var estimators = map[string]func([]survey.Sample, float64) (survey.Estimate, error){
	"mean": survey.Mean, "total": survey.Total, "proportion": survey.Proportion, "count": survey.Count,
}

// perWindow is what an estimate over all device-windows is divided by: sums are told for one window.
func perWindow(kind string, windows int) float64 {
	if kind == "total" || kind == "count" {
		return float64(windows)
	}
	return 1
}

func fill(r *quadratv1.Result, e survey.Estimate, by float64) {
	r.Value, r.StdError = new(e.Value/by), new(e.StdError/by)
	r.CiLow, r.CiHigh = new(e.Low/by), new(e.High/by)
	r.VarianceSampling, r.VariancePrivacy = new(e.VarianceSampling/(by*by)), new(e.VariancePrivacy/(by*by))
	r.DesignEffect, r.DegreesOfFreedom, r.ResponseRate = new(e.DesignEffect), new(e.DegreesOfFreedom), e.ResponseRate
	r.Warnings = append(r.Warnings, e.Warnings...)
}

// strataFor gives what an estimate rests on. Of one window they are the engine's, of several those of each window, see
// [survey.JoinPanes].
func (g *gathered) strataFor(q *question, a *asked, windows []int64, domain int) ([]survey.Sample, []string, error) {
	share := g.shareOf(windows)
	early := q.early && share < 1
	if len(windows) == 1 && !early {
		return g.ofWindow(a, windows[0], domain)
	}
	panes := make([]survey.Pane, len(windows))
	for w, start := range windows {
		panes[w].Label = time.UnixMilli(start).UTC().Format(time.RFC3339)
		for _, name := range g.order[a.stored] {
			if s := g.strata[strataKey{start, a.stored, name}]; s != nil {
				panes[w].Strata = append(panes[w].Strata, s.sample(name, domain))
			}
		}
	}
	if early {
		merged, _, notes := survey.JoinPanesByDue(panes, int64(math.Ceil(leastDue/share)))
		return merged, notes, nil
	}
	merged, _, notes := survey.JoinPanes(panes, leastResponses)
	return merged, notes, nil
}

// ofWindow is the engine's rule: a stratum in which enough were due and nobody answered stands for nobody else, so a domain that
// has members there gets no estimate; others are collapsed.
func (g *gathered) ofWindow(a *asked, start int64, domain int) ([]survey.Sample, []string, error) {
	var samples []survey.Sample
	for _, name := range g.order[a.stored] {
		s := g.strata[strataKey{start, a.stored, name}]
		if s == nil {
			continue
		}
		if s.responses > 0 || s.panel < leastResponses {
			samples = append(samples, s.sample(name, domain))
			continue
		}
		if domain == allCells || g.holds[domainKey{name, domain}] {
			return nil, nil, &survey.Error{
				Code: survey.NoReports, Stratum: name, Detail: fmt.Sprintf("%d devices, %d due", s.population, s.panel),
			}
		}
	}
	merged, _, notes := survey.Collapse(samples, leastResponses)
	return merged, notes, nil
}
