package stream

import (
	"cmp"
	"container/heap"
	"math"
	"math/rand/v2"
	"slices"
)

// Weighted is an item of a weighted sample.
type Weighted[T any] struct {
	Item     T
	Weight   float64 // as it came
	Adjusted float64 // what stands for it and for those that were left out, at least Weight
}

// sum adds up the adjusted weights of the items that match, and the variance that independent draws would have:
// Σ ŵ(ŵ − w).
func sum[T any](sample []Weighted[T], match func(T) bool) (total, variance float64) {
	for _, s := range sample {
		if match == nil || match(s.Item) {
			total += s.Adjusted
			variance += s.Adjusted * (s.Adjusted - s.Weight)
		}
	}
	return total, variance
}

// weightLeast and weightMost keep sums and priorities of weights inside floating point.
const (
	weightLeast = 1e-280
	weightMost  = 1e280
)

// checkWeight says whether the item counts; an item of weight 0 adds nothing to any sum and is passed over.
func checkWeight(weight float64) (counts bool, err error) {
	if weight != 0 && !(weight >= weightLeast && weight <= weightMost) {
		return false, invalid("want a weight of 0, or from %g to %g, not %g", float64(weightLeast), float64(weightMost), weight)
	}
	return weight > 0, nil
}

// entry is an item with the key by which it stays or goes.
type entry[T any] struct {
	item   T
	weight float64
	key    float64
}

// least is a heap with the smallest key first.
type least[T any] []entry[T]

// Len, Less, Swap, Push and Pop make least a heap.
func (h least[T]) Len() int           { return len(h) }
func (h least[T]) Less(i, j int) bool { return h[i].key < h[j].key }
func (h least[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *least[T]) Push(x any)        { *h = append(*h, x.(entry[T])) }
func (h *least[T]) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// byKey returns the entries from the greatest key down.
func (h least[T]) byKey() []entry[T] {
	out := slices.Clone(h)
	slices.SortStableFunc(out, func(a, b entry[T]) int { return cmp.Compare(b.key, a.key) })
	return out
}

// Priority is a priority sample (Duffield, Lund and Thorup 2007): the k items with the greatest w/U, U uniform, with the
// adjusted weights max(w, τ), τ the (k+1)-th greatest. The sum of adjusted weights over any subset is unbiased, and so is
// its variance estimate Σ τ·max(0, τ − w).
type Priority[T any] struct {
	source

	size int
	kept least[T] // at most size + 1
}

// NewPriority returns an empty sample of at most size items.
func NewPriority[T any](src rand.Source, size int) (*Priority[T], error) {
	s, err := newSource(src, size)
	if err != nil {
		return nil, err
	}
	return &Priority[T]{source: s, size: size}, nil
}

// Add takes the next item of the stream; a negative weight, or one that isn't finite, is an error.
func (p *Priority[T]) Add(item T, weight float64) error {
	counts, err := checkWeight(weight)
	if counts {
		p.keep(entry[T]{item: item, weight: weight, key: weight / p.open()})
	}
	return err
}

func (p *Priority[T]) keep(e entry[T]) {
	heap.Push(&p.kept, e)
	if len(p.kept) > p.size+1 {
		heap.Pop(&p.kept)
	}
}

// Threshold returns τ, or 0 while every item is in the sample.
func (p *Priority[T]) Threshold() float64 {
	if len(p.kept) <= p.size {
		return 0
	}
	return p.kept[0].key
}

// Sample returns the items with their adjusted weights, from the greatest priority down.
func (p *Priority[T]) Sample() []Weighted[T] {
	tau := p.Threshold()
	var out []Weighted[T]
	for i, e := range p.kept.byKey() {
		if i < p.size {
			out = append(out, Weighted[T]{Item: e.item, Weight: e.weight, Adjusted: max(e.weight, tau)})
		}
	}
	return out
}

// Sum returns the unbiased sum of the weights of all items of the stream that match (all items when match is nil), and the
// unbiased estimate of its variance.
func (p *Priority[T]) Sum(match func(T) bool) (total, variance float64) {
	return sum(p.Sample(), match)
}

// Merge makes p the sample of both streams, exactly as if it had seen them both; o must have the same size and stays as
// it is.
func (p *Priority[T]) Merge(o *Priority[T]) error {
	if o == nil || o == p || o.size != p.size {
		return invalid("want another sample of the same size")
	}
	for _, e := range o.kept {
		p.keep(e)
	}
	return nil
}

// Successive is a sample drawn one after another, each item with probability proportional to weight among those left: the k
// greatest of U^(1/w), by exponential jumps (Efraimidis and Spirakis 2006, A-ExpJ).
type Successive[T any] struct {
	source

	size int
	kept least[T] // keys are ln(U)/w
	jump float64  // weight to pass over before an item enters
}

// NewSuccessive returns an empty sample of at most size items.
func NewSuccessive[T any](src rand.Source, size int) (*Successive[T], error) {
	s, err := newSource(src, size)
	if err != nil {
		return nil, err
	}
	return &Successive[T]{source: s, size: size}, nil
}

// Add takes the next item of the stream; a negative weight, or one that isn't finite, is an error. Items of weight 0 never
// enter.
func (s *Successive[T]) Add(item T, weight float64) error {
	counts, err := checkWeight(weight)
	if !counts {
		return err
	}
	if len(s.kept) < s.size {
		heap.Push(&s.kept, entry[T]{item: item, weight: weight, key: math.Log(s.open()) / weight})
		s.drawJump()
		return nil
	}
	if s.jump -= weight; s.jump > 0 {
		return nil
	}
	// The item enters, so its key is above the least: U is uniform between that key's U and 1.
	floor := math.Exp(s.kept[0].key * weight)
	s.kept[0] = entry[T]{item: item, weight: weight, key: math.Log(floor+(1-floor)*s.open()) / weight}
	heap.Fix(&s.kept, 0)
	s.drawJump()
	return nil
}

// drawJump draws the weight until the next item enters: exponential, at the rate of the least key.
func (s *Successive[T]) drawJump() {
	if len(s.kept) == s.size {
		s.jump = math.Log(s.open()) / s.kept[0].key
	}
}

// Items returns the sample, from the item that was drawn first to the last.
func (s *Successive[T]) Items() []T {
	var out []T
	for _, e := range s.kept.byKey() {
		out = append(out, e.item)
	}
	return out
}

// Merge makes s the sample of both streams, exactly; o must have the same size and stays as it is.
func (s *Successive[T]) Merge(o *Successive[T]) error {
	if o == nil || o == s || o.size != s.size {
		return invalid("want another sample of the same size")
	}
	for _, e := range o.kept {
		heap.Push(&s.kept, e)
		if len(s.kept) > s.size {
			heap.Pop(&s.kept)
		}
	}
	s.drawJump() // an exponential jump has no memory
	return nil
}
