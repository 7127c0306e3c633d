// Package interval turns an estimate and its variance into a confidence interval: t and z for anything, Wilson, logit,
// arcsine and Korn–Graubard (beta) for proportions. It is the last step of the row-level pipeline and knows no rows.
//
//	low, high, err := interval.Of(interval.Wilson, interval.Input{Value: p, Variance: v, Degrees: df, Rows: n, Confidence: 0.95})
//
// The functions are pure and safe for concurrent use, and never return NaN.
package interval
