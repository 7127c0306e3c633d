package ledger

import (
	"crypto/sha256"
	"time"
)

// Chain is the end of a ledger's file: what the next record must follow. It is
// a value: sealing a record gives the chain after it, and whoever fails to write
// the record keeps the chain before it. Its zero value is that of no file.
type Chain struct {
	length uint64
	head   [HashBytes]byte
}

// Length returns the number of records.
func (c Chain) Length() uint64 { return c.length }

// Head returns the SHA-256 of the last record. Kept elsewhere together with
// Length, it shows a ledger that was rolled back or forked.
func (c Chain) Head() [HashBytes]byte { return c.head }

// Open returns the first record of a new ledger for that owner, and the chain
// after it. Opening a new ledger where there was one forgets what was spent: it
// is for devices that never reported.
func Open(owner string, at time.Time) (Chain, [RecordBytes]byte, error) {
	return Chain{}.seal(Record{Kind: KindOpen, Owner: owner, Opened: at})
}

// Seal returns the record of a charge and the chain after it. The record must be
// on stable storage before anything is randomised.
func (c Chain) Seal(charge Charge) (Chain, [RecordBytes]byte, error) {
	if c.length == 0 {
		return c, [RecordBytes]byte{}, FaultEmpty
	}
	return c.seal(Record{Kind: KindCharge, Charge: charge})
}

func (c Chain) seal(r Record) (Chain, [RecordBytes]byte, error) {
	r.Sequence, r.Previous = c.length, c.head
	b, err := r.Encode()
	if err != nil {
		return c, [RecordBytes]byte{}, err
	}
	return c.after(b[:]), b, nil
}

func (c Chain) after(b []byte) Chain {
	return Chain{length: c.length + 1, head: sha256.Sum256(b)}
}

// Accept reads the next record and returns the chain after it. It fails with
// FaultRecord or FaultChain.
func (c Chain) Accept(b []byte) (Chain, Record, error) {
	r, err := DecodeRecord(b)
	if err != nil {
		return c, Record{}, err
	}
	if r.Sequence != c.length || r.Previous != c.head {
		return c, Record{}, FaultChain
	}
	return c.after(b), r, nil
}

// Replayed is a ledger that was read.
type Replayed struct {
	Book  *Book
	Chain Chain
	// Opened is when the ledger began.
	Opened time.Time
	// TornBytes is the length of an unfinished write at the end: less than a
	// record, or nothing but zeros. Its charge was never followed by a report,
	// because reports wait for the write; the file may be cut there.
	TornBytes int
	// Before is the chain at which a compacted file continues; its length is 0
	// for a file that begins with the opening record. Compacted is the number of
	// records that stand for all that was before, 0 for none.
	Before    Chain
	Compacted int

	todo checkpoint // what is still to come of the checkpoint's block
}

// Replay rebuilds a book from the bytes of a ledger's file. Charges count even
// if today's limits would refuse them, and none is forgotten before the next
// Reserve. Any fault but an unfinished last write is
// returned, and then the device makes no report.
func Replay(l Limits, owner string, file []byte) (Replayed, error) {
	book, err := NewBook(l)
	if err != nil {
		return Replayed{}, err
	}
	out := Replayed{Book: book}
	whole := file[:unfinished(file)]
	out.TornBytes = len(file) - len(whole)
	for ; len(whole) > 0; whole = whole[RecordBytes:] {
		if out.Chain.length == 0 {
			out.Before = before(whole[:RecordBytes])
			out.Chain = out.Before
		}
		next, r, err := out.Chain.Accept(whole[:RecordBytes])
		if err != nil {
			return Replayed{}, err
		}
		if err := out.take(r, owner); err != nil {
			return Replayed{}, err
		}
		out.Chain = next
	}
	if out.Chain.length == 0 {
		return Replayed{}, FaultEmpty
	}
	if out.restoring() {
		return Replayed{}, FaultChain
	}
	return out, nil
}

// before is the chain that a file's first record follows: none, but for a
// checkpoint the one that it names.
func before(first []byte) Chain {
	r, err := DecodeRecord(first)
	if err != nil || r.Kind != KindCheckpoint {
		return Chain{}
	}
	return Chain{length: r.Sequence, head: r.Previous}
}

// take books one record. A charge of a window that has its charge means that the
// writer didn't ask the book: the ledger isn't to be trusted.
func (p *Replayed) take(r Record, owner string) error {
	switch {
	case r.Kind == KindOpen, r.Kind == KindCheckpoint:
		return p.first(r, owner)
	case p.restoring():
		return p.restore(r)
	case r.Kind == KindSecret:
		return p.bound(r.Tag)
	case r.Kind != KindCharge && r.Kind != KindValue:
		return FaultChain
	}
	if id, known := p.Book.find(r.Charge.Kappa); known && p.Book.charged(r.Charge.WindowStart.UnixNano(), id) {
		return FaultChain
	}
	if r.Kind == KindValue {
		if p.Book.Remembers(r.Tag) {
			return FaultChain
		}
		p.Book.remember(r.Tag)
	}
	p.Book.enter(r.Charge)
	return nil
}

// first takes the record that begins a file.
func (p *Replayed) first(r Record, owner string) error {
	if r.Sequence != p.Before.length {
		return FaultChain
	}
	if r.Owner != owner {
		return FaultOwner
	}
	p.Opened = r.Opened
	if r.Kind == KindCheckpoint {
		p.Compacted = 1
		p.begin(r.sums)
	}
	return nil
}

// unfinished returns where the whole records end: before a last piece that is
// too short, and before trailing records that are all zeros.
func unfinished(file []byte) int {
	end := len(file) - len(file)%RecordBytes
	for end >= RecordBytes && zeros(file[end-RecordBytes:end]) {
		end -= RecordBytes
	}
	return end
}

func zeros(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}
