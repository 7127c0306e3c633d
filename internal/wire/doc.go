// Package wire is the codec of the messages that a device handles: reports and their answers, hellos and theirs, and
// the plans. It writes and reads exactly the bytes of quadrat.v1 in proto/quadrat/v1, by hand, so that a device needs
// neither reflection nor generated code; a test holds it against the generated code in both directions.
//
// A decoder never panics, bounds what it takes in and passes over fields that it does not know. It checks form only;
// Validate of a message checks its law. No error of this package contains anything that a message said.
//
//	buf = wire.Report{Device: "pi-7", Kappa: "k7f3q2", Revision: 1, Window: 29, Value: 3}.AppendRequest(buf[:0])
//	answer, err := wire.DecodeIntakeReply(reply)
package wire
