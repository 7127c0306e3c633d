package piecewise

// uniform is the second and the fourth moment of the numbers -(n-1)/2 … (n-1)/2, all equally likely.
func uniform(n float64) (second, fourth float64) {
	second = (n*n - 1) / 12
	return second, second * (3*n*n - 7) / 20
}

// Powers returns E z³ = third[0]·x³ + third[1]·x and E z⁴ = fourth[0]·x⁴ + fourth[1]·x² + fourth[2] of the score and the
// input, both on the scale [-1, 1]. The code is uniform over all cells, but for the share α of a uniform one over the
// window, whose middle moves with the input: sums over two ranges of whole numbers, without approximation.
func (m *Mechanism) Powers() (third [2]float64, fourth [3]float64) {
	levels, window, codes := float64(m.levels), float64(m.window), float64(m.Codes())
	outside := float64(-m.split) / (1 << 64)
	stretch := m.stretch()
	slope, unit := stretch/levels, 2/stretch
	two, four := uniform(window)
	_, all := uniform(codes)
	third = [2]float64{1 / (slope * slope), 3 * two * unit * unit}
	fourth = [3]float64{
		1 / (slope * slope * slope), 6 * two * unit * unit / slope,
		unit * unit * unit * unit * (slope*four + outside*codes/levels*all),
	}
	return third, fourth
}
