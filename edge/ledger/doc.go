// Package ledger keeps what a device has spent on disk, around the law of package privacy/ledger. It stands between
// agent and disk: a Reserve that returns nil is durable, and only then may the agent randomise.
//
// There are two files. ledger.log is the append-only chain of records; ledger.anchor holds the chain's length and the hash
// of its last record, so that a ledger.log that was rolled back, cut, or replaced by that of another device is noticed.
// Who restores both files together from an old copy can't be noticed here; the server sees two reports of one window.
// docs/format/ledger.md has both layouts.
//
// The package must never give back what was spent, and never go on after something that it can't explain: then every
// Reserve is refused until a person has looked. An unfinished last record is cut off: its write never returned, so nothing
// was randomised for it.
//
//	l, err := ledger.Open(ledger.Config{Folder: disk.OS(dir), Device: "pi-7", Limits: limits, Random: rand.Reader}, now)
//	defer l.Close()
package ledger
