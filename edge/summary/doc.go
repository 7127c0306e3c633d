// Package summary makes of a device's readings in one window what a kappa asks for: their average, last, least,
// greatest, sum or number. It keeps running summaries, never the readings, so its memory doesn't grow with them.
//
// It stands between sensor and agent. It works in integers alone: no floating point touches a reading before it is
// randomised. Nothing here may be logged or sent.
//
//	var s summary.Summary
//	s.Add(21_500_000)
//	avg, ok := s.Value("avg")
package summary
