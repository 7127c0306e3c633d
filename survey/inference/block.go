package inference

import "math"

// Block adds blocks of rows of several strata to their moments in one pass. Its zero value is ready; it is memory that is
// used again, for one goroutine at a time.
type Block struct {
	origins []origin
	lanes   [2][]lane
}

// mostStrata is how many strata a block has at most; with more the memory leaves the cache.
const mostStrata = 512

// origin is where the sums of a stratum start: near its mean, so that nothing cancels.
type origin struct{ centre, weight float64 }

// lane is what one of two lanes sums up: rows k, k+2, … A row then needn't wait for the sums of the row before it.
type lane struct{ n, a, b, aa, ab, bb, dd float64 }

// Add adds rows of the domain to the moments of their strata, for means, totals and proportions. It adds nothing and
// says false when this way isn't for them: a weight that isn't positive, a value that isn't finite, a stratum that has no
// moments yet, too many strata.
func (b *Block) Add(strata []Moments, codes []int32, w, y []float64) bool {
	if len(strata) > mostStrata {
		return false
	}
	b.prepare(strata)
	w, y = w[:len(codes)], y[:len(codes)]
	even, odd, origins := b.lanes[0], b.lanes[1], b.origins
	k := 0
	for ; k+2 <= len(codes); k += 2 {
		h, g := codes[k], codes[k+1]
		v, u := w[k], w[k+1]
		if !(v > 0) || !(u > 0) {
			return false
		}
		even[h].add(&origins[h], v, y[k])
		odd[g].add(&origins[g], u, y[k+1])
	}
	if k < len(codes) {
		if !(w[k] > 0) {
			return false
		}
		even[codes[k]].add(&origins[codes[k]], w[k], y[k])
	}
	for h := range strata {
		even[h].join(odd[h])
		sum := even[h].a + even[h].b + even[h].aa + even[h].ab + even[h].bb + even[h].dd
		if even[h].n > 0 && (strata[h].Rows == 0 || math.IsNaN(sum) || math.IsInf(sum, 0)) {
			return false
		}
	}
	for h := range strata {
		strata[h].Merge(even[h].moments(origins[h]))
	}
	return true
}

func (b *Block) prepare(strata []Moments) {
	b.origins = b.origins[:0]
	for i := range b.lanes {
		b.lanes[i] = append(b.lanes[i][:0], make([]lane, len(strata))...)
	}
	for i := range strata {
		m, o := &strata[i], origin{}
		if m.Rows > 0 {
			o = origin{centre: m.Centre, weight: m.Size / float64(m.Rows)}
		}
		b.origins = append(b.origins, o)
	}
}

func (s *lane) add(o *origin, w, y float64) {
	d, b := y-o.centre, w-o.weight
	a := w * d
	s.n++
	s.a += a
	s.b += b
	s.aa += a * a
	s.ab += a * b
	s.bb += b * b
	s.dd += a * d
}

func (s *lane) join(o lane) {
	s.n += o.n
	s.a += o.a
	s.b += o.b
	s.aa += o.aa
	s.ab += o.ab
	s.bb += o.bb
	s.dd += o.dd
}

// moments moves the squares from the origin to the means.
func (s *lane) moments(o origin) Moments {
	if s.n == 0 {
		return Moments{}
	}
	n := int64(s.n)
	size := s.b + s.n*o.weight
	return Moments{
		Units: n, Weighted: n, Rows: n, All: size, Size: size, Centre: o.centre, A: s.a, B: size,
		AA: max(0, s.aa-s.a*s.a/s.n), AB: s.ab - s.a*s.b/s.n, BB: max(0, s.bb-s.b*s.b/s.n),
		DD: s.dd, DX: s.a, XX: size,
	}
}
