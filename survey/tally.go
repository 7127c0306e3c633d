package survey

// Released is what releases tell of units in categories: noisy counts, whose noise is independent from one category to another. How many
// units there are is known without noise. The zero value is empty; releases of disjoint units merge.
type Released struct {
	Units  int64     // that have a category, exactly
	Counts []float64 // by category: units in it, with noise
	Noise  float64   // variance of the noise in one count
}

// Merge adds releases about other units. All of one question have the same categories.
func (r *Released) Merge(o Released) {
	if o.Units == 0 {
		return
	}
	if r.Counts == nil {
		r.Counts = make([]float64, len(o.Counts))
	}
	r.Units += o.Units
	r.Noise += o.Noise
	for v, n := range o.Counts {
		r.Counts[v] += n
	}
}

// Bin gives the moments of "the value is category v", as a sum over the units, see [Sum].
func (r *Released) Bin(v int) Moments { return r.weigh(v, v+1, 0) }

// Place gives the moments of "the value is one of the first so many categories, or of a part of the next one", whose units count so
// much.
func (r *Released) Place(categories int, part float64) Moments { return r.weigh(0, categories, part) }

// weigh adds up the counts of the categories from…to−1, and a part of the one behind them, after least squares have made all counts
// together what they must be, the number of units: each gets the k-th part of what is missing. Of the weights' squares that
// takes the square of their sum over k from the variance (so Lagrange), without a reading being touched.
func (r *Released) weigh(from, to int, part float64) Moments {
	if r.Units == 0 {
		return Moments{}
	}
	all, sum := 0.0, 0.0
	for v, n := range r.Counts {
		all += n
		switch {
		case v >= from && v < to:
			sum += n
		case v == to:
			sum += part * n
		}
	}
	k, weight := float64(len(r.Counts)), float64(to-from)+part
	sum += weight * (float64(r.Units) - all) / k
	return Sum(r.Units, sum, r.Noise*max(0, float64(to-from)+part*part-weight*weight/k))
}

// Tally is what a cluster says of categories: reports of devices that speak for themselves, or releases of a gateway. The zero value is
// empty. It merges.
type Tally struct {
	Support  Support
	Released Released
}

// Merge adds what others in the cluster said.
func (t *Tally) Merge(o Tally) {
	t.Support.Merge(o.Support)
	t.Released.Merge(o.Released)
}

// Bin gives the moments of the cluster's scores for one category.
func (t *Tally) Bin(how Pure, v int) Moments {
	m := t.Support.Bin(how, v)
	m.Merge(t.Released.Bin(v))
	return m
}

// Place gives the moments of the cluster's scores for a place on the way through the categories: the first so many of them and a part of
// the next one. Reports must be cumulative where the place isn't the start of the first category or the end of the last one.
func (t *Tally) Place(how Subset, categories int, part float64) Moments {
	m := t.Support.Place(how, categories, part)
	m.Merge(t.Released.Place(categories, part))
	return m
}

// Place gives the moments of the unbiased scores of "the value is one of the first so many categories, or of a part of the next one", whose
// units count so much. Spread and noise are quadratic in the part, with what they are for the categories before, for the next
// one too and for that one alone: a + b·part has the variance (1−part)·Var a + part·Var(a+b) − part(1−part)·Var b, in a
// sample and given the truth alike.
func (s *Support) Place(how Subset, categories int, part float64) Moments {
	if s.Count == 0 {
		return Moments{}
	}
	from, to, own := s.upTo(how, categories), s.upTo(how, categories+1), s.Bin(how.Pure(), categories)
	mix := func(before, after, alone float64) float64 {
		return max(0, (1-part)*before+part*after-part*(1-part)*alone)
	}
	return Moments{
		Count: s.Count, Mean: (1-part)*from.Mean + part*to.Mean,
		M2: mix(from.M2, to.M2, own.M2), Noise: mix(from.Noise, to.Noise, own.Noise),
	}
}

// upTo is Below for the first so many categories; of none and of all the score is certain.
func (s *Support) upTo(how Subset, categories int) Moments {
	switch categories {
	case 0:
		return Moments{Count: s.Count}
	case how.Categories:
		return Moments{Count: s.Count, Mean: 1}
	}
	return s.Below(how, categories-1)
}
