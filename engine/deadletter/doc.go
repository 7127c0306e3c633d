// Package deadletter looks at the stream DEADLETTER, lets letters in again and forgets them. Whoever refuses a message writes
// its letter: the intake, the engine, and the server for hellos that raise a doubt.
//
// A replay takes the way of a new message: a request passes the intake, which checks it again; reports that the engine
// refused are published into their partition of REPORTS, and the engine checks them when it reads them. The letter is
// deleted only when the message is on disk, so a crash in between leaves both. That does no harm, since the engine
// counts a device once in a window.
//
// It must never show what a report said: who sees an identity here must not see its answer.
//
//	letters := deadletter.New(deadletter.Config{Conn: conn, JetStream: js, Devices: registry})
//	done, err := letters.Replay(ctx, nil, "unknown-kappa")
package deadletter
