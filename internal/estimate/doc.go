// Package estimate is `quadrat estimate`: it reads a table, takes its columns as a sample design, and answers statistics
// with survey/inference. What the columns are for is told by name; nothing is guessed but one thing: a folder or file of
// reports that `quadrat export` wrote is recognised by its columns, and each window of each statistic in it is a sample
// of its own, as it was for the engine.
//
//	results, err := estimate.Run(estimate.Config{Data: "apistrat.csv", Stratum: "stype", FPC: []string{"fpc"}, Stats: []string{"mean(api00)"}})
//
// Errors name columns and rows, never a value. Faults of the configuration are *[UsageError].
package estimate
