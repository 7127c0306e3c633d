package stream

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/quadrat-dev/quadrat/survey"
)

func invalid(format string, args ...any) error {
	return &survey.Error{Code: survey.Invalid, Detail: "stream sample: " + fmt.Sprintf(format, args...)}
}

// source is the randomness of one sample.
type source struct {
	src rand.Source
	rng *rand.Rand
}

func newSource(src rand.Source, size int) (source, error) {
	if src == nil || size < 1 {
		return source{}, invalid("want a source and a size of at least 1, not %d", size)
	}
	return source{src: src, rng: rand.New(src)}, nil
}

// open returns a uniform number in (0, 1), ends excluded.
func (s source) open() float64 { return (float64(s.src.Uint64()>>11) + 0.5) / (1 << 53) }

// Reservoir is a simple random sample without replacement of the items so far. It jumps over the items that won't enter
// (Li 1994, algorithm L), so a long stream costs little more than its length.
type Reservoir[T any] struct {
	source

	size  int
	seen  int64
	items []T
	worst float64 // the greatest of the k least of seen uniform numbers, one an item, of which only this is kept
	skip  int64   // items to pass over before one enters
}

// NewReservoir returns an empty sample of at most size items.
func NewReservoir[T any](src rand.Source, size int) (*Reservoir[T], error) {
	s, err := newSource(src, size)
	if err != nil {
		return nil, err
	}
	return &Reservoir[T]{source: s, size: size, worst: 1}, nil
}

// Add takes the next item of the stream.
func (r *Reservoir[T]) Add(item T) {
	r.seen++
	switch {
	case len(r.items) < r.size:
		r.items = append(r.items, item)
		if len(r.items) == r.size {
			r.jump()
		}
	case r.skip > 0:
		r.skip--
	default:
		r.items[r.rng.IntN(r.size)] = item
		r.jump()
	}
}

// jump lowers the worst number to the greatest of k that lie below it, and draws how many items lie above that.
func (r *Reservoir[T]) jump() {
	r.worst *= math.Exp(math.Log(r.open()) / float64(r.size))
	r.drawSkip()
}

func (r *Reservoir[T]) drawSkip() {
	skip := math.Floor(math.Log(r.open()) / math.Log1p(-r.worst))
	if !(skip < math.MaxInt64) { // also when worst is 0 or the quotient isn't a number
		r.skip = math.MaxInt64
		return
	}
	r.skip = int64(skip)
}

// Seen returns the number of items so far.
func (r *Reservoir[T]) Seen() int64 { return r.seen }

// Items returns a copy of the sample. Its order says nothing.
func (r *Reservoir[T]) Items() []T { return slices.Clone(r.items) }

// Pi returns the inclusion probability of every item, min(1, k/n).
func (r *Reservoir[T]) Pi() float64 {
	if r.seen <= int64(r.size) {
		return 1
	}
	return float64(r.size) / float64(r.seen)
}

// Merge makes r the sample of both streams; o must have the same size and stays as it is. How many items come from each
// stream is hypergeometric: k draws without replacement from as many balls as items were seen.
func (r *Reservoir[T]) Merge(o *Reservoir[T]) error {
	if o == nil || o == r || o.size != r.size {
		return invalid("want another sample of the same size")
	}
	mine, theirs := r.seen, o.seen
	if mine > math.MaxInt64-theirs {
		return invalid("more items than can be counted")
	}
	r.seen += theirs
	if r.seen <= int64(r.size) {
		r.items = append(r.items, o.items...)
	} else {
		fromMine := 0
		for left := r.size; left > 0; left-- {
			if r.rng.Int64N(mine+theirs) < mine {
				fromMine, mine = fromMine+1, mine-1
			} else {
				theirs--
			}
		}
		r.items = append(subset(r.rng, r.items, fromMine), subset(r.rng, o.items, r.size-fromMine)...)
	}
	if len(r.items) == r.size {
		// The k-th least of n uniform numbers; it says nothing of which items have the least.
		r.worst = distuv.Beta{Alpha: float64(r.size), Beta: float64(r.seen-int64(r.size)) + 1, Src: r.src}.Rand()
		r.drawSkip()
	}
	return nil
}

// subset returns n of the items, each set equally likely.
func subset[T any](rng *rand.Rand, items []T, n int) []T {
	out := slices.Clone(items)
	for i := range n {
		j := i + rng.IntN(len(out)-i)
		out[i], out[j] = out[j], out[i]
	}
	return out[:n:n]
}
