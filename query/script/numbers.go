package script

import "iter"

// numbers gives every number of the script, in the order in which they stand.
func (s *Script) numbers() iter.Seq[*Number] {
	return func(yield func(*Number) bool) {
		list := make([]*Number, 0, 8)
		for _, stat := range s.Select {
			list = append(list, stat.Number)
		}
		if s.Where != nil {
			for n := range s.Where.numbers() {
				list = append(list, n)
			}
		}
		if a := s.Sample; a != nil {
			list = append(list, a.Number, a.Confidence, a.Exponent, a.Clusters)
		}
		if p := s.Privacy; p != nil {
			list = append(list, p.Epsilon, p.Report, p.Lo, p.Hi)
		}
		for _, n := range list {
			if n != nil && !yield(n) {
				return
			}
		}
	}
}

// numbers gives every number of the condition.
func (p *Predicate) numbers() iter.Seq[*Number] {
	return func(yield func(*Number) bool) { p.walk(yield) }
}

func (p *Predicate) walk(yield func(*Number) bool) bool {
	for _, v := range p.Values {
		if v.Number != nil && !yield(v.Number) {
			return false
		}
	}
	for _, a := range p.Args {
		if !a.walk(yield) {
			return false
		}
	}
	return true
}
