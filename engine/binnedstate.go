package engine

import (
	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/survey"
)

// supports appends the sets' state of a window, in the order of its moments, which hold the counts.
func (w *encoder) supports(each *window) {
	for i := range each.supports {
		s := &each.supports[i]
		if each.moments[i].Count == 0 {
			continue
		}
		w.uint(uint64(len(s.Hits)))
		for _, n := range s.Hits {
			w.int(n)
		}
		w.uint(uint64(len(s.Squares)))
		for _, n := range s.Squares {
			w.int(n)
		}
	}
}

// supports reads what the encoder's supports wrote.
func (r *decoder) supports(w *window) {
	w.supports = make([]survey.Support, len(w.moments))
	for i := range w.supports {
		n := w.moments[i].Count
		if n == 0 {
			continue
		}
		s := survey.Support{}
		for range r.count() {
			s.Hits = append(s.Hits, r.int())
		}
		if len(s.Hits) > categories.Word && r.version < checkpointCategories {
			r.fail()
			return
		}
		for range r.count() {
			s.Squares = append(s.Squares, r.int())
		}
		if len(s.Hits) > 0 || len(s.Squares) > 0 { // a statistic without categories has none
			s.Count = n
		}
		if !s.Valid() {
			r.fail()
			return
		}
		w.supports[i] = s
	}
}

// fitsSupports tells whether the sets' state has the shape that the plan asks for.
func (w *window) fitsSupports() bool {
	if !w.plan.binned() {
		return w.supports == nil && w.released == nil
	}
	if len(w.supports) != len(w.moments) {
		return false
	}
	if (w.released != nil) != w.plan.gateways || w.released != nil && len(w.released) != len(w.moments) {
		return false
	}
	for i := range w.supports {
		if w.moments[i].Count == 0 {
			continue
		}
		hits, squares := 0, 0
		b := w.plan.statistics[w.statisticAt(i)].bins
		if w.released != nil && w.released[i] != nil {
			if b == nil || len(w.released[i]) != b.Categories || len(w.supports[i].Hits) > 0 {
				return false
			}
			continue
		}
		if b != nil {
			hits = b.Categories
			if b.Cumulative() {
				squares = hits - 1
			}
		}
		if len(w.supports[i].Hits) != hits || len(w.supports[i].Squares) != squares {
			return false
		}
	}
	return true
}

// statisticAt is the statistic that a place in due and moments is about.
func (w *window) statisticAt(i int) int {
	if w.plan.clusteredBy != "" {
		return int(w.dueGroups[i].statistic)
	}
	return i / len(w.layout.groups)
}

// released appends the noisy counts of a window's releases, in the order of its moments.
func (w *encoder) released(each *window) {
	for i, counts := range each.released {
		if each.moments[i].Count == 0 {
			continue
		}
		w.uint(uint64(len(counts)))
		for _, n := range counts {
			w.int(n)
		}
	}
}

// released reads what the encoder's released wrote. Where reports were counted there are no counts of a release.
func (r *decoder) released(w *window) {
	if r.version < checkpointReleased {
		r.fail()
		return
	}
	w.released = make([][]int64, len(w.moments))
	for i := range w.released {
		if w.moments[i].Count == 0 {
			continue
		}
		for range r.count() {
			w.released[i] = append(w.released[i], r.int())
		}
		if len(w.released[i]) > categories.Word || i < len(w.supports) && len(w.released[i]) > 0 && w.supports[i].Count > 0 {
			r.fail()
			return
		}
	}
}
