// Package ledger is the law of spending: which reports a device may still make
// under its own policy, decided from what it has already charged.
//
// It stands between the panel rule and the mechanism: a report is charged
// first, the record of the charge is on disk before a random word is drawn, and
// a refusal means silence. A crash loses budget, never privacy. The package
// does no input or output and knows no clock; a file ledger appends the records
// that Chain seals and rebuilds the Book with Replay. It must never give back
// what was charged.
//
//	book, err := ledger.NewBook(limits)
//	if err := book.Check(charge); err != nil { … stay silent … }
//	record := chain.Seal(charge)   // append, fsync
//	err = book.Reserve(charge)     // now randomise
package ledger
