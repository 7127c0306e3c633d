package member

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

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

const (
	putPatience   = 3 * time.Second // for a small checkpoint to be stored; the library alone may wait for ever for an answer that was lost
	putBytes      = 1 << 20         // a second more for so many bytes of a large one
	swapTries     = 3
	litterMost    = 64 // names of objects that wait to be removed
	sweepPatience = 3 * time.Second
	sweepAgain    = 2 * time.Second
)

// checkpoints keeps the checkpoints of a part in JetStream for one owner. Its methods are for one goroutine, but for sweep.
type checkpoints struct {
	kv       jetstream.KeyValue
	objects  jetstream.ObjectStore
	part     string
	head     head
	revision uint64
	saved    int
	unsure   []string    // objects whose heads may come to be in force, until a later one is
	litter   chan string // objects that no head names any more
}

// errBehind says that a replica answered that doesn't know the newest head.
var errBehind = errors.New("a replica is behind")

// claim makes the checkpoints of a part the owner's: from then on no former owner can save.
func claim(ctx context.Context, js jetstream.JetStream, part string, epoch uint64) (*checkpoints, error) {
	c := &checkpoints{part: part, litter: make(chan string, litterMost)}
	var err error
	if c.kv, err = js.KeyValue(ctx, broker.BucketCheckpoints); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	if c.objects, err = js.ObjectStore(ctx, broker.ObjectCheckpoints); err != nil {
		return nil, fmt.Errorf("checkpoints: %w", err)
	}
	if c.head, c.revision, err = c.look(ctx); err != nil {
		return nil, err
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

// look gives the head that is in force, or was a moment ago, and its revision; 0 for none.
func (c *checkpoints) look(ctx context.Context) (h head, revision uint64, err error) {
	entry, err := c.kv.Get(ctx, c.part)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return h, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(entry.Value(), &h)
	}
	if err != nil {
		return h, 0, fmt.Errorf("checkpoints: %s: %w", c.part, err)
	}
	return h, entry.Revision(), nil
}

// swap puts a head in place of the one that is known. A try whose answer got lost may have come through, also one with another head: what stands
// there under the owner's own epoch is the owner's, and the next try takes its place.
func (c *checkpoints) swap(ctx context.Context, next head) error {
	value, err := json.Marshal(next)
	if err != nil {
		return err
	}
	for range swapTries {
		revision, err := c.kv.Update(ctx, c.part, value, c.revision)
		if err == nil {
			c.become(next, revision)
			return nil
		}
		if !late(err) {
			return fmt.Errorf("checkpoints: %s: %w", c.part, err)
		}
		now, revision, err := c.look(ctx)
		switch {
		case err != nil:
			return err
		case revision <= c.revision:
			return fmt.Errorf("checkpoints: %s: %w", c.part, errBehind)
		case now.Epoch != next.Epoch:
			return fmt.Errorf("checkpoints: %s: %w", c.part, engine.ErrFenced)
		}
		if c.become(now, revision); now == next {
			return nil
		}
	}
	return fmt.Errorf("checkpoints: %s: %w", c.part, errBehind)
}

// become notes the head that is in force. The object of the one before is nobody's.
func (c *checkpoints) become(now head, revision uint64) {
	if c.head.Object != now.Object {
		c.leave(c.head.Object)
	}
	c.head, c.revision = now, revision
}

// leave lets sweep remove an object. What it has no room for stays, and takes some.
func (c *checkpoints) leave(object string) {
	if object == "" {
		return
	}
	select {
	case c.litter <- object:
	default:
	}
}

// sweep removes what leave was given, until end is called: then it tries once more what is left, and returns soon.
func (c *checkpoints) sweep(log *slog.Logger) (end func()) {
	ctx, stop := context.WithCancel(context.Background())
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for ctx.Err() == nil {
			select {
			case object := <-c.litter:
				c.remove(ctx, object)
			case <-ctx.Done():
			}
		}
		leaving, cancel := context.WithTimeout(context.Background(), sweepPatience)
		defer cancel()
		for {
			select {
			case object := <-c.litter:
				if err := c.objects.Delete(leaving, object); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
					log.Warn("an old checkpoint stays in the object store", "object", object, "error", err)
				}
			default:
				return
			}
		}
	})
	return func() {
		stop()
		sweeping.Wait()
	}
}

// remove removes an object, or leaves it again when ctx ends before it could.
func (c *checkpoints) remove(ctx context.Context, object string) {
	for {
		asking, cancel := context.WithTimeout(ctx, sweepPatience)
		err := c.objects.Delete(asking, object)
		cancel()
		if err == nil || errors.Is(err, jetstream.ErrObjectNotFound) {
			return
		}
		select {
		case <-time.After(sweepAgain):
		case <-ctx.Done():
			c.leave(object)
			return
		}
	}
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

// Save stores the bytes under a name that nobody used, and swaps the head; the bytes of the one before are removed behind it.
func (c *checkpoints) Save(ctx context.Context, sequence uint64, content []byte) error {
	c.saved++
	next := head{Epoch: c.head.Epoch, Position: sequence, Object: fmt.Sprintf("%s-%d-%d", c.part, c.head.Epoch, c.saved)}
	if err := c.put(ctx, next.Object, content); err != nil {
		c.leave(next.Object)
		return fmt.Errorf("checkpoints: %s: %w", next.Object, err)
	}
	err := c.swap(ctx, next)
	switch {
	case errors.Is(err, engine.ErrFenced):
		c.leave(next.Object) // nobody names it
	case err != nil:
		c.unsure = append(c.unsure, next.Object)
	default:
		for _, object := range c.unsure {
			c.leave(object)
		}
		c.unsure = nil
	}
	return err
}

// put stores bytes.
func (c *checkpoints) put(ctx context.Context, object string, content []byte) error {
	ctx, cancel := context.WithTimeout(ctx, putPatience+time.Duration(len(content)/putBytes)*time.Second)
	defer cancel()
	_, err := c.objects.PutBytes(ctx, object, content)
	return err
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
