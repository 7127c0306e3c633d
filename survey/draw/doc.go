// Package draw draws probability samples from a list of units and says with which probability each unit was drawn.
//
// A frame is a list of N units, 0 … N−1; what is known of them comes as slices of that length. Every design answers with a
// [Sample]: the units, their inclusion probabilities π_k, and for designs in groups the group that each came with. Equal
// probabilities: [SRS], [Bernoulli], [Systematic], [SystematicStarts], [Stratified], [OneStage], [TwoStage]. Unequal ones,
// which [Proportional] makes from sizes: [Poisson], [SystematicProportional], [Sampford], [MaxEntropy] and [Elimination] (fixed size,
// exact π, joint probabilities known), [Pareto] and [SequentialPoisson] (fixed size, from permanent random numbers, so that
// samples of different times or sizes overlap as much as can be; π nearly exact). Notation follows Särndal, Swensson and
// Wretman (1992) and Tillé (2006).
//
// Randomness is a parameter, a source of math/rand/v2 that one call at a time may use; the same source, in the same state,
// gives the same sample. Bounded integers are unbiased. A design that can't be drawn as asked is an error, never another
// design: *[survey.Error] with the code Invalid for input that breaks a law and Infeasible for a size that can't be had.
//
// The package estimates nothing but the two variances that belong to systematic drawing, does no I/O and keeps no state.
// Samples in time are in survey/coordinate, samples of streams in survey/stream.
//
//	pi, err := draw.Proportional(consumption, 60)
//	sample, err := draw.Sampford(rand.NewPCG(seed, 0), pi)
package draw
