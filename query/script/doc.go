// Package script reads the language in which a question is put to a fleet: text in, a tree with positions out, or one
// error that a person can act on. It is the first station of a query; query/plan comes next.
//
// The package does no input or output, knows no device and no engine, and never changes a tree that it has returned.
// [Parse] reads the whole grammar, [Check] holds what is well formed but senseless against the author, [Script.Bind]
// puts numbers for $parameters and fills the defaults, [Unsupported] names what the engine can't run yet. Printing a
// tree with [Script.String] and parsing it again gives an equal tree.
//
//	s, err := script.Prepare("SELECT mean(temperature) FROM sense.temperature WINDOW 5m "+
//		"PRIVACY LOCAL EPSILON 1 PER 1d BETWEEN 10 AND 40", nil)
package script
