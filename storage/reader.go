package storage

import (
	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/prometheus/client_golang/prometheus"
)

// ReaderConfig says what a reader reads. Heads, Bucket and Cache are required and those of the shares.
type ReaderConfig struct {
	Heads      Heads
	Bucket     Bucket
	Cache      *Cache
	Allocator  memory.Allocator      // of the Arrow records [Go's]
	Registerer prometheus.Registerer // of the metrics; nil for none
}

// Reader reads what all shares have committed, as one store. It keeps nothing but the cache, needs nobody who counts, and never
// writes. Each call sees, of every share, what had been committed when it began. Its methods are safe for use by many goroutines.
//
// Where one share has removed a date, the rows of the same kind of the others aren't seen either, so that no window is read in part.
// A call that lasts longer than the shares' Delay may fail with the code Replaced.
type Reader struct {
	config ReaderConfig
}

// NewReader makes a reader. It reads nothing yet.
func NewReader(config ReaderConfig) (*Reader, error) { return &Reader{config: config}, nil }
