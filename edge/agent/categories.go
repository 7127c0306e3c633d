package agent

import (
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// quantileMost is the most bins of a quantile, which engines read as sets in one word.
const quantileMost = 64

// distribution is the kind whose answer is a code of the square wave; without noise it is a category.
const distribution = "distribution"

// binned tells whether a statistic of this kind is about categories.
func binned(kind string) bool {
	return kind == "histogram" || kind == "frequency" || kind == "quantile" || kind == distribution
}

// withCategories checks a question about categories; as with newStatistic, a price of 0 stands for the model none.
func (s statistic) withCategories(w *wire.StatisticPlan, price mechanisms.Price) (statistic, error) {
	s.bounds = privacy.Bounds{Lo: privacy.Micro(w.LoMicro), Hi: privacy.Micro(w.HiMicro)}
	s.categories, s.wholes = w.Categories, w.Kind == "frequency"
	if s.bounds.Validate() != nil || s.categories < 2 || s.categories > mostOf(w.Kind) {
		return s, wire.ErrPlan
	}
	if s.wholes {
		if n, ok := s.bounds.Wholes(); !ok || n != s.categories {
			return s, wire.ErrPlan
		}
	}
	if price.Charge() == 0 {
		if w.Mechanism != None {
			return s, wire.ErrPlan
		}
		return s, nil
	}
	if w.Kind == distribution {
		wave, err := mechanisms.ForShape(w.Mechanism, price)
		if err != nil {
			return s, wire.ErrPlan
		}
		s.mechanism = wave
		return s, nil
	}
	set, err := mechanisms.InReport(w.Mechanism, price, s.categories)
	if err != nil {
		return s, wire.ErrPlan
	}
	s.set = set
	s.memo, _ = set.(*memo.Mechanism)
	return s, nil
}

// mostOf is how many categories a kind may have.
func mostOf(kind string) uint32 {
	switch kind {
	case "quantile":
		return quantileMost
	case distribution:
		return mechanisms.ShapeBins
	}
	return mechanisms.ReportCategories
}

// category is where a summary belongs.
func (s *statistic) category(x privacy.Micro) uint32 {
	if s.wholes {
		return s.bounds.Whole(x)
	}
	return s.bounds.Bin(x, s.categories)
}

// randomise gives the randomised answer to a summary: a code, or the bytes of a report over categories as a
// little-endian number.
func (s *statistic) randomise(x privacy.Micro, source privacy.Source) (int64, error) {
	if s.set == nil {
		code, err := s.mechanism.Randomise(s.input(x), source)
		return int64(code), err
	}
	var buffer [mechanisms.ReportBytes]byte
	report, err := s.set.Randomise(s.category(x), source, buffer[:0])
	if err != nil {
		return 0, err
	}
	return asNumber(report), nil
}

// asNumber is how the bytes of a set travel: as a little-endian number.
func asNumber(report []byte) int64 {
	value := uint64(0)
	for i, b := range report {
		value |= uint64(b) << (8 * i)
	}
	return int64(value)
}
