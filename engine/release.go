package engine

import (
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/central"
	"github.com/quadrat-dev/quadrat/survey"
)

// release is a StoredRelease: what one gateway says of a cluster in a window. Its slices are used again for the next one.
type release struct {
	kappa     []byte
	revision  uint64
	window    int64
	statistic uint64
	gateway   uint64
	device    []uint64
	units     []uint64
	values    []int64 // of all parts, each of which has equally many
	groups    []uint32
	content   []byte // as it was read
}

// decode reads a StoredRelease. Packed arrays only, which is what the intake writes.
func (r *release) decode(b []byte) bool {
	*r = release{device: r.device[:0], units: r.units[:0], values: r.values[:0], groups: r.groups[:0], content: b}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return false
		}
		b = b[n:]
		size := protowire.ConsumeFieldValue(num, typ, b)
		if size < 0 || !r.field(num, typ, b[:size]) {
			return false
		}
		b = b[size:]
	}
	parts := len(r.device)
	return r.window >= 0 && parts > 0 && len(r.units) == parts && len(r.values) > 0 && len(r.values)%parts == 0
}

func (r *release) field(num protowire.Number, typ protowire.Type, b []byte) (ok bool) {
	ok = true
	switch typ {
	case protowire.VarintType:
		v, _ := protowire.ConsumeVarint(b)
		switch num {
		case 2:
			r.revision = v
		case 3:
			r.window = int64(v)
		case 4:
			r.statistic = v
		case 7, 8:
			ok = false
		}
	case protowire.Fixed64Type:
		if num == 5 {
			r.gateway, _ = protowire.ConsumeFixed64(b)
		}
	case protowire.BytesType:
		content, _ := protowire.ConsumeBytes(b)
		switch num {
		case 1:
			r.kappa = content
		case 6:
			r.device, ok = appendWords(r.device, content)
		case 7:
			r.units, ok = appendVarints(r.units, content)
		case 8:
			r.values, ok = appendSigned(r.values, content)
		}
	}
	return ok
}

// part is the values of a part.
func (r *release) part(i int) []int64 {
	width := len(r.values) / len(r.device)
	return r.values[i*width : (i+1)*width]
}

// appendTo encodes the release as a StoredBatch, for a dead letter.
func (r *release) appendTo(b []byte) []byte {
	b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), batchVersion)
	return protowire.AppendBytes(protowire.AppendTag(b, 3, protowire.BytesType), r.content)
}

// countRelease counts one release of a message: all of it or nothing.
func (e *Engine) countRelease(r *release, m *message, out *output) {
	refused, counted := causeKappa, false
	if k, known := e.find(r.kappa); known {
		var w *window
		if w, refused, counted = e.admit(k, r.window, r.revision, out); counted {
			refused, counted = w.countRelease(r)
			if counted && refused != causeDuplicate {
				w.storeRelease(k.rows, r, m.sequence)
			}
		}
		if counted && refused != causeDuplicate {
			e.accept(k, w, 1, m, out)
		}
	}
	e.metrics.released(refused, counted)
	if !counted {
		e.bury(refused, m, r.appendTo(nil), out)
	}
}

// countRelease takes a release of the cluster of a gateway that is due: its parts go into the moments, and all units of the
// cluster count as heard. Ok with causeDuplicate says that the cluster was heard before, and nothing was taken.
func (w *window) countRelease(r *release) (refused cause, ok bool) {
	f, p := w.frame, w.plan
	refused, ok = w.place(r)
	if !ok {
		return refused, false
	}
	s := &p.statistics[r.statistic]
	for i, g := range r.groups {
		if len(r.part(i)) != s.width || r.units[i] == 0 || r.units[i] > uint64(f.groups[g].size) {
			return causeRelease, false
		}
	}
	members, first := f.members[f.groups[r.groups[0]].cluster], f.first(p, w.index)
	for _, turn := range members {
		if w.hears(turn - first) {
			return causeDuplicate, true
		}
	}
	for _, turn := range members {
		rank := turn - first
		w.heard[rank/64] |= 1 << (rank % 64)
	}
	for i, g := range r.groups {
		at := f.groupRank[g]
		if s.bins != nil {
			w.moments[at].Count, w.released[at] = int64(r.units[i]), slices.Clone(r.part(i))
			continue
		}
		w.moments[at].Merge(s.sum(int64(r.units[i]), r.part(i)))
	}
	return 0, true
}

