package ledger

import (
	"bytes"
	"maps"
	"slices"
)

// Remembers says whether the permanent answer to a memoised value was charged
// before. The mark stands for the value without telling it; package memo makes
// it.
func (b *Book) Remembers(tag [TagBytes]byte) bool { return b.tags[tag] }

// CheckValue says whether a report that draws on a memoised value may be made.
// The value's first report costs the charge, ε∞, and is judged like any other;
// each later one costs nothing, and only the clock is looked at.
func (b *Book) CheckValue(c Charge, tag [TagBytes]byte) error {
	if tag == [TagBytes]byte{} {
		return Refusal{Reason: Invalid}
	}
	if !b.Remembers(tag) {
		return b.Check(c)
	}
	if err := c.Validate(); err != nil {
		return err
	}
	if c.WindowStart.UnixNano()+int64(c.Window) < b.newestEnd-int64(Tolerance) {
		return Refusal{Reason: ClockBack}
	}
	return nil
}

// ReserveValue makes the charge for a memoised value, if it wasn't made before
// and CheckValue allows it. As with Reserve, the record is on stable storage
// before.
func (b *Book) ReserveValue(c Charge, tag [TagBytes]byte) error {
	if err := b.CheckValue(c, tag); err != nil || b.Remembers(tag) {
		return err
	}
	if err := b.Reserve(c); err != nil {
		return err
	}
	b.remember(tag)
	return nil
}

// SealValue is Seal for the charge of a memoised value.
func (c Chain) SealValue(charge Charge, tag [TagBytes]byte) (Chain, [RecordBytes]byte, error) {
	if c.length == 0 {
		return c, [RecordBytes]byte{}, FaultEmpty
	}
	return c.seal(Record{Kind: KindValue, Charge: charge, Tag: tag})
}

func (b *Book) remember(tag [TagBytes]byte) {
	if b.tags == nil {
		b.tags = make(map[[TagBytes]byte]bool)
	}
	b.tags[tag] = true
}

func (b *Book) sortedTags() [][TagBytes]byte {
	return slices.SortedFunc(maps.Keys(b.tags), func(x, y [TagBytes]byte) int { return bytes.Compare(x[:], y[:]) })
}
