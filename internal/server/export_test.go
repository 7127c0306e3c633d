package server

import (
	"time"

	"github.com/quadrat-dev/quadrat/engine"
)

// SlowedBy makes the engine hand what it has counted to another sink, which passes it on to the store as slowly as it likes.
func (c Config) SlowedBy(slow func(engine.Sink) engine.Sink) Config {
	c.slow = slow
	return c
}

// WithHeartbeat makes the server give signs of life to who follows more often: a reader that reads nothing is waited for twice as long.
func (c Config) WithHeartbeat(every time.Duration) Config {
	c.heartbeat = every
	return c
}
