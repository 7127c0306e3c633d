// Package memory divides the memory of a server among what grows with load. Each such part has an account: what it may hold and
// what it holds, in bytes that the part itself counts. A part whose account is full does what docs/operations.md says of it, so
// that the process stays within its budget whatever arrives. The package decides nothing for a part, and it must never know what
// the bytes say.
//
//	budget := memory.Divide(512 << 20)
//	if !budget.Intake.Take(int64(len(request))) { … } // full: the device is told to come again
//	defer budget.Intake.Give(int64(len(request)))
package memory
