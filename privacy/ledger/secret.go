package ledger

// A device that lost its secret, or took another one, would give a second
// permanent answer to values that it has answered. So the ledger remembers the
// mark of the secret, and whoever keeps the secret holds it against that mark.

// Secret returns the mark of the secret that the ledger is bound to, and false
// when it is bound to none. The mark tells nothing about the secret.
func (b *Book) Secret() (mark [TagBytes]byte, bound bool) {
	return b.secret, b.secret != [TagBytes]byte{}
}

// BindSecret binds the ledger to the secret with that mark, for ever. As with
// Reserve, the record is on stable storage before. It fails with FaultSecret when
// the ledger is bound to another one or the mark is zero; the same one again
// changes nothing.
func (b *Book) BindSecret(mark [TagBytes]byte) error {
	if mark == [TagBytes]byte{} || b.secret != [TagBytes]byte{} && b.secret != mark {
		return FaultSecret
	}
	b.secret = mark
	return nil
}

// SealSecret is Seal for the record that binds the ledger to a secret.
func (c Chain) SealSecret(mark [TagBytes]byte) (Chain, [RecordBytes]byte, error) {
	if c.length == 0 {
		return c, [RecordBytes]byte{}, FaultEmpty
	}
	return c.seal(Record{Kind: KindSecret, Tag: mark})
}

// bound takes the record of a secret; a ledger has one at most.
func (p *Replayed) bound(mark [TagBytes]byte) error {
	if _, already := p.Book.Secret(); already {
		return FaultChain
	}
	return p.Book.BindSecret(mark)
}

// marks is how many marks a checkpoint holds, the secret's among them.
func (b *Book) marks() uint32 {
	n := uint32(len(b.tags))
	if _, bound := b.Secret(); bound {
		n++
	}
	return n
}
