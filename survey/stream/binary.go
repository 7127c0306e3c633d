package stream

import (
	"math"
	"math/rand/v2"

	"github.com/quadrat-dev/quadrat/survey/internal/packed"
)

// Samples are written as docs/format/states.md says. The randomness isn't part of the state: whoever reads a sample hands in a
// source, as for a new one, which must be independent of the one that drew what was written. Appending calls item for the
// bytes of each item, reading calls it with them.

// itemLeast is the fewest bytes that an item of a weighted sample takes: a length and two numbers.
const itemLeast = 17

// rounding is how much a threshold may pass an item by.
const rounding = 1e-9

// body reads what a sample's bytes hold behind the header.
type body[T any] struct {
	*packed.Reader

	parse func([]byte) (T, error)
	size  int
}

// open begins to read a sample.
func open[T any](k packed.Kind, src rand.Source, data []byte, parse func([]byte) (T, error)) (body[T], source, error) {
	b := body[T]{Reader: packed.Open(k, data), parse: parse}
	size := b.Count("size")
	if size < 1 || size > math.MaxInt32 {
		b.Fail("a sample of %d items", size)
		return b, source{}, b.end()
	}
	b.size = int(size)
	s, err := newSource(src, b.size)
	return b, s, err
}

// end returns the first fault.
func (b body[T]) end() error {
	if err := b.Close(); err != nil {
		return invalid("%s", err)
	}
	return nil
}

// item reads one item.
func (b body[T]) item() T {
	text := b.Bytes("item")
	item, err := b.parse(text)
	if err != nil {
		b.Fail("an item that its reader refuses")
	}
	return item
}

// entries reads a list of at most as many items.
func (b body[T]) entries(field string, most int) []entry[T] {
	n := b.Length(field, itemLeast)
	if n > most {
		b.Fail("%s: %d items in a sample of %d", field, n, b.size)
		return nil
	}
	var out []entry[T]
	for range n {
		e := entry[T]{weight: b.Size("weight"), key: b.Float("key"), item: b.item()}
		if !(e.weight >= weightLeast && e.weight <= weightMost) {
			b.Fail("weight: too small or too large")
		}
		out = append(out, e)
	}
	return out
}

// appendEntries writes them.
func appendEntries[T any](b []byte, entries []entry[T], item func(T) []byte) []byte {
	b = packed.AppendCount(b, int64(len(entries)))
	for _, e := range entries {
		b = packed.AppendFloat(b, e.weight, e.key)
		b = packed.AppendBytes(b, item(e.item))
	}
	return b
}

// heaped says whether entries stand in the order of a heap, so that they can be used as they are.
func heaped[T any](entries least[T]) bool {
	for i := 1; i < len(entries); i++ {
		if entries.Less(i, (i-1)/2) {
			return false
		}
	}
	return true
}

// Append appends the sample's bytes.
func (r *Reservoir[T]) Append(b []byte, item func(T) []byte) []byte {
	b = packed.AppendCount(packed.Begin(b, packed.Reservoir), int64(r.size))
	b = packed.AppendSize(packed.AppendCount(b, r.seen), r.worst)
	b = packed.AppendCount(packed.AppendCount(b, r.skip), int64(len(r.items)))
	for _, x := range r.items {
		b = packed.AppendBytes(b, item(x))
	}
	return b
}

// ReadReservoir reads what [Reservoir.Append] wrote. It refuses everything else with a *[survey.Error] of the code Invalid
// that says why.
func ReadReservoir[T any](src rand.Source, data []byte, item func([]byte) (T, error)) (*Reservoir[T], error) {
	b, s, err := open(packed.Reservoir, src, data, item)
	if err != nil {
		return nil, err
	}
	r := &Reservoir[T]{source: s, size: b.size, seen: b.Count("seen"), worst: b.Size("worst"), skip: b.Count("skip")}
	n := b.Length("items", 1)
	if int64(n) != min(r.seen, int64(r.size)) || r.worst > 1 || (n < r.size && (r.worst != 1 || r.skip != 0)) {
		b.Fail("%d items of %d in a sample of %d, or a jump that none of them make", n, r.seen, r.size)
		return nil, b.end()
	}
	for range n {
		r.items = append(r.items, b.item())
	}
	return r, b.end()
}

