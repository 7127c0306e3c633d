package reanalysis

import (
	"math"

	"github.com/quadrat-dev/quadrat/survey"
)

// said is what the reports of a stratum, or of those in a domain, say: mergeable states of package survey.
type said struct {
	moments survey.Moments
	tailed  bool           // tails are kept
	tails   survey.Tails   // of a variance
	support survey.Support // of categories, whose reports count in moments, too
}

func (s *said) merge(o said) {
	if o.tailed {
		s.tailed = true
		s.tails.Merge(s.moments, o.tails, o.moments)
	}
	s.moments.Merge(o.moments)
	s.support.Merge(o.support)
}

// extra is what is kept beside a sum where a question needs it: sums of higher powers of the distances from the centre, and sets.
type extra struct {
	third, fourth float64
	support       survey.Support
}

// tails turns sums of powers into those about the mean.
func (x *extra) tails(s *sum) survey.Tails {
	n := float64(s.n)
	d := s.first / n
	return survey.Tails{
		M3: x.third - 3*d*s.squares + 2*n*d*d*d,
		M4: math.Max(0, x.fourth-4*d*x.third+6*d*d*s.squares-3*n*d*d*d*d),
	}
}

// rest adds what the plain sums of rows don't hold: add has counted them already. It is for questions with variances or categories.
func (f *fold) rest(start int64, b *columns, first, last int) {
	from, below := 0.0, 1.0
	if f.shares != nil {
		from, below = f.shares(start)
	}
	sums, extras := f.windows[start], f.extras[start]
	if n := len(sums) - len(extras); n > 0 {
		extras = append(extras, make([]extra, n)...)
		f.extras[start] = extras
	}
	for i := first; i < last; i++ {
		if b.randoms != nil && !(b.randoms[i] >= from && b.randoms[i] < below) {
			continue
		}
		place := f.table[(int(b.statistics.Codes[i])*f.strata+int(b.strata.Codes[i]))*f.cells+int(b.cells.Codes[i])]
		if place < 0 {
			continue
		}
		to, of := &extras[place-1], f.slots[place-1]
		if of.how != nil {
			to.support.Add(uint64(b.answers[i]), of.how.Categories, true)
			continue
		}
		d := b.scores[i] - of.centre
		square := d * d
		to.third += square * d
		to.fourth += square * square
	}
}
