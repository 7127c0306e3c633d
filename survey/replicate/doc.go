// Package replicate estimates variances by computing an estimate again under other weights: the jackknife (JK1, JKn),
// balanced repeated replication with Fay's factor, and the bootstrap of Rao and Wu. It is the second opinion beside
// linearisation, and needs nothing of an estimator but that it can be computed from weights; calibration is part of the
// estimator and is done again for each replicate.
//
//	v, err := replicate.Plan{Kind: replicate.JKn}.Variance(clusters, weights, func(w []float64) (float64, error) { … })
//
// Replicates speak of the first stage. They do not hold the noise of randomised scores in full: package inference adds
// what is missing. The package does no I/O; the bootstrap draws from a seed that the caller gives.
package replicate
