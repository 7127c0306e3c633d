// Package demo runs a whole Quadrat in one process: a server, a simulated fleet of real places, a kappa deployed
// through REST, and a view of its results beside the truth that only a simulation can know. It is a user of the other
// rooms and moves a clock by hand; nothing of theirs knows that it is a demo.
//
//	err := demo.Run(ctx, demo.Config{Windows: 20, Data: dir}, demo.NewTable(os.Stdout, false))
package demo
