package reanalysis

import (
	"errors"
	"math"
	"strconv"

	"github.com/quadrat-dev/quadrat/survey"
)

// said is what the reports of a stratum, or of those in a domain, say: mergeable states of package survey.
type said struct {
	moments survey.Moments
	tailed  bool           // tails are kept
	tails   survey.Tails   // of a variance
	support survey.Support // of categories, whose reports count in moments, too
	// Of categories what gateways say; their units count in moments, too.
	released survey.Released
}

func (s *said) merge(o said) {
	if o.tailed {
		s.tailed = true
		s.tails.Merge(s.moments, o.tails, o.moments)
	}
	s.moments.Merge(o.moments)
	s.support.Merge(o.support)
	s.released.Merge(o.released)
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
func (f *fold) rest(start int64, b *columns, first, last int) error {
	from, below := f.share(start)
	sums, extras := f.windows[start], f.extras[start]
	if n := len(sums) - len(extras); n > 0 {
		extras = append(extras, make([]extra, n)...)
		f.extras[start] = extras
	}
	for i := first; i < last; i++ {
		if b.randoms != nil && !(b.randoms[i] >= from && b.randoms[i] < below) {
			continue
		}
		place := f.table[f.at(b, i)]
		if place < 0 {
			continue
		}
		to, of := &extras[place-1], f.slots[place-1]
		if of.how != nil {
			if !of.how.Add(&to.support, b.answer(of.how, i)) {
				return errAnswer
			}
			continue
		}
		d := b.scores[i] - of.centre
		square := d * d
		to.third += square * d
		to.fourth += square * square
	}
	return nil
}

// keep keeps the reports of statistics that a device answers several times in a window that is asked for.
func (f *fold) keep(start int64, b *columns, first, last int) error {
	from, below := f.share(start)
	for i := first; i < last; i++ {
		if b.randoms != nil && !(b.randoms[i] >= from && b.randoms[i] < below) {
			continue
		}
		place := f.table[f.at(b, i)]
		if place < 0 || !f.question.kept[f.slots[place-1].statistic] {
			continue
		}
		device, err := f.device(b, i)
		if err != nil {
			return err
		}
		value := math.Float64bits(b.scores[i])
		if how := f.slots[place-1].how; how != nil {
			value = b.answer(how, i)
		}
		f.singles = append(f.singles, kept{start: start, device: device, value: value, slot: place - 1})
	}
	return nil
}

// kept is a report that is kept by itself, until its stratum is known.
type kept struct {
	start         int64
	device, value uint64
	slot          int32
}

// device is the pseudonym of a row as a number.
func (f *fold) device(b *columns, i int) (uint64, error) {
	code := b.devices.Codes[i]
	for n := len(f.devices); int(code) >= n; n++ {
		device, err := strconv.ParseUint(b.devices.Levels[n], 16, 64)
		if err != nil {
			return 0, errDevice
		}
		f.devices = append(f.devices, device)
	}
	if code < 0 {
		return 0, errDevice
	}
	return f.devices[code], nil
}

var (
	errAnswer = errors.New("an answer that no device sends")
	errDevice = errors.New("a pseudonym that isn't 16 hexadecimal digits")
)
