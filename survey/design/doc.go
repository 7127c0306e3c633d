// Package design holds how a sample was drawn, row by row, and what that makes of the variance of a weighted sum:
// simple, stratified, one- and multi-stage cluster samples with and without replacement, Poisson sampling, sampling with
// unequal probabilities, and two-phase samples (who of the drawn units responded).
//
// It is the middle of the row-level pipeline: package inference turns an estimator into scores and weights, this package
// turns u = weight · score into a variance, package interval turns that into an interval. Notation follows Särndal,
// Swensson and Wretman (1992). Units outside a domain stay in the sample with score 0; dropping their rows instead would
// shrink the design and its variance.
//
//	d, err := design.New(design.Spec{Rows: len(w), Weight: w, Stages: []design.Stage{{Stratum: &country, Size: n}}})
//	v := d.Variance(u)
//
// The package does no I/O, draws no random numbers and never returns NaN for a design that New accepted and finite u. A
// Design doesn't change after New and is safe for concurrent use.
package design
