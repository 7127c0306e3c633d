// Package collector is the device itself on a Linux board: it reads the sensors that edge.yaml names, keeps window
// summaries, asks the agent for reports when windows end, spools them, and lets the uplink send them. It connects the
// rooms of edge; each rule lives in its own room.
//
// Without a server it goes on with the plans that it has: windows are summarised, charged, randomised and spooled, and sent
// when the server is back. It never logs a reading.
//
//	c, faults := collector.Parse(file, folder)
//	d, err := collector.Open(collector.Parts{Config: c, …})
//	err = d.Run(ctx)
package collector
