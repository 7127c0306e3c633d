package script

import "math"

// ValuesMost is the most categories of a question with PER VALUE. A device that is once found in each spends as many times epsilon.
const ValuesMost = 64

// checkPerValue holds the rules of PER VALUE: epsilon is spent once for each category that a device is ever found in, so the
// question must be about few categories, and the device must add the noise itself. The permanent answer to a category is what makes
// that possible; there is none to a number.
func checkPerValue(s *Script) *Error {
	p := s.Privacy
	if p == nil || !p.PerValue {
		return nil
	}
	if p.Model != Local {
		return errorAt(p.PerValuePos, "write PRIVACY LOCAL EPSILON … PER VALUE, or a duration in place of VALUE",
			"PER VALUE goes with PRIVACY LOCAL, and here stands %s", p.Model)
	}
	for _, stat := range s.Select {
		if err := checkValues(p, stat); err != nil {
			return err
		}
	}
	return checkReport(p)
}

// checkValues refuses what has no categories to remember, or too many of them.
func checkValues(p *Privacy, stat *Statistic) *Error {
	switch stat.Kind {
	case wordHistogram:
		if n := stat.Number; n.Bound && n.Value > ValuesMost {
			return errorAt(n.Pos, "ask for up to 64 bins, or write PER 1d in place of PER VALUE",
				"PER VALUE remembers up to %d categories, and %s has %s", ValuesMost, stat.Name(), decimal(n.Value))
		}
	case wordFrequency:
		if lo, hi := p.Lo, p.Hi; lo != nil && lo.Bound && hi.Bound && hi.Value-lo.Value >= ValuesMost {
			return errorAt(lo.Pos, "narrow the bounds to 64 whole numbers, or write PER 1d in place of PER VALUE",
				"PER VALUE remembers up to %d categories, and %s has %s", ValuesMost, stat.Name(), decimal(hi.Value-lo.Value+1))
		}
	default:
		x := stat.Args[0].Reading
		return errorAt(stat.Pos, "ask frequency("+x.String()+") or histogram("+x.String()+", 8), or write PER 1d in place of PER VALUE",
			"%s can't be asked with PER VALUE: only categories have an answer that can be kept", stat.Kind)
	}
	return nil
}

// checkReport demands that one report tells less than all reports about a category, and that either is counted in millionths.
func checkReport(p *Privacy) *Error {
	e := p.Epsilon
	if !e.Bound {
		return nil
	}
	r := p.Report
	switch {
	case r == nil && e.Value < 2e-6:
		return errorAt(e.Pos, "", "epsilon is counted in millionths, and half of %s is less than one", decimal(e.Value))
	case r == nil || !r.Bound:
		return nil
	case r.Value < 1e-6:
		return errorAt(r.Pos, "half of epsilon is a common choice, and what stands without REPORT",
			"REPORT must be a millionth of epsilon or more, found %s", decimal(r.Value))
	case r.Value >= e.Value:
		return errorAt(r.Pos, "half of epsilon is a common choice, and what stands without REPORT",
			"REPORT must be less than EPSILON, which is %s, found %s", decimal(e.Value), decimal(r.Value))
	}
	return nil
}

// fillReport puts half of epsilon, in whole millionths, where no REPORT was written.
func (p *Privacy) fillReport() {
	if p.Report == nil {
		half := math.Floor(math.Round(p.Epsilon.Value*1e6) / 2)
		p.Report = &Number{Pos: p.PerValuePos, Value: half / 1e6, Bound: true}
	}
}
