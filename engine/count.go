package engine

import (
	"math"
	"slices"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// verdict is what became of the reports of one group: how many were counted, and the places of the others by cause.
type verdict struct {
	counted   int
	duplicate int
	refused   [causes][]uint32
}

func (v *verdict) reset() {
	v.counted, v.duplicate = 0, 0
	for i := range v.refused {
		v.refused[i] = v.refused[i][:0]
	}
}

func (v *verdict) refuse(c cause, place int) { v.refused[c] = append(v.refused[c], uint32(place)) }

// refuseAll gives all reports of a group one cause.
func (v *verdict) refuseAll(c cause, n int) {
	for i := range n {
		v.refuse(c, i)
	}
}

// count takes a group's reports: each one whose device was due for that statistic and was not heard before goes into the
// moments and, as a row, to rows (which may be nil). Each step goes over all reports of the group, and leaves those that it
// doesn't let pass without a seat.
func (w *window) count(r *reports, v *verdict, rows *column.Rows, sequence uint64) {
	r.berths = w.frame.devices.findAll(r.berths[:0], r.device)
	w.seat(r, v)
	w.hear(r, v)
	if rows != nil {
		w.store(r, rows, sequence)
	}
}

// seat refuses reports of devices that aren't in the frame, that aren't due for their statistic, or that a gateway speaks for. For
// the others, seat becomes statistic · groups + group, and turn the rank.
func (w *window) seat(r *reports, v *verdict) {
	p, f := w.plan, w.frame
	statistics, groups := uint64(len(p.statistics)), uint32(len(f.groups))
	seats, shift := uint32(statistics)*groups, uint32(f.shift(p, w.index))
	first := f.first(p, w.index)
	due := f.lapFrom[w.index%p.lapWindows+1] - first
	said := r.statistic[:len(r.berths)]
	for i := range r.berths {
		d, statistic := &r.berths[i], said[i]
		if d.seat == vacant {
			v.refuse(causeFrame, i)
			continue
		}
		rank, seat := d.turn-first, d.seat+shift // rank wraps to a large number before the first turn
		if seat >= seats {
			seat -= seats
		}
		group := seat - uint32(statistic)*groups // and so does the group of an earlier statistic
		switch {
		case rank >= due || statistic >= statistics || group >= groups:
			v.refuse(causeDue, i)
			d.seat = vacant
		case p.gateways && w.spokenFor(group, rank, i, v):
			d.seat = vacant
		default:
			d.seat, d.turn = seat, rank
		}
	}
}

// hear counts the answers of devices that have a seat and were not heard before.
func (w *window) hear(r *reports, v *verdict) {
	r.said = slices.Grow(r.said[:0], len(r.berths))[:len(r.berths)]
	if w.plain() {
		w.hearScores(r, v)
	} else {
		w.hearEach(r, v)
	}
}

// hearEach is hear for every window.
func (w *window) hearEach(r *reports, v *verdict) {
	p, groups := w.plan, uint32(len(w.frame.groups))
	values, statistics := r.value[:len(r.berths)], r.statistic[:len(r.berths)]
	for i := range r.berths {
		d := &r.berths[i]
		if d.seat == vacant {
			continue
		}
		s := &p.statistics[statistics[i]]
		score, set, ok := s.read(values[i])
		if !ok {
			v.refuse(causeCode, i)
			d.seat = vacant
			continue
		}
		word, bit := &w.heard[d.turn/64], uint64(1)<<(d.turn%64)
		if *word&bit != 0 {
			v.duplicate++
			d.seat = vacant
			continue
		}
		*word |= bit
		v.counted++
		if p.clusteredBy != "" {
			d.seat = w.frame.groupRank[d.seat%groups]
		}
		m := &w.moments[d.seat]
		if w.tails != nil && s.kind == kindVariance {
			w.tails[d.seat].Add(*m, score)
		}
		noise, _ := s.noiseOf(values[i])
		m.Add(score, noise)
		r.said[i] = math.Float64bits(score)
		if s.bins != nil {
			s.bins.Count(&w.supports[d.seat], set)
			r.said[i] = set
		}
		if w.values != nil {
			w.values[d.turn] = values[i]
		}
	}
}

// plain tells that every report is a code with a score, and that the moments are all that is kept of it.
func (w *window) plain() bool {
	s := w.plan.statistics
	return len(s) == 1 && s[0].scores != nil && s[0].noises == nil && s[0].bins == nil && w.tails == nil && w.values == nil && w.plan.clusteredBy == ""
}

// hearScores does for a plain window what hearEach does, and asks of no report what holds for all of them: it takes half the time.
func (w *window) hearScores(r *reports, v *verdict) {
	s := &w.plan.statistics[0]
	scores, noise, heard, moments := s.scores, s.noise, w.heard, w.moments
	values, said := r.value[:len(r.berths)], r.said[:len(r.berths)]
	counted := 0
	for i := range r.berths {
		d := &r.berths[i]
		if d.seat == vacant {
			continue
		}
		code := uint64(values[i])
		if code >= uint64(len(scores)) {
			v.refuse(causeCode, i)
			d.seat = vacant
			continue
		}
		word, bit := &heard[d.turn/64], uint64(1)<<(d.turn%64)
		if bit&*word != 0 {
			v.duplicate++
			d.seat = vacant
			continue
		}
		*word |= bit
		counted++
		score := scores[code]
		moments[d.seat].Add(score, noise)
		said[i] = math.Float64bits(score)
	}
	v.counted += counted
}

// store makes a row of each report that was counted.
func (w *window) store(r *reports, rows *column.Rows, sequence uint64) {
	start, _ := w.plan.span(w.index)
	shades := w.plan.shades()
	designs := rows.Designs(start, len(w.moments)*shades) // of the groups, in the order of moments, and of the noises of each
	room := rows.Room(len(r.berths))
	statistics, noise, shade := w.plan.statistics, 0.0, 0
	alike := len(statistics) == 1 && statistics[0].noises == nil
	if alike {
		noise = statistics[0].noise
	}
	n := 0
	for i, d := range r.berths {
		if d.seat == vacant {
			continue
		}
		if !alike {
			noise, shade = statistics[r.statistic[i]].noiseOf(r.value[i])
		}
		design := &designs[int(d.seat)*shades+shade]
		if *design == 0 {
			*design = rows.Share(w.design(w.groupOf(d.seat), int(r.statistic[i]), noise)) + 1
		}
		room.Design[n], room.Device[n], room.Said[n], room.Sequence[n] = *design-1, r.device[i], r.said[i], sequence
		n++
	}
	rows.Take(n)
}

// groupOf is the group of a place in moments.
func (w *window) groupOf(at uint32) uint32 {
	if w.plan.clusteredBy != "" {
		return w.dueGroups[at].group
	}
	return at % uint32(len(w.layout.groups))
}
