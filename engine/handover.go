package engine

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/quadrat-dev/quadrat/survey"
)

const (
	// handoverMagic opens a part of a handover; behind it stands the version, one byte. See docs/format/handover.md.
	handoverMagic   = "QDRHAND"
	handoverVersion = 1
	// handoverBytes is when a part of a handover is full: what is gathered of one window is never cut.
	handoverBytes = 256 << 10
)

// errHandover says that a message of PARTIALS is no handover that this engine can read.
var errHandover = errors.New("handover: damaged, or of another version")

// spot is where a part of a handover stands in its share's chain.
type spot struct {
	mark uint64 // position of the mark in REPORTS
	part uint64 // from 0
}

// before tells whether a spot comes before another.
func (p spot) before(o spot) bool { return p.mark < o.mark || p.mark == o.mark && p.part < o.part }

// handover is what a share hands on at a mark, or a part of it.
type handover struct {
	spot
	share    uint64
	shares   uint64
	markMs   int64
	previous uint64 // position of the mark before; 0 for the first
	last     bool   // no further part of this mark follows
	gathered []gathered
}

// gathered is what a share has gathered in one window since it last handed on.
type gathered struct {
	ref         string
	index       int64
	revision    uint32 // of the plan
	fingerprint string // of the frame
	closes      bool   // the window closed at this mark; otherwise it was closed before
	damaged     bool
	keeps       bool // single answers are among it
	slots       []gatheredSlot
	ranks       []uint32 // devices heard so far and their values, where single answers are kept
	values      []int64
}

// gatheredSlot is what was gathered at one place of a window's moments.
type gatheredSlot struct {
	at       uint32
	moments  survey.Moments
	tails    survey.Tails
	support  survey.Support
	released []int64
}

// Flags of what was gathered in a window.
const (
	gatheredCloses = 1 << iota
	gatheredDamaged
	gatheredKeeps
)

// gather takes out of a window what it has gathered since the last time; the window begins anew with its sums and goes on knowing whom it
// has heard.
func (w *window) gather(closes bool) gathered {
	out := gathered{
		ref: w.plan.ref, index: w.index, revision: w.plan.revision, fingerprint: w.layout.fingerprint, closes: closes, damaged: w.damaged,
		keeps: w.values != nil,
	}
	for i := range w.moments {
		if w.moments[i].Count == 0 {
			continue
		}
		slot := gatheredSlot{at: uint32(i), moments: w.moments[i]}
		w.moments[i] = survey.Moments{}
		if w.tails != nil {
			slot.tails, w.tails[i] = w.tails[i], survey.Tails{}
		}
		if w.supports != nil {
			slot.support, w.supports[i] = w.supports[i], survey.Support{}
		}
		if w.released != nil {
			slot.released, w.released[i] = w.released[i], nil
		}
		out.slots = append(out.slots, slot)
	}
	for rank, value := range w.values {
		if w.heardBy(rank) {
			out.ranks, out.values = append(out.ranks, uint32(rank)), append(out.values, value)
		}
	}
	return out
}

// fits tells whether what was gathered has the shape of a window.
func (g *gathered) fits(w *window) bool {
	if g.revision != w.plan.revision || g.fingerprint != w.layout.fingerprint {
		return false
	}
	for i := range g.slots {
		s := &g.slots[i]
		if int(s.at) >= len(w.moments) || w.tails == nil && s.tails != (survey.Tails{}) || !s.fits(w) {
			return false
		}
	}
	for _, rank := range g.ranks {
		if int(rank/64) >= len(w.heard) || w.values != nil && int(rank) >= len(w.values) {
			return false
		}
	}
	return true
}

// fits tells whether the counts of categories are as many as those of the statistic.
func (s *gatheredSlot) fits(w *window) bool {
	hits, squares := len(s.support.Hits), len(s.support.Squares)
	if w.supports == nil {
		return hits == 0 && len(s.released) == 0
	}
	b := w.plan.statistics[w.statisticAt(int(s.at))].bins
	switch {
	case b == nil:
		return hits == 0 && len(s.released) == 0
	case len(s.released) > 0:
		return hits == 0 && w.released != nil && len(s.released) == b.Categories
	case b.Cumulative():
		return hits == b.Categories && squares == hits-1
	}
	return hits == b.Categories && squares == 0
}

// add puts what a share has gathered to a window. It must fit.
func (w *window) add(g *gathered) {
	w.damaged = w.damaged || g.damaged
	for i := range g.slots {
		s := &g.slots[i]
		if w.tails != nil && w.plan.statistics[w.statisticAt(int(s.at))].kind == kindVariance {
			w.tails[s.at].Merge(w.moments[s.at], s.tails, s.moments)
		}
		w.moments[s.at].Merge(s.moments)
		if w.supports != nil {
			w.supports[s.at].Merge(s.support)
		}
		if len(s.released) > 0 {
			w.released[s.at] = s.released
		}
	}
	for i, rank := range g.ranks {
		w.heard[rank/64] |= 1 << (rank % 64)
		if w.values != nil {
			w.values[rank] = g.values[i]
		}
	}
}

