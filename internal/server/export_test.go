package server

import "github.com/quadrat-dev/quadrat/engine"

// SlowedBy makes the engine hand what it has counted to another sink, which passes it on to the store as slowly as it likes.
func (c Config) SlowedBy(slow func(engine.Sink) engine.Sink) Config {
	c.slow = slow
	return c
}
