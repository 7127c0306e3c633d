package stream

import (
	"container/heap"
	"math/rand/v2"
)

// VarOpt is a sample of exactly k items with the least average variance of subset sums that any such sample has (Cohen,
// Duffield, Kaplan, Lund and Thorup 2011). Items heavier than the threshold τ stay with their weight, the others stand for
// τ each; the sum over all of them is the exact total, over any subset it is unbiased.
type VarOpt[T any] struct {
	source

	size  int
	tau   float64
	large least[T]   // items above τ; the key is the weight that the sample gives them
	small []entry[T] // items that stand for τ each
}

// NewVarOpt returns an empty sample of at most size items.
func NewVarOpt[T any](src rand.Source, size int) (*VarOpt[T], error) {
	s, err := newSource(src, size)
	if err != nil {
		return nil, err
	}
	return &VarOpt[T]{source: s, size: size}, nil
}

// Add takes the next item of the stream; a negative weight, or one that isn't finite, is an error.
func (v *VarOpt[T]) Add(item T, weight float64) error {
	counts, err := checkWeight(weight)
	if counts {
		v.add(entry[T]{item: item, weight: weight, key: weight})
	}
	return err
}

// add takes an entry whose key is the weight that it stands for, and drops one of size + 1.
func (v *VarOpt[T]) add(e entry[T]) {
	if len(v.large)+len(v.small) < v.size {
		heap.Push(&v.large, e)
		return
	}
	// moving holds what falls to or below the new threshold beside the small ones; mass is what they all stand for.
	var moving []entry[T]
	mass := v.tau * float64(len(v.small))
	if e.key > v.tau {
		heap.Push(&v.large, e)
	} else {
		moving, mass = append(moving, e), mass+e.key
	}
	for len(v.large) > 0 && mass >= float64(len(v.small)+len(moving)-1)*v.large[0].key {
		least := heap.Pop(&v.large).(entry[T])
		moving, mass = append(moving, least), mass+least.key
	}
	v.tau = mass / float64(len(v.small)+len(moving)-1)
	v.drop(moving)
}

// drop leaves one item out: one of the moving with the probability 1 − w/τ each, else one of the small, all alike; the rest of
// the moving becomes small.
func (v *VarOpt[T]) drop(moving []entry[T]) {
	u := v.rng.Float64()
	out := -1
	for i, e := range moving {
		if u -= 1 - e.key/v.tau; u < 0 {
			out = i
			break
		}
	}
	switch {
	case out >= 0:
		moving = append(moving[:out], moving[out+1:]...)
	case len(v.small) > 0:
		i, last := v.rng.IntN(len(v.small)), len(v.small)-1
		v.small[i] = v.small[last]
		v.small = v.small[:last]
	default: // the probabilities add up to 1 but for rounding
		moving = moving[:len(moving)-1]
	}
	v.small = append(v.small, moving...)
}

// Threshold returns τ, or 0 while every item is in the sample.
func (v *VarOpt[T]) Threshold() float64 { return v.tau }

// Sample returns the items with their adjusted weights: first those above τ, then the others. The order says nothing.
func (v *VarOpt[T]) Sample() []Weighted[T] {
	var out []Weighted[T]
	for _, e := range v.large.byKey() {
		out = append(out, Weighted[T]{Item: e.item, Weight: e.weight, Adjusted: e.key})
	}
	for _, e := range v.small {
		out = append(out, Weighted[T]{Item: e.item, Weight: e.weight, Adjusted: v.tau})
	}
	return out
}

// Sum returns the unbiased sum of the weights of all items of the stream that match (all items when match is nil). The
// variance is that of independent draws with the same probabilities, Σ ŵ(ŵ − w): on average it is too large, because the
// sample's items exclude each other; for the total, which is exact, use 0.
func (v *VarOpt[T]) Sum(match func(T) bool) (total, variance float64) { return sum(v.Sample(), match) }

// Merge makes v a sample of both streams with the same law of subset sums: it takes o's items with the weights that they
// stand for. o must have the same size and stays as it is.
func (v *VarOpt[T]) Merge(o *VarOpt[T]) error {
	if o == nil || o == v || o.size != v.size {
		return invalid("want another sample of the same size")
	}
	for _, e := range o.large {
		v.add(e)
	}
	for _, e := range o.small {
		e.key = o.tau
		v.add(e)
	}
	return nil
}
