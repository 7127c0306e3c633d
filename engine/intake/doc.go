// Package intake takes the devices' reports in: requests on quadrat.in.<device>, shared among servers by a queue group.
// It checks form, identity and size, replaces identities by keys, packs reports of many devices into columns by
// partition, stores them as one atomic batch of the stream REPORTS, and answers every device only then. STATUS_STORED
// means: on disk.
//
// While one batch is being stored the next one gathers, so batches grow with the load and a lone report waits for
// nobody. The package knows no plan and no window: what can't be counted is the engine's to tell. It must never answer
// before the stream has acknowledged, nor log what a report says.
//
//	in, err := intake.New(intake.Config{Conn: conn, JetStream: js, Keyer: registry.Keyer(), Devices: registry})
//	err = in.Start()
//	defer in.Close()
package intake
