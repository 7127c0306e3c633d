package survey

import "fmt"

// Sample is what one stratum contributes to one estimate: a simple random sample without replacement of Panel of its
// Population units, of which Responses reported. Population ≥ Panel ≥ Responses ≥ Domain.Count ≥ 0. A stratum whose
// Population is 0 contributes nothing. The caller leaves out strata that can't hold a unit of the question's frame.
type Sample struct {
	Stratum    string
	Population int64   // N_h, units in the frame
	Panel      int64   // n_h, units that were due (for this statistic's sub-panel)
	Responses  int64   // m_h, units that reported, in every cell
	Domain     Moments // scores of those of the m_h that lie in the domain (the whole stratum when there is no domain)
	Tails      Tails   // of the same scores, for [Variance] only
}

// weight returns N_h/m_h: the design weight N_h/n_h times the stratum's nonresponse adjustment n_h/m_h.
func (s Sample) weight() float64 { return float64(s.Population) / float64(s.Responses) }

// variance returns v̂_h of Σ a·t over the stratum's responses, where t is score − centre inside the domain and 0 outside
// and a is the same for all units: (1 − m/N)·m/(m−1)·a²·Σ(t − t̄)². A completely observed stratum has none.
func (s Sample) variance(a, centre float64) float64 {
	if s.Responses == s.Population {
		return 0
	}
	m := float64(s.Responses)
	rest := float64(s.Population-s.Responses) / float64(s.Population)
	return rest * (m / (m - 1)) * a * a * s.Domain.spreadWithZeros(s.Responses, centre)
}

// check reports the first law that the stratum breaks.
func (s Sample) check() error {
	switch {
	case s.Responses < 0 || s.Domain.Count > s.Responses || s.Responses > s.Panel || s.Panel > s.Population:
		return &Error{Code: Invalid, Stratum: s.Stratum, Detail: fmt.Sprintf(
			"want population ≥ panel ≥ responses ≥ domain ≥ 0, got %d, %d, %d, %d",
			s.Population, s.Panel, s.Responses, s.Domain.Count)}
	case !s.Domain.valid():
		return &Error{Code: Invalid, Stratum: s.Stratum, Detail: "moments that no finite scores have"}
	case s.Population == 0:
		return nil
	case s.Responses == 0:
		return &Error{Code: NoReports, Stratum: s.Stratum, Detail: fmt.Sprintf("%d units, %d due", s.Population, s.Panel)}
	case s.Responses == 1 && s.Population > 1:
		return &Error{Code: Lonely, Stratum: s.Stratum, Detail: fmt.Sprintf("of %d units", s.Population)}
	}
	return nil
}

// live returns the strata that have a population, after checking all of them and the confidence.
func live(strata []Sample, confidence float64) ([]Sample, error) {
	if !(confidence > 0 && confidence < 1) {
		return nil, &Error{Code: Invalid, Detail: "the confidence must lie between 0 and 1"}
	}
	kept := make([]Sample, 0, len(strata))
	members := int64(0)
	for _, s := range strata {
		if err := s.check(); err != nil {
			return nil, err
		}
		if s.Population > 0 {
			kept = append(kept, s)
			members += s.Domain.Count
		}
	}
	if members == 0 {
		return nil, &Error{Code: NoDomain, Detail: fmt.Sprintf("%d strata", len(kept))}
	}
	return kept, nil
}
