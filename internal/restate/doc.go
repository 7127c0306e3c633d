// Package restate states again, from the rows of an export, what the engine answered live: every statistic of the script, in every
// cell, with both parts of its variance. It sees strata, clusters and weights as an export tells them, which were estimated as one
// already, gathers rows into the same mergeable states that the engine keeps, and hands these to the same estimators of package
// survey. It does no I/O and knows nothing of files: internal/estimate reads them.
//
//	w, err := restate.NewWindow(restate.Asked{Kind: "mean"})
//	err = w.Add(restate.Row{Stratum: "asia", Population: 900, Score: 21.5, Noise: 4, Inside: true})
//	answers := w.Answers(restate.AllCells, 0.95)
package restate
