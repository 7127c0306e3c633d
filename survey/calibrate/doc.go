// Package calibrate adjusts weights so that weighted sums of auxiliary variables meet known totals: post-stratification,
// raking, regression (GREG) and bounded calibration are the same equation with different distance functions (Deville and
// Särndal 1992, J. Amer. Statist. Assoc. 87, 376–382).
//
// It stands between weights and variance: a Fit gives the factors g, and the residuals that take the place of the scores
// in the design variance. The totals must be known without error and public: a total that was itself measured, or
// randomised, adds an error that nothing here counts.
//
//	fit, err := calibrate.New(weights, calibrate.Spec{Columns: columns, Totals: totals, Function: calibrate.Raking})
//	u[k] = weights[k] * fit.G[k] * fit.Residuals(scores)[k]
//
// The package is pure; a Fit doesn't change and is safe for concurrent use. It never returns NaN: equations without a
// solution are an [*Error].
package calibrate
