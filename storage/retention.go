package storage

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

// Retention says how long rows stay. A zero field stands for ever. Strata go with the reports, which can't be weighted without
// them. Rows go by whole UTC dates of their windows' starts, so that no window is ever kept in part, whose weights and
// estimates would be wrong.
type Retention struct {
	ReportsAge time.Duration // from the end of a date until its reports and strata go
	ResultsAge time.Duration // from the end of a date until its results go
	// BytesMax is the most bytes of all segments on this disk. Beyond it the oldest dates go, reports and strata of all
	// before any results. A date that isn't over stays, whatever it holds. With an archive no row goes, but files that the
	// archive has.
	BytesMax int64
}

// Validate reports all faults at once.
func (r Retention) Validate() error {
	if min(r.ReportsAge, r.ResultsAge) < 0 || r.BytesMax < 0 {
		return &Error{Code: Malformed, Detail: "a retention is at least 0, which stands for ever"}
	}
	return nil
}

// Gone tells which rows of a kappa retention has removed.
type Gone struct {
	Kind     Kind   `json:"kind"`     // KindReports, with their strata, or KindResults
	Ref      string `json:"ref"`      // reference of the kappa
	Before   string `json:"before"`   // rows of windows that start before this UTC date are gone, YYYY-MM-DD
	Segments int64  `json:"segments"` // how many files they were in
	Rows     int64  `json:"rows"`     // how many they were
	Bytes    int64  `json:"bytes"`    // length of those files
}

func (g *Gone) lawful() bool {
	_, err := time.Parse(time.DateOnly, g.Before)
	return (g.Kind == KindReports || g.Kind == KindResults) && validRef(g.Ref) && err == nil && min(g.Segments, g.Rows, g.Bytes) >= 0
}

// family is the kind that retention names a kind by.
func (k Kind) family() Kind {
	if k == KindStrata {
		return KindReports
	}
	return k
}

func (c *catalog) goneOf(k Kind, ref string) *Gone {
	for i := range c.gone {
		if g := &c.gone[i]; g.Kind == k.family() && g.Ref == ref {
			return g
		}
	}
	return nil
}

// expired tells whether a segment's rows are among those that are gone. Reports that come late for such a date are.
func (c *catalog) expired(seg *Segment) bool {
	g := c.goneOf(seg.Kind, seg.Ref)
	return g != nil && seg.Date < g.Before
}

// visible is the segments that readers see.
func (c *catalog) visible() []Segment {
	if len(c.gone) == 0 {
		return slices.Clone(c.segments)
	}
	before := make(map[part]string, len(c.gone))
	for _, g := range c.gone {
		before[part{kind: g.Kind, place: place{ref: g.Ref}}] = g.Before
	}
	return slices.DeleteFunc(slices.Clone(c.segments), func(seg Segment) bool {
		return seg.Date < before[part{kind: seg.Kind.family(), place: place{ref: seg.Ref}}]
	})
}

// retain removes what retention doesn't keep. The catalog says so before any file goes.
func (s *Store) retain(_ context.Context) error {
	var dropped []Segment
	err := s.change(func(c *catalog) bool {
		next, outlived := s.outlived(s.cfg.Clock.Now())
		if next == nil {
			return false
		}
		*c, dropped = *next, outlived
		return true
	}, func() { s.retire(dropped) })
	if err != nil {
		return fmt.Errorf("retention: %w", err)
	}
	var rows, bytes int64
	for i := range dropped {
		seg := &dropped[i]
		rows, bytes = rows+seg.Rows, bytes+seg.Bytes
		s.metrics.expired(seg)
	}
	if len(dropped) > 0 {
		s.cfg.Log.Info("storage: retention removed rows", "files", len(dropped), "rows", rows, "bytes", bytes,
			"through", slices.MaxFunc(dropped, func(a, b Segment) int { return cmp.Compare(a.Date, b.Date) }).Date)
	}
	return nil
}

