package privacy

// Powers is how the powers of a score follow the input when both stand on [-1, 1], that is z = 2·Score-1 and
// x = 2·input/Levels-1: E z = x, E z² = x² + Variance, E z³ = Third[0]·x³ + Third[1]·x and
// E z⁴ = Fourth[0]·x⁴ + Fourth[1]·x² + Fourth[2]. It is what an estimate of a variance needs to know of the noise.
type Powers struct {
	Variance float64    // the same for every input
	Third    [2]float64 // the first is positive
	Fourth   [3]float64 // the first is positive
}

// Powered is a mechanism whose codes tell of the square of the input, not of the input alone.
type Powered interface {
	Mechanism
	// Powers returns the law of the score's powers; ok is false where the codes tell nothing of the square, as one bit
	// never does.
	Powers() (p Powers, ok bool)
}

// FourthAbout returns the variance of (z-x)² given x: what the noise adds to a squared deviation from the true value.
func (p Powers) FourthAbout(x float64) float64 {
	square := x * x
	fourth := p.Fourth[0]*square*square + p.Fourth[1]*square + p.Fourth[2] -
		4*x*(p.Third[0]*square*x+p.Third[1]*x) + 6*square*(square+p.Variance) - 3*square*square
	return fourth - p.Variance*p.Variance
}
