package survey

import (
	"fmt"
	"math"
)

// HalfWidth predicts the half-width of the interval of the overall mean at this confidence, when n[h] units report in
// stratum h: t·√(Σ (N_h/N)² ((1−n_h/N_h) S_h² + σ_h²)/n_h) with Σ(n_h − 1) degrees of freedom. The finite-population
// correction doesn't shrink the noise. For a total multiply by N; for a proportion S² is about p(1−p). One stratum makes
// it a simple random sample. Most isn't looked at.
func HalfWidth(n []int64, confidence float64, strata []AllocStratum) (float64, error) {
	if len(n) != len(strata) || !(confidence > 0 && confidence < 1) {
		return 0, &Error{Code: Invalid, Detail: "want one size for each stratum and a confidence between 0 and 1"}
	}
	var population, variance, degrees float64
	for _, s := range strata {
		population += float64(s.Population)
	}
	for i, s := range strata {
		if n[i] < 1 || n[i] > s.Population || !finite(s.StdDev, s.Noise) || s.StdDev < 0 || s.Noise < 0 {
			return 0, &Error{Code: Invalid, Detail: fmt.Sprintf("stratum %d: %d of %d units", i, n[i], s.Population)}
		}
		share, f := float64(s.Population)/population, float64(n[i])/float64(s.Population)
		variance += share * share * ((1-f)*s.StdDev*s.StdDev + s.Noise) / float64(n[i])
		degrees += float64(n[i] - 1)
	}
	if degrees < 1 {
		return 0, &Error{Code: NoFreedom, Detail: fmt.Sprintf("%d strata", len(strata))}
	}
	half := quantileT(confidence, degrees) * math.Sqrt(variance)
	if !finite(half) {
		return 0, &Error{Code: Range}
	}
	return half, nil
}

// SampleSize returns the least n for which a simple random sample of the stratum has a half-width ([HalfWidth]) of at
// most margin: near (S²+σ²)/((e/z)² + S²/N), from which it searches upwards because t exceeds z. Multiply by a design
// effect and divide by a response rate as needed.
//
// When Most units don't reach the margin, the *[Error] has the code Infeasible and, as Best, the half-width that they
// reach.
func SampleSize(margin, confidence float64, s AllocStratum) (int64, error) {
	if err := s.check(0); err != nil {
		return 0, err
	}
	if !(margin > 0) || !finite(margin) {
		return 0, &Error{Code: Invalid, Detail: "the margin must be positive"}
	}
	width := func(n int64) (float64, error) {
		return HalfWidth([]int64{n}, confidence, []AllocStratum{s})
	}
	best, err := width(s.Most)
	if err != nil {
		return 0, err
	}
	if best > margin {
		return 0, &Error{Code: Infeasible, Best: best, Detail: fmt.Sprintf(
			"margin %g: all %d units reach %g", margin, s.Most, best)}
	}
	// The half-width falls as n grows, so the answer lies between the normal approximation and Most.
	low, high := int64(leastPanel), s.Most
	if normal := normalSize(margin, confidence, s); normal-1 > leastPanel {
		low = min(int64(min(normal-1, float64(high))), high)
	}
	for low < high {
		middle := low + (high-low)/2
		half, err := width(middle)
		if err != nil {
			return 0, err
		}
		if half <= margin {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low, nil
}

// normalSize returns (S²+σ²)/((e/z)² + S²/N), the size that the normal quantile asks for.
func normalSize(margin, confidence float64, s AllocStratum) float64 {
	z := quantileZ(confidence)
	square := s.StdDev * s.StdDev
	return (square + s.Noise) / (margin/z*(margin/z) + square/float64(s.Population))
}