// gathered appends what was gathered in a window.
func (w *encoder) gathered(g *gathered) {
	w.text(g.ref)
	w.int(g.index)
	w.uint(uint64(g.revision))
	w.text(g.fingerprint)
	flags := uint64(0)
	for flag, set := range map[uint64]bool{gatheredCloses: g.closes, gatheredDamaged: g.damaged, gatheredKeeps: g.keeps} {
		if set {
			flags |= flag
		}
	}
	w.uint(flags)
	w.uint(uint64(len(g.slots)))
	for i := range g.slots {
		s := &g.slots[i]
		w.uint(uint64(s.at))
		w.int(s.moments.Count)
		w.float(s.moments.Mean)
		w.float(s.moments.M2)
		w.float(s.moments.Noise)
		w.float(s.tails.M3)
		w.float(s.tails.M4)
		for _, list := range [][]int64{s.support.Hits, s.support.Squares, s.released} {
			w.uint(uint64(len(list)))
			for _, n := range list {
				w.int(n)
			}
		}
	}
	w.uint(uint64(len(g.ranks)))
	for i, rank := range g.ranks {
		w.uint(uint64(rank))
		w.int(g.values[i])
	}
}

// head appends what stands before the windows of a part.
func (w *encoder) head(h *handover, windows int) {
	w.b = append([]byte(handoverMagic), handoverVersion)
	w.uint(h.share)
	w.uint(h.shares)
	w.uint(h.mark)
	w.int(h.markMs)
	w.uint(h.previous)
	w.uint(h.part)
	last := uint64(0)
	if h.last {
		last = 1
	}
	w.uint(last)
	w.uint(uint64(windows))
}

// encodeHandover gives the parts of a handover, in order.
func encodeHandover(h handover) [][]byte {
	var parts [][]byte
	body, windows := &encoder{}, 0
	flush := func(last bool) {
		part := h
		part.part, part.last = uint64(len(parts)), last
		w := &encoder{}
		w.head(&part, windows)
		w.b = append(w.b, body.b...)
		parts = append(parts, binary.LittleEndian.AppendUint32(w.b, crc32.Checksum(w.b, castagnoli)))
		body.b, windows = body.b[:0], 0
	}
	for i := range h.gathered {
		body.gathered(&h.gathered[i])
		if windows++; len(body.b) >= handoverBytes && i < len(h.gathered)-1 {
			flush(false)
		}
	}
	flush(true)
	return parts
}

// decodeHandover reads a part of a handover. It never panics and takes no more memory than a small multiple of b.
func decodeHandover(b []byte) (*handover, error) {
	const least = len(handoverMagic) + 1 + crc32.Size
	if len(b) < least || string(b[:len(handoverMagic)]) != handoverMagic || b[len(handoverMagic)] != handoverVersion {
		return nil, errHandover
	}
	body, sum := b[:len(b)-crc32.Size], b[len(b)-crc32.Size:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(sum) {
		return nil, errHandover
	}
	r := &decoder{b: body[len(handoverMagic)+1:], version: checkpointReleased}
	h := &handover{share: r.uint(), shares: r.uint()}
	h.mark, h.markMs, h.previous, h.part, h.last = r.uint(), r.int(), r.uint(), r.uint(), r.uint() == 1
	for range r.count() {
		h.gathered = append(h.gathered, r.gathered())
	}
	if r.bad || len(r.b) > 0 || h.share >= h.shares || h.previous >= h.mark {
		return nil, errHandover
	}
	return h, nil
}

func (r *decoder) gathered() gathered {
	g := gathered{ref: r.text(), index: r.int(), revision: uint32(r.uint()), fingerprint: r.text()}
	flags := r.uint()
	g.closes, g.damaged, g.keeps = flags&gatheredCloses != 0, flags&gatheredDamaged != 0, flags&gatheredKeeps != 0
	for range r.count() {
		s := gatheredSlot{at: uint32(r.uint())}
		s.moments = survey.Moments{Count: r.int(), Mean: r.float(), M2: r.float(), Noise: r.float()}
		s.tails = survey.Tails{M3: r.float(), M4: r.float()}
		s.support.Hits, s.support.Squares, s.released = r.ints(), r.ints(), r.ints()
		if len(s.support.Hits) > 0 {
			s.support.Count = s.moments.Count
		}
		if s.moments.Count < 1 || !s.support.Valid() {
			r.fail()
			return g
		}
		g.slots = append(g.slots, s)
	}
	for range r.count() {
		g.ranks, g.values = append(g.ranks, uint32(r.uint())), append(g.values, r.int())
	}
	return g
}

// ints reads a list of whole numbers; nil for an empty one.
func (r *decoder) ints() []int64 {
	var out []int64
	for range r.count() {
		out = append(out, r.int())
	}
	return out
}
