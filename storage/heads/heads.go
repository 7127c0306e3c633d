// Package heads keeps the heads of the shares of a cluster's store in a bucket of JetStream's key-value store: what
// storage.Heads asks for, and nothing else. A key is a share's name, a revision the bucket's own. It never looks into a
// record.
//
//	kv, err := js.KeyValue(ctx, broker.BucketCatalogs)
//	store, err := storage.OpenShare(ctx, dir, storage.Share{Name: "03", Epoch: lease, Heads: heads.New(kv), …}, storage.Config{})
package heads

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/storage"
)

// Heads keeps heads in a bucket. It is safe for use by many goroutines.
type Heads struct{ bucket jetstream.KeyValue }

// New keeps heads in a bucket, which holds nothing else.
func New(bucket jetstream.KeyValue) *Heads { return &Heads{bucket: bucket} }

// Head gives the record of a share. It may be one that was replaced a moment ago when it is read from a replica that is behind.
func (h *Heads) Head(ctx context.Context, share string) (record []byte, revision uint64, err error) {
	entry, err := h.bucket.Get(ctx, share)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("head of share %s: %w", share, err)
	}
	return entry.Value(), entry.Revision(), nil
}

// Swap replaces the record of a revision. The stream's leader compares.
func (h *Heads) Swap(ctx context.Context, share string, record []byte, revision uint64) (uint64, error) {
	next, err := h.bucket.Update(ctx, share, record, revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return 0, fmt.Errorf("head of share %s: %w", share, storage.ErrSwapped)
	}
	if err != nil {
		return 0, fmt.Errorf("head of share %s: %w", share, err)
	}
	return next, nil
}

// All gives the records of all shares, as the stream's leader, or a replica of it, has them when it begins.
func (h *Heads) All(ctx context.Context) (map[string][]byte, error) {
	watch, err := h.bucket.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("heads: %w", err)
	}
	defer func() { _ = watch.Stop() }() // it was only read from
	out := map[string][]byte{}
	for {
		select {
		case entry, ok := <-watch.Updates():
			if !ok {
				return nil, errors.New("heads: the reading was broken off")
			}
			if entry == nil {
				return out, nil
			}
			out[entry.Key()] = entry.Value()
		case <-ctx.Done():
			return nil, fmt.Errorf("heads: %w", ctx.Err())
		}
	}
}
