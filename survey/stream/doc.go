// Package stream keeps probability samples of streams whose length nobody knows, in memory of a fixed size, and merges the
// samples of several streams into the sample of them all.
//
//   - [Reservoir]: a simple random sample of k items.
//   - [VarOpt] and [Priority]: k items with probabilities near-proportional to their weights, with adjusted weights that make the
//     sum over any subset unbiased. VarOpt has the least variance and the exact total; Priority merges without drawing anew and
//     estimates its variance without bias.
//   - [Successive]: k items drawn one after another, each proportionally to weight among those left. Its inclusion
//     probabilities have no closed form: use it to pick, not to estimate.
//
// Merged samples follow the law of a sample of the streams together. If the items are themselves a sample of units,
// multiply their weights and add both variances.
//
// Randomness is a source of math/rand/v2 handed in at the start; samples that will be merged need independent sources.
// Samples are for one goroutine at a time. Errors are *[survey.Error] with the code Invalid. The package does no I/O; it stands
// beside survey/draw, which draws from lists.
package stream
