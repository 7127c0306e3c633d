// Package survey is design-based inference for samples of devices: stratified means, totals, ratios, variances, proportions
// and counts of a finite population and of its domains, with variances that keep sampling and privacy noise apart, sample sizes and
// allocation for planning, and a confidence sequence for a number that is looked at again and again.
//
// What goes in are mergeable sufficient statistics of scores ([Moments], for a variance [Tails] too) per stratum and cell, never rows; what comes
// out is an [Estimate] or an [*Error] that says why there can't be one. A score is an unbiased, possibly noisy number
// for one unit, with a known noise variance σ². One pipeline serves every estimator: weights N_h/m_h (nonresponse is
// adjusted by stratum) → linearised scores → design variance with the responding m_h → the privacy share Σ π a² σ² that
// the finite-population correction must not shrink → degrees of freedom → t interval. Notation follows Särndal,
// Swensson and Wretman (1992).
//
// The package does no I/O, knows no clock, draws no random numbers and imports nothing of ours; gonum gives the
// quantiles of the normal, t and beta distributions. It must never return NaN or an infinity: valid input gives finite
// numbers with Low ≤ Value ≤ High, everything else an error. Its functions are pure and safe to call concurrently;
// [Moments], [Tails] and [Running] are plain values that one goroutine at a time may change. It stands behind the engine's
// window state and the planner's predictions, and is of use alone.
package survey
