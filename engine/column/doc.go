// Package column owns the Arrow schemas of stored reports and results and the builders that fill them, and the compact batches in
// which counted reports go from the engine to storage. Engine, storage
// and export use these schemas and no others, so that a move to another release of Arrow stays within this folder. It
// never computes: what a column holds is decided by whoever appends.
//
//	b := column.NewReports(memory.DefaultAllocator, "indoor", "k7f3q2")
//	defer b.Release()
//	b.Append(&row)
//	record := b.NewRecord() // the caller releases it
package column
