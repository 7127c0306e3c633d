package reanalysis

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/quadrat-dev/quadrat/survey"
)

// answersMost is the default of [Config].
const answersMost = 4_000_000

// terms is what a revision of the plan says of who answers when.
type terms struct {
	from, lap, statistics int64
}

// turn is after how many windows a device answers a statistic again; the two parts of a ratio count as one question.
func (t *terms) turn(kind string) int64 {
	if kind == kindRatio {
		return t.lap
	}
	return t.lap * t.statistics
}

// index is the number of a window, from the UTC epoch.
func (q *question) index(startMs int64) int64 { return startMs / q.originMs }

// termsAt gives what holds in a window, and which revision says so.
func (q *question) termsAt(startMs int64) (*terms, int) {
	for i := len(q.terms) - 1; i > 0; i-- {
		if q.terms[i].from <= q.index(startMs) {
			return &q.terms[i], i
		}
	}
	return &q.terms[0], 0
}

// termsIn is what holds in some windows, in order, of every revision that was in force in one of them or between.
func (q *question) termsIn(windows []int64) []terms {
	_, first := q.termsAt(windows[0])
	_, last := q.termsAt(windows[len(windows)-1])
	return q.terms[first : last+1]
}

// repeats tells whether some windows, in order, may hold several answers of one device to a statistic: under the revision by which it
// answers again soonest.
func (q *question) repeats(a *asked, windows []int64) bool {
	span := q.index(windows[len(windows)-1]) - q.index(windows[0])
	return slices.ContainsFunc(q.termsIn(windows), func(t terms) bool {
		turn := t.turn(a.kind)
		return turn > 0 && span >= turn
	})
}

// class tells windows apart by whom they ask: those of one class ask the same devices of a stratum.
type class struct {
	revision int
	place    int64
}

func (q *question) class(a *asked, startMs int64) class {
	t, revision := q.termsAt(startMs)
	return class{revision, q.index(startMs) % max(1, t.turn(a.kind))}
}

// absent is the domain of a report that WHERE leaves out.
const absent = -2

// single is one report that is kept by itself.
type single struct {
	device uint64
	value  uint64 // the bits of the score, or the answer of categories
	at     *stratum
	domain int32 // allCells without GROUP BY, absent when WHERE leaves it out
}

// score is the score of a report that isn't about categories.
func (s *single) score() float64 { return math.Float64frombits(s.value) }

// inside tells whether the report lies in a domain.
func (s *single) inside(domain int) bool {
	return s.domain != absent && (domain == allCells || int(s.domain) == domain)
}

// singlesOf gives the reports of a statistic in some windows, by device and in order of time.
func (g *gathered) singlesOf(statistic string, windows []int64) []single {
	all := g.singles[statistic]
	if !g.ordered[statistic] {
		slices.SortFunc(all, func(a, b single) int { return cmp.Compare(a.at.startMs, b.at.startMs) })
		g.ordered[statistic] = true
	}
	from, _ := slices.BinarySearchFunc(all, windows[0], func(s single, start int64) int { return cmp.Compare(s.at.startMs, start) })
	to, _ := slices.BinarySearchFunc(all, windows[len(windows)-1]+1, func(s single, start int64) int { return cmp.Compare(s.at.startMs, start) })
	key := span{statistic, windows[0], to - from}
	if g.lastSpan == key {
		return g.lastSingles
	}
	out := slices.Clone(all[from:to])
	slices.SortFunc(out, func(a, b single) int {
		return cmp.Or(cmp.Compare(a.device, b.device), cmp.Compare(a.at.startMs, b.at.startMs))
	})
	g.lastSpan, g.lastSingles = key, out
	return out
}

// span names the reports of a statistic that were sorted last.
type span struct {
	statistic string
	from      int64
	reports   int
}

// repeated says which devices answered several times what the strata of an estimate rest on; nil where none can have.
func (g *gathered) repeated(q *question, a *asked, rest *rests, windows []int64, domain int) *survey.Repeats {
	if !g.keep || !q.repeats(a, windows) {
		return nil
	}
	type place struct {
		class

		stratum string
	}
	out := &survey.Repeats{Class: make([]int, len(rest.merged))}
	classes, told, into := map[place]int{}, make([]bool, len(rest.merged)), make(map[*stratum]int, len(rest.of))
	for i, s := range rest.of {
		at := rest.into[i]
		into[s] = at
		if told[at] {
			continue
		}
		told[at] = true
		name := place{q.class(a, s.startMs), s.name}
		number, known := classes[name]
		if !known {
			number = len(classes)
			classes[name] = number
		}
		out.Class[at] = number
	}
	if g.lost {
		return out
	}
	singles := g.singlesOf(a.stored, windows)
	out.Units = func(yield func([]survey.Answer) bool) {
		var of []survey.Answer
		for i := range singles {
			s := &singles[i]
			if i > 0 && singles[i-1].device != s.device {
				if len(of) > 1 && !yield(of) {
					return
				}
				of = of[:0]
			}
			if at, stands := into[s.at]; stands {
				of = append(of, survey.Answer{Stratum: at, Score: s.score(), Inside: s.inside(domain)})
			}
		}
		if len(of) > 1 {
			yield(of)
		}
	}
	return out
}

// label names a window in notes.
func label(startMs int64) string { return time.UnixMilli(startMs).UTC().Format(time.RFC3339) }
