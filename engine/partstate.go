package engine

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
)

// partMagic opens the checkpoint of a part; behind it stands the version, one byte. See docs/format/handover.md.
const (
	partMagic   = "QDRPART"
	partVersion = 1
)

// partState is what the checkpoint of a part holds beside that of an engine.
type partState struct {
	marked uint64 // of a share: position of the newest mark handed on
	half   []halfClosed
}

// halfClosed is a window of a merger that some shares have closed, by their bits.
type halfClosed struct {
	ref   string
	index int64
	by    uint64
}

// errPart says that a checkpoint belongs to another part, or to another number of shares.
var errPart = errors.New("checkpoint: of another share, or of another number of shares")

// encodePart wraps the checkpoint of an engine. The caller holds mu.
func (e *Engine) encodePart(checkpoint []byte) []byte {
	w := &encoder{b: append([]byte(partMagic), partVersion)}
	w.int(int64(e.config.Part.Share))
	w.uint(uint64(e.config.Part.Shares))
	w.uint(e.marked)
	var half []halfClosed
	for _, ref := range e.order {
		for _, each := range e.kappas[ref].sorted() {
			if e.merges() && each.revision == 0 {
				half = append(half, halfClosed{ref: ref, index: each.index, by: each.closedBy})
			}
		}
	}
	w.uint(uint64(len(half)))
	for _, h := range half {
		w.text(h.ref)
		w.int(h.index)
		w.word(h.by)
	}
	w.uint(uint64(len(checkpoint)))
	w.b = append(w.b, checkpoint...)
	return binary.LittleEndian.AppendUint32(w.b, crc32.Checksum(w.b, castagnoli))
}

// decodePart takes the checkpoint of a part apart. It never panics and takes no more memory than a small multiple of b.
func decodePart(b []byte, part *Part) (*partState, []byte, error) {
	const least = len(partMagic) + 1 + crc32.Size
	if len(b) < least || string(b[:len(partMagic)]) != partMagic || b[len(partMagic)] != partVersion {
		return nil, nil, errCheckpoint
	}
	body, sum := b[:len(b)-crc32.Size], b[len(b)-crc32.Size:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(sum) {
		return nil, nil, errCheckpoint
	}
	r := &decoder{b: body[len(partMagic)+1:]}
	share, shares := r.int(), r.uint()
	s := &partState{marked: r.uint()}
	for range r.count() {
		s.half = append(s.half, halfClosed{ref: r.text(), index: r.int(), by: r.word()})
	}
	checkpoint := []byte(r.text())
	switch {
	case r.bad || len(r.b) > 0:
		return nil, nil, errCheckpoint
	case share != int64(part.Share) || shares != uint64(part.Shares):
		return nil, nil, errPart
	}
	return s, checkpoint, nil
}

// resume goes on where a part's checkpoint ended. The caller holds mu.
func (e *Engine) resume(s *partState) {
	e.marked = s.marked
	if !e.merges() {
		return
	}
	for _, k := range e.kappas {
		for _, w := range k.windows {
			w.closedBy = e.everybody()
		}
	}
	for _, h := range s.half {
		if k := e.kappas[h.ref]; k != nil && k.windows[h.index] != nil {
			k.windows[h.index].closedBy = h.by
		}
	}
}
