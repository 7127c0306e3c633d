package categories

import (
	"errors"
	"fmt"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/survey"
)

// Stored is what stored rows tell of a statistic of categories. Numbers are 0 where they don't tell them.
type Stored struct {
	Kind       string  // histogram, frequency, quantile or distribution
	Share      float64 // of a quantile, in (0, 1)
	Bounds     privacy.Bounds
	Categories int
	Mechanism  string          // of devices that speak for themselves; empty when only gateways did
	Epsilon    privacy.Epsilon // of one report
	Size       int             // categories in a set
	Include    float64         // probability that a report supports the true category
	Other      float64         // that it supports another one; where answers are codes
}

// Binning checks what the rows say. Their probabilities go before those of the mechanism's name.
func (s *Stored) Binning() (*Binning, error) {
	b := &Binning{
		Categories: s.Categories, Wholes: s.Kind == Frequency, Shape: s.Kind == Distribution, Pure: survey.Pure{Truth: 1},
	}
	if s.Kind == Quantile {
		if b.Share = s.Share; !(b.Share > 0 && b.Share < 1) {
			return nil, errors.New("the share of a quantile is not known")
		}
	}
	n, whole := s.Bounds.Wholes()
	if b.Categories < 2 || b.Categories > survey.SupportMost || s.Bounds.Validate() != nil || b.Wholes && (!whole || int(n) != b.Categories) {
		return nil, fmt.Errorf("bounds %v to %v and %d categories don't go together", s.Bounds.Lo.Float64(), s.Bounds.Hi.Float64(), s.Categories)
	}
	if err := b.answered(s); err != nil {
		return nil, err
	}
	b.cut(s.Bounds)
	return b, nil
}

// answered sets what reports support, and with which probabilities.
func (b *Binning) answered(s *Stored) error {
	price := mechanisms.Price{Report: s.Epsilon}
	switch {
	case b.Worded():
		b.How = survey.Subset{Categories: b.Categories, Size: max(1, s.Size), Include: s.Include}
		if s.Mechanism == "" {
			b.How = survey.Subset{Categories: b.Categories, Size: 1, Include: 1}
		}
		b.Pure = b.How.Pure()
		return b.How.Check()
	case s.Mechanism == "" || s.Mechanism == mechanismNone:
		return nil
	case b.Shape:
		wave, err := mechanisms.ForShape(s.Mechanism, price)
		if err != nil {
			return fmt.Errorf("mechanism %q: %w", s.Mechanism, err)
		}
		b.Wave = wave
		return nil
	}
	set, err := mechanisms.InReport(s.Mechanism, price, uint32(b.Categories))
	if err != nil {
		return fmt.Errorf("mechanism %q: %w", s.Mechanism, err)
	}
	b.Set, b.Pure = set, survey.Pure{Truth: s.Include, Other: s.Other}
	return b.Pure.Check()
}

// Add puts an answer as it was stored, a set or a code, into the state; ok is false for one that no device sends.
func (b *Binning) Add(into *survey.Support, said uint64) (ok bool) {
	switch {
	case b.Worded():
		if b.Categories < Word && said>>b.Categories != 0 || bits.OnesCount64(said) != b.How.Size {
			return false
		}
	case said > 1<<63-1 && b.Set == nil:
		return false
	default:
		if _, ok := b.Read(int64(said)); !ok {
			return false
		}
	}
	b.Count(into, said)
	return true
}