// storeRelease appends a row for each part to the rows for the sink: the mean of its units, with the noise that the sum has, or how
// many of them are in each category, with the noise of each count.
func (w *window) storeRelease(rows *column.Rows, r *release, sequence uint64) {
	s := &w.plan.statistics[r.statistic]
	for i, key := range r.device {
		units := float64(r.units[i])
		row := w.row(w.frame.group(w.frame.devices.find(key)), int(r.statistic))
		row.Device, row.Sequence, row.Mechanism, row.Units = key, sequence, central.Name, uint32(r.units[i])
		if s.bins != nil {
			row.Categories, row.Size, row.Include = uint32(s.bins.Categories), 1, 1
			row.NoiseVariance, row.UnitCounts = s.sumNoise, column.Counts(r.part(i))
			rows.Append(&row)
			continue
		}
		m := s.sum(int64(r.units[i]), r.part(i))
		row.Score, row.NoiseVariance = m.Mean, m.Noise/(units*units)
		rows.Append(&row)
	}
}

// hears tells whether the device of a rank was heard.
func (w *window) hears(rank uint32) bool { return w.heard[rank/64]&(1<<(rank%64)) != 0 }

// place finds the group of each part, and refuses a release whose devices aren't behind its gateway in the window's frame, that
// speaks of two clusters or twice of a cell, or whose cluster isn't due for the statistic.
func (w *window) place(r *release) (refused cause, ok bool) {
	f, p := w.frame, w.plan
	if !p.gateways {
		return causeDue, false
	}
	for _, key := range r.device {
		found := f.devices.find(key)
		if found.seat == vacant {
			return causeFrame, false
		}
		g := f.group(found)
		if of := &f.clusters[f.groups[g].cluster]; of.gateway == 0 || of.gateway != r.gateway {
			return causeGateway, false
		}
		for _, other := range r.groups {
			if other == g || f.groups[other].cluster != f.groups[g].cluster {
				return causeRelease, false
			}
		}
		r.groups = append(r.groups, g)
	}
	if !p.answers(f.groupPlace[r.groups[0]], w.index, r.statistic) {
		return causeDue, false
	}
	return 0, true
}

// answers tells whether who has a place in the lap answers a statistic in a window.
func (p *plan) answers(place uint32, index int64, statistic uint64) bool {
	statistics := uint64(len(p.statistics))
	lap := uint64(index/p.lapWindows) % statistics
	slot := uint64(place) - uint64(index%p.lapWindows)*statistics // wraps to a large number in an earlier window of the lap
	return place != nowhere && slot < statistics && statistic < statistics && (slot+lap == statistic || slot+lap == statistic+statistics)
}

// takeSums says how many values a part of a release has, and what noise: docs/design/gateway.md.
func (s *statistic) takeSums(e privacy.Epsilon) error {
	sensitivity, step := int64(1), 1.0
	s.width = 1
	switch {
	case s.bins != nil:
		sensitivity, s.width = changedCounts, s.bins.Categories
	case !s.bit:
		sensitivity, step = int64(s.bounds.Hi-s.bounds.Lo), 1e-6
	}
	noise, err := central.New(sensitivity, e)
	if err != nil {
		return err
	}
	s.sumNoise = noise.Variance() * step * step
	return nil
}

// mechanismOf names what randomises the answers to a statistic.
func (p *plan) mechanismOf(s *statistic) string {
	if p.gateways {
		return central.Name + " (gateways), " + s.mechanism + " (devices)"
	}
	return s.mechanism
}

// sum is what a part's noisy sum tells of so many units.
func (s *statistic) sum(units int64, values []int64) survey.Moments {
	if s.bit {
		return survey.Sum(units, float64(values[0]), s.sumNoise)
	}
	return survey.Sum(units, float64(units)*s.bounds.Lo.Float64()+float64(values[0])/1e6, s.sumNoise)
}

// spokenFor tells whether a gateway answers for a device, whose own report then isn't counted.
func (w *window) spokenFor(group, rank uint32, place int, v *verdict) bool {
	if w.frame.clusters[w.frame.groups[group].cluster].gateway == 0 {
		return false
	}
	if w.hears(rank) {
		v.duplicate++
	} else {
		v.refuse(causeDue, place)
	}
	return true
}
