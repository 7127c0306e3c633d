// Package study counts how often 95 % intervals hold the truth: for each design × estimator × noise of a real mechanism ×
// sample size it draws thousands of samples of one population whose truth is known, and sets the share beside what theory
// promises of the cell.
//
// It stands outside the flow, as a test of survey and privacy together, which may not import each other. Where the engine
// has an estimator from sums, the cell runs that one, otherwise the row-level pipeline. It must never judge a cell by its
// own result: the rule of what is promised (promise) speaks of design, estimator, noise and size alone.
//
//	results, err := study.Run(study.Config{Sizes: []int{30, 100, 1000}, Epsilons: []float64{0, 1}})
//	study.Print(os.Stdout, results)
//
// Seeds are fixed by cell and block of repetitions, so that results depend neither on the number of cores nor on which
// other cells run.
package study
