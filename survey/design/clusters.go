package design

// Clusters is the first stage as replicate methods see it.
type Clusters struct {
	Of       []int32   // first-stage unit of each row
	Stratum  []int32   // of each unit
	Fraction []float64 // sampling fraction of each unit's stratum; 0 for with replacement, and when units were sampled within
	Size     []int32   // units of each stratum
}

// Units returns the first-stage unit of each row, a number below Rows; nil when each row is one. The caller must not
// change it.
func (d *Design) Units() []int32 { return d.levels[0].unit }

// Clusters returns the first stage. In a design of several stages its fractions are 0: replicates of the first stage then
// take in what the later stages add only without the finite population correction. Under LonelyCertainty a lonely unit
// has the fraction 1. ok is false when the design isn't one of simple random sampling in one phase, for
// which alone replicate weights are made here.
func (d *Design) Clusters() (c Clusters, ok bool) {
	if d.phase != nil || (d.method != SimpleRandom && d.method != WithReplacement) {
		return Clusters{}, false
	}
	l := &d.levels[0]
	c.Size = l.size
	c.Of = make([]int32, d.rows)
	for k := range c.Of {
		c.Of[k] = int32(l.unitOf(k))
	}
	c.Stratum, c.Fraction = make([]int32, l.units), make([]float64, l.units)
	for unit := range l.units {
		c.Stratum[unit] = int32(l.groupOf(unit))
		switch {
		case d.lonely == LonelyCertainty && l.size[l.groupOf(unit)] == 1:
			c.Fraction[unit] = 1
		case len(d.levels) == 1:
			c.Fraction[unit] = l.fractionOf(unit)
		}
	}
	return c, true
}