// Append appends the sample's bytes.
func (p *Priority[T]) Append(b []byte, item func(T) []byte) []byte {
	b = packed.AppendCount(packed.Begin(b, packed.Priority), int64(p.size))
	return appendEntries(b, p.kept, item)
}

// ReadPriority reads what [Priority.Append] wrote. It refuses everything else with a *[survey.Error] of the code Invalid that
// says why.
func ReadPriority[T any](src rand.Source, data []byte, item func([]byte) (T, error)) (*Priority[T], error) {
	b, s, err := open(packed.Priority, src, data, item)
	if err != nil {
		return nil, err
	}
	p := &Priority[T]{source: s, size: b.size, kept: b.entries("items", b.size+1)}
	for _, e := range p.kept {
		if e.key < e.weight {
			b.Fail("a priority below its weight")
		}
	}
	if !heaped(p.kept) {
		b.Fail("items out of order")
	}
	return p, b.end()
}

// Append appends the sample's bytes.
func (v *VarOpt[T]) Append(b []byte, item func(T) []byte) []byte {
	b = packed.AppendCount(packed.Begin(b, packed.VarOpt), int64(v.size))
	b = appendEntries(packed.AppendSize(b, v.tau), v.large, item)
	return appendEntries(b, v.small, item)
}

// ReadVarOpt reads what [VarOpt.Append] wrote. It refuses everything else with a *[survey.Error] of the code Invalid that says
// why.
func ReadVarOpt[T any](src rand.Source, data []byte, item func([]byte) (T, error)) (*VarOpt[T], error) {
	b, s, err := open(packed.VarOpt, src, data, item)
	if err != nil {
		return nil, err
	}
	v := &VarOpt[T]{source: s, size: b.size, tau: b.Size("threshold")}
	v.large = b.entries("large items", b.size)
	v.small = b.entries("small items", b.size-len(v.large))
	switch full := len(v.large)+len(v.small) == v.size; {
	case !full && (v.tau != 0 || len(v.small) > 0), v.tau > 0 && len(v.small) == 0:
		b.Fail("a threshold that so few items don't have")
	case v.tau == 0 && len(v.small) > 0:
		b.Fail("small items without a threshold")
	case !heaped(v.large):
		b.Fail("items out of order")
	}
	for _, e := range v.large {
		if e.key < max(v.tau*(1-rounding), e.weight) {
			b.Fail("a large item that stands for less than the threshold or itself")
		}
	}
	return v, b.end()
}

// Append appends the sample's bytes.
func (s *Successive[T]) Append(b []byte, item func(T) []byte) []byte {
	b = packed.AppendCount(packed.Begin(b, packed.Successive), int64(s.size))
	return appendEntries(packed.AppendFloat(b, s.jump), s.kept, item)
}

// ReadSuccessive reads what [Successive.Append] wrote. It refuses everything else with a *[survey.Error] of the code Invalid
// that says why.
func ReadSuccessive[T any](src rand.Source, data []byte, item func([]byte) (T, error)) (*Successive[T], error) {
	b, from, err := open(packed.Successive, src, data, item)
	if err != nil {
		return nil, err
	}
	s := &Successive[T]{source: from, size: b.size, jump: b.Float("jump"), kept: b.entries("items", b.size)}
	for _, e := range s.kept {
		if e.key > 0 {
			b.Fail("a key above 0")
		}
	}
	if !heaped(s.kept) || (len(s.kept) < s.size && s.jump != 0) {
		b.Fail("items out of order, or a jump before there are enough of them")
	}
	return s, b.end()
}
