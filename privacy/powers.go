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

// SquareNoise returns the mean of Var(z² | x) over inputs of which the mean square and the mean fourth power are known.
func (p Powers) SquareNoise(square, fourth float64) float64 {
	return (p.Fourth[0]-1)*fourth + (p.Fourth[1]-2*p.Variance)*square + p.Fourth[2] - p.Variance*p.Variance
}
