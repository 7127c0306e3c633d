package engine

import "github.com/quadrat-dev/quadrat/privacy"

// tables is the scores of codes, one table for all kappas whose statistics mean the same by them: with ε = 4 a mean's takes 600 kB.
type tables struct {
	scored map[tableKey]scored
	bytes  int64
	swept  int // how many there were after the last sweep
}

// scored is what statistic.scored makes of a mechanism.
type scored struct {
	noise, loose   float64
	scores, noises []float64
}

func (s *scored) bytes() int64 { return 8 * int64(len(s.scores)+len(s.noises)) }

// tableKey is what a table is made from.
type tableKey struct {
	mechanism string
	epsilon   privacy.Epsilon
	bounds    privacy.Bounds
	bit       bool
}

// tableKeyOf names the table of a statistic at an ε.
func tableKeyOf(s *statistic, epsilon privacy.Epsilon) tableKey {
	return tableKey{mechanism: s.mechanism, epsilon: epsilon, bounds: s.bounds, bit: s.bit}
}

// score gives a statistic its table, made when there is none. Without tables it is always made.
func (t *tables) score(s *statistic, epsilon privacy.Epsilon, m privacy.Mechanism) error {
	if t == nil {
		return s.scored(m)
	}
	key := tableKeyOf(s, epsilon)
	if known, ok := t.scored[key]; ok {
		s.noise, s.loose, s.scores, s.noises = known.noise, known.loose, known.scores, known.noises
		return nil
	}
	if err := s.scored(m); err != nil {
		return err
	}
	if t.scored == nil {
		t.scored = map[tableKey]scored{}
	}
	t.keep(key, s)
	return nil
}

// keep takes the table of a statistic.
func (t *tables) keep(key tableKey, s *statistic) {
	made := scored{noise: s.noise, loose: s.loose, scores: s.scores, noises: s.noises}
	t.scored[key] = made
	t.bytes += made.bytes()
}

// tidy sweeps when half of the tables may be nobody's.
func (t *tables) tidy(kappas map[string]*kappa) {
	if len(t.scored) > 2*t.swept+16 {
		t.sweep(kappas)
	}
}

// sweep forgets the tables that no kappa has.
func (t *tables) sweep(kappas map[string]*kappa) {
	*t = tables{scored: map[tableKey]scored{}}
	for _, k := range kappas {
		for _, p := range k.plans {
			for i := range p.statistics {
				s := &p.statistics[i]
				key := tableKeyOf(s, p.epsilonMicro)
				if _, known := t.scored[key]; len(s.scores) > 0 && !known {
					t.keep(key, s)
				}
			}
		}
	}
	t.swept = len(t.scored)
}
