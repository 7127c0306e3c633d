// Package ledger keeps what a device has spent on disk, around the law of package privacy/ledger. It stands between
// agent and disk: a Reserve that returns nil is durable, and only then may the agent randomise.
//
// There are two files. ledger.log is the chain of records, appended to, and compacted when most of it is history;
// ledger.anchor holds the chain's length, the hash of its last record, and the machine that the ledger is bound to, so that
// a log that was rolled back, cut, taken from another device or copied to another machine is noticed. A witness, a second
// anchor outside of what a backup restores, shows also that both were restored together. Who copies or restores a whole
// disk, witness included, for a machine of the same identity can't be noticed here; the server can, since it hears two
// devices by one name. docs/format/ledger.md has both layouts and what each check can't see.
//
// The package must never give back what was spent, and never go on after something that it can't explain: then every
// Reserve is refused until a person has looked. An unfinished last record is cut off: its write never returned, so nothing
// was randomised for it.
//
//	l, err := ledger.Open(ledger.Config{Folder: disk.OS(dir), Device: "pi-7", Limits: limits, Random: rand.Reader}, now)
//	defer l.Close()
package ledger