// outlived is the catalog without what retention doesn't keep at a moment, and the segments that it ceases to name; nil
// when nothing changes. The caller holds mu.
func (s *Store) outlived(now time.Time) (*catalog, []Segment) {
	before := map[part]string{} // by kind and kappa: the date before which rows go
	raise := func(k Kind, ref, date string) {
		p := part{kind: k.family(), place: place{ref: ref}}
		before[p] = max(before[p], date)
	}
	ages := map[Kind]time.Duration{KindReports: s.cfg.Retain.ReportsAge, KindResults: s.cfg.Retain.ResultsAge}
	for i := range s.catalog.segments {
		seg := &s.catalog.segments[i]
		if age := ages[seg.Kind.family()]; age > 0 && seg.Date < dateOf(now.Add(-age)) {
			raise(seg.Kind, seg.Ref, after(seg.Date))
		}
	}
	for _, seg := range s.oversize(before, dateOf(now)) {
		raise(seg.Kind, seg.Ref, after(seg.Date))
	}
	return s.catalog.without(before, s.permanent, s.leave)
}

// oversize is segments of the oldest dates, as many dates as must go until the rest is small enough, once those that go
// anyway are gone. The caller holds mu.
func (s *Store) oversize(before map[part]string, today string) []Segment {
	if s.cfg.Retain.BytesMax == 0 || s.cfg.Archive != nil { // with an archive only files on this disk go
		return nil
	}
	var bytes int64
	var kept []Segment
	for i := range s.catalog.segments {
		seg := s.catalog.segments[i]
		if seg.Date < before[part{kind: seg.Kind.family(), place: place{ref: seg.Ref}}] || s.catalog.expired(&seg) {
			continue
		}
		bytes += seg.Bytes
		if seg.Date < today {
			kept = append(kept, seg)
		}
	}
	slices.SortStableFunc(kept, func(a, b Segment) int { return compareDates(&a, &b) })
	n := 0
	for n < len(kept) && (bytes > s.cfg.Retain.BytesMax || n > 0 && kept[n].Date == kept[n-1].Date && rank(kept[n].Kind) == rank(kept[n-1].Kind)) {
		bytes -= kept[n].Bytes
		n++
	}
	if tooMuch := bytes > s.cfg.Retain.BytesMax; tooMuch != s.tooMuch {
		s.tooMuch = tooMuch
		if tooMuch {
			s.cfg.Log.Warn("storage: the dates that are not over are larger than retention allows", "bytes", bytes, "most", s.cfg.Retain.BytesMax)
		}
	}
	return kept[:n]
}

// compareDates is the order in which dates go: reports and strata before results, the oldest first.
func compareDates(a, b *Segment) int {
	return cmp.Or(cmp.Compare(rank(a.Kind), rank(b.Kind)), cmp.Compare(a.Date, b.Date))
}

// rank is the order in which families of kinds go.
func rank(k Kind) int {
	if k.family() == KindReports {
		return 0
	}
	return 1
}

// without is the catalog once rows before given dates are gone, and the segments that it ceases to name. Those beyond the
// permanent position stay, unseen, until they are permanent. It is nil when nothing changes.
func (c *catalog) without(before map[part]string, permanent uint64, leave func(*catalog, *Segment)) (*catalog, []Segment) {
	next := &catalog{position: c.position, gone: slices.Clone(c.gone), condemned: c.condemned}
	for p, date := range before {
		if g := next.goneOf(p.kind, p.ref); g == nil {
			next.gone = append(next.gone, Gone{Kind: p.kind, Ref: p.ref, Before: date})
		} else {
			g.Before = max(g.Before, date)
		}
	}
	slices.SortFunc(next.gone, func(a, b Gone) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Ref, b.Ref)) })
	var dropped []Segment
	for _, seg := range c.segments {
		if !next.expired(&seg) || seg.Last > permanent {
			next.segments = append(next.segments, seg)
			continue
		}
		g := next.goneOf(seg.Kind, seg.Ref)
		g.Segments, g.Rows, g.Bytes = g.Segments+1, g.Rows+seg.Rows, g.Bytes+seg.Bytes
		leave(next, &seg)
		dropped = append(dropped, seg)
	}
	if len(dropped) == 0 && slices.Equal(next.gone, c.gone) {
		return nil, nil
	}
	return next, dropped
}

// dateOf is the UTC date of a moment.
func dateOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// after is the date that follows one.
func after(date string) string {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return date // not a date of the layout, which none is before
	}
	return dateOf(t.Add(24 * time.Hour))
}
