// Package agent is the logic of one device: what it announces, which plans it follows, when it is due, and the report
// that it then makes. The collector on a Linux board and a hundred thousand simulated devices in one process run the
// same code, so an Agent starts nothing, opens nothing, waits for nothing and is small.
//
// It stands between the window summaries and the spool. The order of a report is law: due, allowed by the device's own
// policy, readings there, charge durable in the ledger, randomise, hand out the bytes. A device that has nothing to say
// is silent before anything is charged. A server can ask for less than the policy gives, never for more; which devices a
// plan means is decided here, from public attributes. No reading leaves the package but through a mechanism, unless the
// owner marked its capability as open.
//
//	a, err := agent.New(agent.Config{Device: "pi-7", Policy: policy, Ledger: book, Source: source, Readings: readings})
//	again, err := a.ApplyReply(&reply)
//	for w, ok := a.NextDue(ref, now); ok; w, ok = a.NextDue(ref, w) {
//		request, outcome, err := a.Report(nil, ref, w) // once the window has ended
//	}
package agent
