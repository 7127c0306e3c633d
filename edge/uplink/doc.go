// Package uplink is a device's line to the server: it says hello, listens to new plans, and sends what the spool holds
// until the intake answers that it is on disk. It is the last step on the device: spool, uplink, intake.
//
// A report is sent as often as it takes, always the same bytes, and settled only by an answer. Backlog goes out oldest
// first at a bounded rate; reports that are made while the line is up go at once, so that they are not late for their
// window. Without a server it tries for ever, with growing and jittered pauses.
//
// The server's time is only ever compared with the device's own and the difference reported. It never moves the clock by
// which windows are cut and the ledger charged: a server that could would refill the budget.
//
//	u := uplink.New(uplink.Config{URL: url, Device: "pi-7", Clock: clock.Real{}}, device, spool)
//	err := u.Run(ctx) // until ctx ends
package uplink
