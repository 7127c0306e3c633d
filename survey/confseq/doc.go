// Package confseq gives intervals that hold at every look at once.
//
// A 95 % interval that is computed anew after each report misses the truth at some look in about half of all streams. A
// confidence sequence misses it at any look, over an endless stream, with probability α at most, so one may watch it,
// stop when it pleases and go on. Two layers stand here:
//
//   - boundaries u(v) with P(∃t: S_t ≥ u(V_t)) ≤ α for a sum S_t of deviations with the variance process V_t: [Normal],
//     [GammaExponential], [GammaPoisson] and [BetaBinomial] mixtures, [PolyStitching], and for quantiles
//     [EmpiricalProcess] and [DoubleStitching] (Howard, Ramdas, McAuliffe and Sekhon 2021; Howard and Ramdas 2022);
//   - sequences that take values one by one: [Asymptotic] for any values with a few moments, [EmpiricalBernstein],
//     [PredictableMixture] and [Betting] for bounded values with no other assumption (the last two also for samples without
//     replacement from a finite population), and [Bits] for 0 and 1.
//
// Which one: bounded values or randomised bits with a promise that holds from the first look: Betting (the shortest);
// values with heavy noise or without bounds, from some thirty on: Asymptotic. The tuning (the variance or the time at
// which a sequence is shortest) must be chosen before looking at the data; a wrong choice costs width, never coverage.
//
// The package does no I/O and holds no clock or randomness. Boundaries are values and safe for concurrent use; sequences
// are for one goroutine at a time. Faults are *[survey.Error] with the code Invalid. It stands beside the estimators of
// survey, behind standing queries.
package confseq
