// Package storage keeps what the engine counted and estimated as Parquet, and gives it back. Reports and results come
// from the engine ([Store.Batch], [Store.Results], [Store.Strata]), wait in memory, and become segments when the
// engine commits a position of the stream ([Store.Commit]). A segment appears whole; the catalog names the segments
// that count. After a crash [Store.Restore] drops what lies beyond the engine's checkpoint, so that a replay writes it
// once. Small segments become larger ones behind it ([Store.Run]), never beyond what the engine has called permanent. Readers
// stream Arrow records ([Store.ScanReports]); [WriteFolder] writes them as an export.
//
// The package holds randomised scores and pseudonyms only. It must never see a reading or an identity, and does not
// know the engine, the planner or the fleet.
//
//	store, err := storage.Open(dir, storage.Config{})
//	err = store.Restore(checkpoint)
//	err = store.Batch(reports)
//	err = store.Commit(sequence)
package storage
