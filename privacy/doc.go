// Package privacy is local differential privacy for small devices: it turns
// one bounded answer into one randomised code, and later, far away, the code
// into an unbiased score.
//
// It stands between the window summary of a device and its report: reading,
// [Bounds.Level], [Mechanism.Randomise], report; then, in the engine,
// [Mechanism.Score] and [Bounds.Score]. Between the reading and the code there
// is only integer arithmetic, and every threshold is derived from ε on the
// device itself (package threshold), so that no server can weaken it.
//
// For one of several categories the same way is [Categorical.Randomise], report,
// [Categorical.Supported] and [Rates]: a report supports some of the categories,
// and counts of support are all that package frequency needs.
//
// The package does no input or output, keeps no state and never touches a
// clock. It must never print a reading: no error of this package contains one.
// The mechanisms stand in one folder each; package mechanisms picks one by name
// and package ledger holds the law of spending.
//
//	e, err := privacy.NewEpsilon(1)
//	m, err := mechanisms.ForMean(e)
//	code, err := m.Randomise(bounds.Level(reading, m.Levels()), source)
package privacy
