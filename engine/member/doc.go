// Package member is one process of a cluster that counts: it takes shares and the merger's work by leases, runs an engine for each, and lets go of what
// it has above its part. A lease says who works and is no fence: checkpoints are swapped by revision, stores of shares and chains of
// handovers likewise, so that an owner that is late finds its write refused and stops (docs/design/cluster.md).
//
// It must never write what another owner may have written without comparing first, and never make a last checkpoint of a part that it has
// lost. It stands between engine and broker, and knows neither query nor storage: a share's store comes from its configuration.
//
//	m, err := member.New(member.Config{Node: "a", JetStream: js, Engine: engine.Config{Frames: registry}, Open: open, Rows: rows})
//	err = m.Run(ctx)
package member
