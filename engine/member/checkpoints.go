package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/internal/broker"
)

// head says which checkpoint of a part is the newest, and who may put another in its place.
type head struct {
	Epoch    uint64 `json:"epoch"`
	Position uint64 `json:"position"` // in REPORTS, that the checkpoint covers
	Object   string `json:"object"`   // its bytes; empty for none yet
}

// checkpoints keeps the checkpoints of a part in JetStream for one owner.
type checkpoints struct {
	kv       jetstream.KeyValue
	objects  jetstream.ObjectStore
	part     string
	head     head
	revision uint64
	saved    int
}

// claim makes the checkpoints of a part the owner's: from then on no former owner can save.
func claim(ctx context.Context, js jetstream.JetStream, part string, epoch uint64) (*checkpoints, error) {
	c := &checkpoints{part: part}
	var err error
	if c.kv, err = js.KeyValue(ctx, broker.BucketCheckpoints); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	if c.objects, err = js.ObjectStore(ctx, broker.ObjectCheckpoints); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	entry, err := c.kv.Get(ctx, part)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
	case err != nil:
		return nil, fmt.Errorf("checkpoints: %s: %w", part, err)
	default:
		if err := json.Unmarshal(entry.Value(), &c.head); err != nil {
			return nil, fmt.Errorf("checkpoints: %s: %w", part, err)
		}
		c.revision = entry.Revision()
	}
	if c.head.Epoch > epoch {
		return nil, fmt.Errorf("checkpoints: %s: %w", part, engine.ErrFenced)
	}
	next := c.head
	next.Epoch = epoch
	if err := c.swap(ctx, next); err != nil {
		return nil, err
	}
	return c, nil
}

// swap puts a head in place of the one that is known. When it was refused because of its own earlier try it has succeeded.
func (c *checkpoints) swap(ctx context.Context, next head) error {
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	revision, err := c.kv.Update(ctx, c.part, value, c.revision)
	if late(err) {
		var entry jetstream.KeyValueEntry
		if entry, err = c.kv.Get(ctx, c.part); err == nil && string(entry.Value()) != string(value) {
			err = engine.ErrFenced
		} else if err == nil {
			revision = entry.Revision()
		}
	}
	if err != nil {
		return fmt.Errorf("checkpoints: %s: %w", c.part, err)
	}
	c.head, c.revision = next, revision
	return nil
}

// Load gives the newest checkpoint.
func (c *checkpoints) Load(ctx context.Context) ([]byte, error) {
	if c.head.Object == "" {
		return nil, nil
	}
	content, err := c.objects.GetBytes(ctx, c.head.Object)
	if err != nil {
		return nil, fmt.Errorf("checkpoints: %s: %w", c.head.Object, err)
	}
	return content, nil
}

// Save stores the bytes under a name that nobody used, swaps the head, and removes the bytes of the one before.
func (c *checkpoints) Save(ctx context.Context, sequence uint64, content []byte) error {
	before := c.head.Object
	c.saved++
	next := head{Epoch: c.head.Epoch, Position: sequence, Object: fmt.Sprintf("%s-%d-%d", c.part, c.head.Epoch, c.saved)}
	if _, err := c.objects.PutBytes(ctx, next.Object, content); err != nil {
		return fmt.Errorf("checkpoints: %s: %w", next.Object, err)
	}
	if err := c.swap(ctx, next); err != nil {
		if errors.Is(err, engine.ErrFenced) {
			_ = c.objects.Delete(ctx, next.Object) // nobody names it
		}
		return err
	}
	if before != "" {
		_ = c.objects.Delete(ctx, before) // what stays takes room and nothing else
	}
	return nil
}

// positions gives how far the checkpoints of some parts reach, the least of them; ok is false while one has none.
func positions(ctx context.Context, kv jetstream.KeyValue, parts []string) (least uint64, ok bool, err error) {
	for i, part := range parts {
		entry, err := kv.Get(ctx, part)
		if errors.Is(err, jetstream.ErrKeyNotFound) {
			return 0, false, nil
		}
		if err != nil {
			return 0, false, fmt.Errorf("checkpoints: %s: %w", part, err)
		}
		var h head
		if err := json.Unmarshal(entry.Value(), &h); err != nil {
			return 0, false, fmt.Errorf("checkpoints: %s: %w", part, err)
		}
		if h.Object == "" {
			return 0, false, nil
		}
		if i == 0 || h.Position < least {
			least = h.Position
		}
	}
	return least, len(parts) > 0, nil
}
