package ledger

import (
	"cmp"
	"slices"
	"time"
)

// accountsMost is how many kappas a checkpoint keeps apart. Of the others, all
// of which are silent, it keeps what they cost together.
const accountsMost = 256

// checkpoint is what a compacted file begins with.
type checkpoint struct {
	spent                        Spent
	newestEnd, widest, forgotten int64
	accounts, kept, tags         uint32 // records that follow; tags counts the secret's mark too
}

func (c *checkpoint) sound() bool {
	return moment(c.newestEnd) && moment(c.forgotten) && c.widest > 0 && c.widest <= int64(WindowMax)
}

// Weight returns the most records that a compacted file would have.
func (b *Book) Weight() int {
	return 1 + min(len(b.kappas), accountsMost+len(b.entries)) + len(b.entries) + int(b.marks())
}

// Compact returns the beginning of a new file that stands for the whole chain,
// and the chain after it: the sums of the device's life, the charges that a
// period may still reach, the marks of memoised values. It takes the place of
// the old file whole or not at all. The book is the one that the chain's charges
// made; read it again from the new file.
func (c Chain) Compact(b *Book, owner string, opened time.Time) (Chain, []byte, error) {
	if c.length == 0 {
		return c, nil, FaultEmpty
	}
	accounts := b.worth()
	records := []Record{{Kind: KindCheckpoint, Owner: owner, Opened: opened, sums: checkpoint{
		spent: b.spent, newestEnd: b.newestEnd, widest: b.widest, forgotten: b.forgotten,
		accounts: uint32(len(accounts)), kept: uint32(len(b.entries)), tags: b.marks(),
	}}}
	for _, a := range accounts {
		records = append(records, Record{Kind: KindAccount, own: a})
	}
	for _, e := range b.entries {
		records = append(records, Record{Kind: KindKept, Charge: Charge{
			Kappa: b.kappas[e.kappa].name, WindowStart: time.Unix(0, e.start).UTC(), Epsilon: e.epsilon(),
		}})
	}
	if mark, bound := b.Secret(); bound {
		records = append(records, Record{Kind: KindSecret, Tag: mark})
	}
	for _, t := range b.sortedTags() {
		records = append(records, Record{Kind: KindTag, Tag: t})
	}
	next, out := c, make([]byte, 0, len(records)*RecordBytes)
	for i := range records {
		var sealed [RecordBytes]byte
		var err error
		if next, sealed, err = next.seal(records[i]); err != nil {
			return c, nil, err
		}
		out = append(out, sealed[:]...)
	}
	return next, out, nil
}

// worth returns the accounts that a checkpoint keeps apart, in their order: all
// with a charge that is still kept, and of the others the newest.
func (b *Book) worth() []account {
	if len(b.kappas) <= accountsMost {
		return b.kappas
	}
	live := make([]bool, len(b.kappas))
	for _, e := range b.entries {
		live[e.kappa] = true
	}
	order := make([]int, len(b.kappas))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int {
		if live[x] != live[y] {
			if live[x] {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.kappas[y].newest, b.kappas[x].newest)
	})
	n := accountsMost
	for n < len(order) && live[order[n]] {
		n++
	}
	kept := slices.Sorted(slices.Values(order[:n]))
	out := make([]account, len(kept))
	for i, k := range kept {
		out[i] = b.kappas[k]
	}
	return out
}

// begin takes over what the checkpoint says.
func (p *Replayed) begin(c checkpoint) {
	p.Book.spent, p.Book.newestEnd, p.Book.widest, p.Book.forgotten = c.spent, c.newestEnd, c.widest, c.forgotten
	p.todo = c
}

// restore takes one record of the checkpoint's block. The order is fixed:
// accounts, kept charges, marks, of which the secret's may be one.
func (p *Replayed) restore(r Record) error {
	b := p.Book
	switch {
	case r.Kind == KindAccount && p.todo.accounts > 0:
		p.todo.accounts--
		if _, known := b.find(r.own.name); known {
			return FaultChain
		}
		b.kappas = append(b.kappas, r.own)
	case r.Kind == KindKept && p.todo.accounts == 0 && p.todo.kept > 0:
		p.todo.kept--
		start := r.Charge.WindowStart.UnixNano()
		id, known := b.find(r.Charge.Kappa)
		if !known || len(b.entries) > 0 && b.entries[len(b.entries)-1].start > start {
			return FaultChain
		}
		b.entries = append(b.entries, entry{start: start, micro: uint32(r.Charge.Epsilon), kappa: id})
	case r.Kind == KindTag && p.todo.accounts == 0 && p.todo.kept == 0 && p.todo.tags > 0:
		p.todo.tags--
		b.remember(r.Tag)
	case r.Kind == KindSecret && p.todo.accounts == 0 && p.todo.kept == 0 && p.todo.tags > 0:
		p.todo.tags--
		if err := p.bound(r.Tag); err != nil {
			return err
		}
	default:
		return FaultChain
	}
	p.Compacted++
	return nil
}

// restoring says that a checkpoint's block isn't whole yet.
func (p *Replayed) restoring() bool { return p.todo.accounts > 0 || p.todo.kept > 0 || p.todo.tags > 0 }
