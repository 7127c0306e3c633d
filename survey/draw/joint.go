package draw

// SampfordJoint returns the joint inclusion probabilities of [Sampford] for all pairs of the frame, with π on the diagonal.
// With A(r) the chance that a Poisson design with the probabilities π, without k and l, draws r units, and B(r) the
// expectation of Σ(1−π) over them: π_kl = π_k π_l (B(n−2) + (2−π_k−π_l) A(n−2)) / Σ over all samples. It takes N³ time.
func SampfordJoint(pi []float64) ([][]float64, error) {
	_, open, n, err := split(pi)
	if err != nil {
		return nil, err
	}
	q := pick(pi, open)
	return jointOf(pi, open, q, complements(q), n), nil
}

// MaxEntropyJoint returns the joint inclusion probabilities of [MaxEntropy], with π on the diagonal. It takes N³ time.
func MaxEntropyJoint(pi []float64) ([][]float64, error) {
	_, open, n, err := split(pi)
	if err != nil {
		return nil, err
	}
	q, err := working(pick(pi, open), n)
	if err != nil {
		return nil, err
	}
	return jointOf(pi, open, q, nil, n), nil
}

// jointOf fills the table: pairs with a certain unit are independent, pairs of open units come from the Poisson design q
// given n and weighted with extra.
func jointOf(pi []float64, open []int, q, extra []float64, n int) [][]float64 {
	joint := certainPairs(pi)
	chance, mass := counts(q, extra)
	weighted := func(chance, mass []float64, r int, sum float64) float64 {
		if extra == nil {
			return chance[r]
		}
		return mass[r] + sum*chance[r]
	}
	carried := func(i int) float64 {
		if extra == nil {
			return 0
		}
		return extra[i]
	}
	oneOut, oneMass := make([]float64, len(q)), make([]float64, len(q))
	if extra == nil {
		oneMass = nil
	}
	twoOut, twoMass := make([]float64, max(0, len(q)-1)), make([]float64, max(0, len(q)-1))
	for i, k := range open {
		joint[k][k] = pi[k]
		if n < 2 {
			continue
		}
		without(chance, mass, q[i], carried(i), oneOut, oneMass)
		for j := i + 1; j < len(open); j++ {
			without(oneOut, oneMass, q[j], carried(j), twoOut, twoMass)
			p := q[i] * q[j] * weighted(twoOut, twoMass, n-2, carried(i)+carried(j)) / weighted(chance, mass, n, 0)
			joint[k][open[j]], joint[open[j]][k] = p, p
		}
	}
	return joint
}

// certainPairs returns a table that is filled in where either unit is certain.
func certainPairs(pi []float64) [][]float64 {
	joint := square(len(pi))
	for k, p := range pi {
		for l, other := range pi {
			if p == 1 || other == 1 {
				joint[k][l] = p * other
			}
		}
	}
	return joint
}
