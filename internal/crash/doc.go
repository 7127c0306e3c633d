// Package crash kills Quadrat and looks at what is left. It holds nothing but tests; it must never be part of a product.
//
// A round lets devices report over a few windows of several kappas, with duplicates, reorderings, late reports and
// garbage, and kills the system at random moments of it: the engine and the intake at any operation on a file (ingest,
// checkpoint, segment write, compaction), the broker's process, the process of a whole `quadrat serve`, or members of a cluster, whose shares
// others take over. One test kills each of three clustered NATS servers and each of three members in turn. Then the results
// must be the bytes of an undisturbed run of the same reports, and every report that was answered must stand in the
// store exactly once.
//
//	go test ./internal/crash                              # a few rounds
//	go test ./internal/crash -timeout 10m -rounds 200     # as CI does
//	go test ./internal/crash -timeout 1h -soak 30m        # as make soak does
package crash
