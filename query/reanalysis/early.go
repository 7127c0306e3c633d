package reanalysis

import (
	"context"
	"math"
	"slices"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey/confseq"
)

const (
	// earlyReports is how many reports the first early answer waits for, over all asked windows.
	earlyReports = 1000
	// earlyLeast is the least share of the reports that is looked at.
	earlyLeast = 1.0 / 1024
	// earlyBest is the share at which early intervals are shortest beside those of a single look.
	earlyBest = 0.01
)

// Watch answers a question without SAMPLE early, from a growing share of the reports, and at last exactly, as [Answer] does. tell is
// called with each answer in turn, and ends it with an error.
//
// Early intervals are a confidence sequence: of one result all of them together hold the truth with the confidence, so that one may stop
// at any, for whatever reason. A share of the reports of a window is a simple random sample without replacement of what all of them are a
// sample of, and a larger share holds a smaller one, so that the error of the estimate, over its variance, is a sum whose steps are
// uncorrelated and, for large samples, normal: a Brownian motion in the time 1/V̂, which the normal mixture bounds at all times (Robbins
// 1970; Howard, Ramdas, McAuliffe and Sekhon 2021; in this asymptotic form Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2024). The
// time is taken from the design and not from the data: p/(1 − fp) at the share p where all reports are the part f of the frame, which is
// 1/V up to a factor without noise; with noise it grows slower at the end, which makes the sequence longer than needed.
//
// What clusters say, and devices of categories several times in an asked window, belongs together: of such a question only the exact answer
// comes.
//
// The interval of the exact answer is as ever of one look. An asked window that is read whole early is told exactly from then on.
func Watch(ctx context.Context, archive Archive, record *quadratv1.KappaRecord, s *script.Stored, config Config, tell func(*Answered) error) error {
	if s.Sample != nil && s.Sample.Size != script.All {
		answer, err := Answer(ctx, archive, record, s, config)
		if err != nil {
			return err
		}
		return tell(answer)
	}
	q, err := bind(record, s, config)
	if err != nil {
		return err
	}
	q.early = true
	g, err := gather(ctx, archive, q)
	if err != nil {
		return err
	}
	return g.open(ctx, archive, q, func(f *opened) error {
		if g.together {
			q.early = false
			return g.exact(ctx, q, s, config, f, tell)
		}
		sampler, err := g.sampler(ctx, q, f.Files)
		if err != nil {
			return err
		}
		for share := g.firstShare(q); ; share = min(1, 2*share) {
			if share < 1 && sampler.done(share) {
				continue
			}
			if err := sampler.upTo(ctx, slices.Repeat([]float64{share}, len(sampler.buckets))); err != nil {
				return err
			}
			answer := &Answered{Windows: len(g.windows), Rows: f.read(g), Stored: f.stored, Files: f.count, Early: share < 1, Share: share}
			if answer.Results, err = g.results(q, s, config); err != nil {
				return err
			}
			if err := tell(answer); err != nil || share == 1 {
				return err
			}
		}
	})
}

// exact reads everything and tells the one answer.
func (g *gathered) exact(
	ctx context.Context, q *question, s *script.Stored, config Config, f *opened, tell func(*Answered) error,
) error {
	if err := g.add(ctx, q, f.Files, nil); err != nil {
		return err
	}
	answer := &Answered{Windows: len(g.windows), Rows: f.read(g), Stored: f.stored, Files: f.count, Share: 1}
	var err error
	if answer.Results, err = g.results(q, s, config); err != nil {
		return err
	}
	return tell(answer)
}

// firstShare is the share of the first early answer, 1 over a power of two.
func (g *gathered) firstShare(q *question) float64 {
	due := int64(0)
	for _, a := range q.asked {
		for _, start := range g.windows {
			for _, name := range g.order[a.stored] {
				if s := g.strata[strataKey{start, a.stored, name}]; s != nil {
					due += s.panel
				}
			}
		}
	}
	share := earlyLeast
	for share < 1 && share*float64(due) < earlyReports {
		share *= 2
	}
	return share
}

// done tells whether a share would read nothing that a look before has not read, or all there is.
func (s *sampler) done(share float64) bool {
	more, rest := false, false
	for i, windows := range s.buckets {
		for _, start := range windows {
			next := max(share, s.floors[i])
			if s.whole[start] {
				next = 1
			}
			more = more || next > s.read[start]
			rest = rest || next < 1
		}
	}
	return !more || !rest
}

// earlyLevel is the confidence of a single interval that is one of a sequence, when a share of the reports was read that are the part of
// the frame.
func earlyLevel(confidence, share, part float64) float64 {
	timeAt := func(p float64) float64 { return p / (1 - part*p) }
	alpha := 1 - confidence
	mixture, err := confseq.NewNormal(timeAt(earlyBest), alpha, confseq.TwoSided)
	if err != nil {
		return confidence
	}
	t := timeAt(share)
	return math.Erf(mixture.Bound(t, alpha) / math.Sqrt(2*t))
}

// part is how many device-windows of the frame were due for a statistic in some windows, over all of them.
func (g *gathered) part(statistic string, windows []int64) float64 {
	due, all := int64(0), int64(0)
	for _, start := range windows {
		for _, name := range g.order[statistic] {
			if s := g.strata[strataKey{start, statistic, name}]; s != nil {
				due, all = due+s.panel, all+s.population
			}
		}
	}
	if all == 0 {
		return 0
	}
	return float64(due) / float64(all)
}

// shareOf is the least share that was read of any of some windows.
func (g *gathered) shareOf(windows []int64) float64 {
	share := 1.0
	for _, start := range windows {
		if p, part := g.shares[start]; part {
			share = min(share, p)
		}
	}
	return share
}
