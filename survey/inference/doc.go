// Package inference is the row-level pipeline: weights → linearised scores → calibration residuals → design variance →
// privacy part → degrees of freedom → interval. It answers for a finite population and its domains with means, totals,
// ratios, proportions, variances, quantiles and contrasts, from rows that a design of package design drew.
//
//	s, err := inference.New(inference.Study{Design: d})
//	e, err := s.Estimate(inference.Statistic{Kind: inference.Mean, Y: y}, nil)
//
// A domain is a set of rows: those outside stay in the design with score 0. A row whose value is missing is outside, when
// the study says so, and otherwise an error that names the row.
//
// Where scores carry noise of known variance σ², every design and estimator gets
// V̂ = v̂_design(u) + Σ π a² σ² with a = w g ∂z/∂y: the design variance of noisy scores already holds the share 1 − π of the
// noise, and the finite population correction must not shrink the rest. With replacement π is 0 and nothing is added.
//
// The engine uses package survey instead, which needs sums and not rows; both give the same numbers for a stratified
// sample. This package does no I/O, and is pure and safe for concurrent use. It never returns NaN.
package inference
