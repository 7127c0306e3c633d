package storage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"
)

// compaction is segments of one kind, kappa and date that become one.
type compaction struct {
	kind Kind
	place
	inputs []Segment
}

// terms say when segments of a date are worth a new file. Writing more often than that would cost more than the small files do.
type terms struct {
	least int     // segments that must come together
	ratio float64 // most bytes of a segment, by those of all smaller ones together, once there are that many
}

// termsOf are the terms of a date at a moment: while its windows run, segments wait for seven others of their size; once it
// is over, late reports make few and small ones; when none can come any more, whatever fits into one file becomes one.
func (s *Store) termsOf(date string, now time.Time) terms {
	day, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return terms{least: math.MaxInt}
	}
	switch over := now.Sub(day.Add(24 * time.Hour)); {
	case over < 0:
		return terms{least: 8, ratio: 1}
	case over < s.cfg.Late:
		return terms{least: 2, ratio: 4}
	}
	return terms{least: 2, ratio: math.Inf(1)}
}

// plan is the compactions that are worth it now. Segments beyond the permanent position take no part, since a restart may
// drop them; nor do those that are large enough, or in the archive alone.
func (s *Store) plan(segments []Segment, permanent uint64, now time.Time) []compaction {
	groups := map[part][]Segment{}
	var order []part
	for _, seg := range segments {
		if seg.Last > permanent || seg.Remote {
			continue
		}
		p := part{kind: seg.Kind, place: seg.place()}
		if groups[p] == nil {
			order = append(order, p)
		}
		groups[p] = append(groups[p], seg)
	}
	var out []compaction
	for _, p := range order {
		if inputs := s.choose(groups[p], s.termsOf(p.date, now)); inputs != nil {
			out = append(out, compaction{kind: p.kind, place: p.place, inputs: inputs})
		}
	}
	return out
}

const (
	alike = 4 // times as large as the one before a segment may be to make up the number
	some  = 4 // segments that are enough where memory holds no more
)

// choose takes the smallest segments, as many as fit into one file and into memory, or none when they are too few.
func (s *Store) choose(segments []Segment, t terms) []Segment {
	slices.SortFunc(segments, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(a.Bytes, b.Bytes), cmp.Compare(a.First, b.First), cmp.Compare(a.Name, b.Name))
	})
	var chosen []Segment
	var bytes, rows int64
	full, brim := false, false // more would be worth it, but memory or the file holds no more
	for i := range segments {
		seg := &segments[i]
		n := len(chosen)
		if n >= t.least && float64(seg.Bytes) > t.ratio*float64(bytes) {
			break
		}
		if n > 0 && n < t.least && !math.IsInf(t.ratio, 1) && seg.Bytes > alike*chosen[n-1].Bytes {
			if full && n >= some {
				break
			}
			chosen, bytes, rows = nil, 0, 0 // the small ones wait for more of their size
		}
		if bytes+seg.Bytes > s.cfg.BytesTarget {
			brim = n > 1 && bytes >= s.cfg.BytesTarget/2
			break
		}
		if rows+seg.merging() > int64(s.cfg.RowsMerging) {
			full = true
			continue
		}
		chosen, bytes, rows = append(chosen, *seg), bytes+seg.Bytes, rows+seg.merging()
	}
	if n := len(chosen); n < t.least && !brim && (!full || n < some) {
		return nil
	}
	slices.SortStableFunc(chosen, func(a, b Segment) int { return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last)) })
	return chosen
}

// ordered tells whether the file's rows are in the order of sortedBy.
func (s *Segment) ordered() bool { return max(s.Format, 1) >= s.Kind.sortedSince() }

// merging is how many of the segment's rows are in memory at once while it is merged: a row group, or all when they must be
// sorted first.
func (s *Segment) merging() int64 {
	if s.ordered() {
		return min(s.Rows, rowGroupRows)
	}
	return s.Rows
}

// compact makes one segment of several. Its file is on disk before the catalog names it in their place, and theirs go only
// once the catalog that doesn't name them is on disk and no reader needs them. A crash at any step leaves either the old
// ones or the new one in force.
func (s *Store) compact(ctx context.Context, c compaction) error {
	if err := s.certain(); err != nil {
		return err
	}
	out := Segment{Kind: c.kind, Ref: c.ref, Date: c.date, First: math.MaxUint64, Format: c.kind.version()}
	for i := range c.inputs {
		in := &c.inputs[i]
		out.First, out.Last = min(out.First, in.First), max(out.Last, in.Last)
		out.Generation = max(out.Generation, in.Generation+1)
		out.Rows += in.Rows
	}
	s.mu.Lock()
	out.Name = s.segmentName(&out)
	s.mu.Unlock()
	err := s.mergeInto(ctx, &out, c.inputs)
	if err == nil {
		err = s.home.settle(ctx, []Segment{out})
	}
	if err != nil {
		return fmt.Errorf("compaction of %s: %w", c.kind, errors.Join(err, s.home.drop(&out)))
	}
	return s.replace(c.inputs, &out)
}

// replace names a segment in place of others, which must all be there still; else the new one is given up.
func (s *Store) replace(old []Segment, by *Segment) error {
	gone := make(map[Segment]bool, len(old))
	for _, seg := range old {
		gone[seg] = true
	}
	found := 0
	err := s.change(func(c *catalog) bool {
		kept := make([]Segment, 0, len(c.segments))
		for _, seg := range c.segments {
			if !gone[seg] {
				kept = append(kept, seg)
				continue
			}
			s.leave(c, &seg)
			if found == 0 {
				kept = append(kept, *by)
			}
			found++
		}
		c.segments = kept
		return found == len(old)
	}, func() {
		s.metrics.compacted(len(old), by)
		s.retire(old)
	})
	if err == nil && found != len(old) { // retention was faster
		return s.home.drop(by)
	}
	return err // with an error, which of the two catalogs is in force is not known, so all files stay
}
