package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrFenced says that another process has written the bucket DEVICES: whoever gets it is keeper no more.
var ErrFenced = errors.New("fleet: another process writes the bucket of devices")

// Exclusive is the bucket DEVICES for the only process that writes it. Every write expects the last position of the whole bucket, so of two
// writers one fails at its first write, and at every one after. It is safe for use by many goroutines.
type Exclusive struct {
	js     jetstream.JetStream
	kv     jetstream.KeyValue
	prefix string

	mu     sync.Mutex // held while a value is written
	last   uint64     // position of the newest value
	fenced bool
}

// NewExclusive takes the bucket of a name for a process that has read it up to a position.
func NewExclusive(js jetstream.JetStream, kv jetstream.KeyValue, position uint64) *Exclusive {
	return &Exclusive{js: js, kv: kv, prefix: "$KV." + kv.Bucket() + ".", last: position}
}

// Get returns the newest value of a key.
func (e *Exclusive) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	return e.kv.Get(ctx, key)
}

// Put returns once the value is on disk. It fails with ErrFenced when anybody else has written since, and, since nobody can tell, also
// when a value was written whose answer got lost.
func (e *Exclusive) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.fenced {
		return 0, ErrFenced
	}
	ack, err := e.js.Publish(ctx, e.prefix+key, value, jetstream.WithExpectLastSequence(e.last))
	var answer *jetstream.APIError
	if errors.As(err, &answer) && (answer.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || answer.ErrorCode == wrongLast) {
		e.fenced = true
		return 0, fmt.Errorf("%s: %w", key, ErrFenced)
	}
	if err != nil {
		return 0, err
	}
	e.last = ack.Sequence
	return ack.Sequence, nil
}

// wrongLast is the other code by which servers say that the last position is another.
const wrongLast jetstream.ErrorCode = 10164
