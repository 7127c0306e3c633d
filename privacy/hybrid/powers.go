package hybrid

import "github.com/quadrat-dev/quadrat/privacy"

// Powers returns the law of the score's powers. ok is false up to the crossing, where the code is one bit, whose
// probability is a line in the input: then the bits of all devices tell the mean and nothing else.
func (m *Mechanism) Powers() (p privacy.Powers, ok bool) {
	if m.cells == nil {
		return privacy.Powers{}, false
	}
	one, err := m.duchi.Score(1)
	if err != nil {
		return privacy.Powers{}, false
	}
	// Duchi's scores are ±c, and c·P(c) - c·P(-c) is the input.
	c := 2*one - 1
	a := float64(m.mix) / (1 << 64)
	p = privacy.Powers{Variance: 4 * m.NoiseVariance()}
	third, fourth := m.cells.Powers()
	for i, x := range third {
		p.Third[i] = a * x
	}
	for i, x := range fourth {
		p.Fourth[i] = a * x
	}
	p.Third[1] += (1 - a) * c * c
	p.Fourth[2] += (1 - a) * c * c * c * c
	return p, true
}
