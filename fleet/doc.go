// Package fleet is the registry of devices: who is there, with which public attributes and capabilities, and since
// when. It is the sampling frame. A hello comes in over NATS ([Server]), becomes a row valid for a span of server time
// ([Registry]), is kept in the KV bucket DEVICES ([Store]), and the planner and the engine ask for the rows that a
// query can reach at a moment ([Registry.Frame]).
//
// The package must never hold a reading, nor store a subject, a stream or a consumer per device. What a frame has told
// once it tells again, also after a restart: rows begin and end only after the newest moment that was asked for.
//
//	r := fleet.New(fleet.NewKeyer(secret))
//	err := r.Hello(&quadratv1.Hello{Device: "balcony-7", Capabilities: …}, clock.Now())
//	rows := r.Frame(fleet.Query{Capability: "sense.temperature", Model: "local"}, windowStart)
package fleet
