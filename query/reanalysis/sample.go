package reanalysis

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// leastDue is how many due devices of each stratum of an asked window must be expected in what is read of it. Of 20, fewer than
// two are drawn with a probability of 4·10⁻⁸ when all of them answered.
const leastDue = 20

// looks are the shares of the reports at which SAMPLE MARGIN looks at its intervals. They don't depend on what was read: with K
// looks at the level 1 − α/K, all intervals that might be told hold together with at least 1 − α (Bonferroni), whenever one stops.
func looks() []float64 { return []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1} }

// level is the confidence of a single interval.
func (g *gathered) level(q *question, a *asked, windows []int64) float64 {
	if q.margin > 0 {
		return 1 - (1-q.confidence)/float64(len(looks()))
	}
	if share := g.shareOf(windows); q.early && share < 1 {
		return earlyLevel(q.confidence, share, g.part(a.stored, windows))
	}
	return q.confidence
}

// sampler reads the reports of a window in the order of their random numbers. Those below a number are a simple random sample of
// the window's, given how many they are, in whichever files they stand.
type sampler struct {
	g       *gathered
	q       *question
	files   *tabular.Files // that have random numbers
	buckets [][]int64
	floors  []float64         // the least share of each bucket
	whole   map[int64]bool    // windows with reports in files that have none
	read    map[int64]float64 // share of each window that was read
}

// sampler reads what can't be read in part.
func (g *gathered) sampler(ctx context.Context, q *question, files *tabular.Files) (*sampler, error) {
	ordered, others := files.Having(columnRandom)
	s := &sampler{g: g, q: q, files: ordered, buckets: g.buckets(q), whole: map[int64]bool{}, read: map[int64]float64{}}
	for _, windows := range s.buckets {
		s.floors = append(s.floors, g.floor(q, windows))
	}
	for _, span := range others.Spans(q.bound()) {
		at, _ := slices.BinarySearch(g.windows, span[0])
		for ; at < len(g.windows) && g.windows[at] <= span[1]; at++ {
			s.whole[g.windows[at]] = true
		}
	}
	return s, g.add(ctx, q, others, nil)
}

// sample reads a part of the reports, and gives what is to be said about it.
func (g *gathered) sample(ctx context.Context, q *question, files *tabular.Files) ([]string, error) {
	s, err := g.sampler(ctx, q, files)
	if err != nil {
		return nil, err
	}
	if q.percent > 0 {
		err = s.percent(ctx)
	} else {
		err = s.margin(ctx)
	}
	if err != nil {
		return nil, err
	}
	return s.notes(), nil
}

// floor is the share of an asked window that each stratum needs; of early answers all of them together.
func (g *gathered) floor(q *question, windows []int64) float64 {
	share := 0.0
	for _, a := range q.asked {
		all := int64(0)
		for _, name := range g.order[a.stored] {
			due := int64(0)
			for _, start := range windows {
				if s := g.strata[strataKey{start, a.stored, name}]; s != nil {
					due += s.panel
				}
			}
			if due > 0 && !q.early {
				share = max(share, leastDue/float64(due))
			}
			all += due
		}
		if q.early && all > 0 { // strata with fewer are joined
			share = max(share, leastDue/float64(all))
		}
	}
	return min(1, share)
}

// upTo reads on until of each bucket the share that is asked for has been read, and what must be read in any case.
func (s *sampler) upTo(ctx context.Context, shares []float64) error {
	next := make(map[int64]float64, len(s.read))
	for i, windows := range s.buckets {
		share := max(shares[i], s.floors[i])
		for _, start := range windows {
			next[start] = max(s.read[start], share)
			if s.whole[start] {
				next[start] = 1
			}
		}
	}
	err := s.g.add(ctx, s.q, s.files, func(start int64) (from, below float64) { return s.read[start], next[start] })
	s.read, s.g.shares = next, next
	return err
}

// percent reads a share of all reports.
func (s *sampler) percent(ctx context.Context) error {
	return s.upTo(ctx, slices.Repeat([]float64{s.q.percent / 100}, len(s.buckets)))
}

// margin reads until the intervals of each asked window are short enough, or all of it is read.
func (s *sampler) margin(ctx context.Context) error {
	steps := looks()
	shares := slices.Repeat(steps[:1:1], len(s.buckets))
	for {
		if err := s.upTo(ctx, shares); err != nil {
			return err
		}
		more := false
		for i, windows := range s.buckets {
			read := max(shares[i], s.floors[i])
			worst := s.g.worst(s.q, windows)
			if worst <= s.q.margin || read >= 1 {
				continue
			}
			more = true
			shares[i] = s.nextLook(steps, read, worst/s.q.margin)
		}
		if !more {
			return nil
		}
	}
}

// nextLook is the first look that may do, as far as the last one tells: the variance falls at least as fast as the share grows. A
// look that is passed over needs no correction, since all of them are paid for.
func (s *sampler) nextLook(steps []float64, read, tooLong float64) float64 {
	const hope = 0.8 // of what the last look says; it may be wrong
	needed := 0.0
	if !math.IsInf(tooLong, 0) {
		needed = hope * read * tooLong * tooLong
	}
	for _, step := range steps {
		if step > read && step >= needed {
			return step
		}
	}
	return steps[len(steps)-1]
}

// worst is the greatest half-width among the intervals that a margin is asked of; infinite where there is no estimate.
func (g *gathered) worst(q *question, windows []int64) float64 {
	worst := 0.0
	for i := range q.asked {
		for domain := allCells; domain < len(g.domains); domain++ {
			if domain != allCells && !q.perCell {
				break
			}
			for _, r := range g.tellAll(q, &q.asked[i], windows, domain) {
				worst = max(worst, halfWidth(r))
			}
		}
	}
	return worst
}

func halfWidth(r *quadratv1.Result) float64 {
	if r.CiLow == nil || r.CiHigh == nil {
		return math.Inf(1)
	}
	return (r.GetCiHigh() - r.GetCiLow()) / 2
}

// notes tells what was not read as asked.
func (s *sampler) notes() []string {
	var out []string
	if n := len(s.whole); n > 0 {
		out = append(out, fmt.Sprintf("%d windows are read whole: some of their reports are in files of a format without random numbers", n))
	}
	raised, missed := 0, 0
	for i, windows := range s.buckets {
		if s.q.percent > 0 && s.floors[i] > s.q.percent/100 {
			raised++
		}
		if s.q.margin > 0 && s.g.worst(s.q, windows) > s.q.margin {
			missed++
		}
	}
	if raised > 0 {
		out = append(out, fmt.Sprintf("of %d of %d answered windows more is read than asked: each stratum needs %d due devices", raised, len(s.buckets), leastDue))
	}
	if missed > 0 {
		out = append(out, fmt.Sprintf("in %d of %d answered windows the margin isn't reached although all reports are read", missed, len(s.buckets)))
	}
	return out
}

// rate is the share of the due devices that answered, as estimated from a part of the reports; false when all were read.
func (g *gathered) rate(statistic string, windows []int64) (float64, bool) {
	answered, due, part := 0.0, 0.0, false
	for _, start := range windows {
		share, known := g.shares[start]
		if !known || share >= 1 {
			share = 1
		}
		part = part || share < 1
		for _, name := range g.order[statistic] {
			if s := g.strata[strataKey{start, statistic, name}]; s != nil {
				answered, due = answered+float64(s.responses)/share, due+float64(s.panel)
			}
		}
	}
	if !part || due == 0 {
		return 0, false
	}
	return min(1, answered/due), true
}
