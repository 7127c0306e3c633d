package member

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
)

// errLost says that a lease is another's, or nobody's.
var errLost = errors.New("the lease is another's by now")

// LeaseLife is how long a lease lives after its last renewal: long enough that the choice of a new leader among NATS servers seldom ends it, short
// enough that a part of an engine that died is taken over well within ten seconds.
const LeaseLife = 5 * time.Second

// Leases is the bucket LEASES as one process sees it. It is safe for use by many goroutines.
type Leases struct {
	js   jetstream.JetStream
	kv   jetstream.KeyValue
	node string
	life time.Duration // of a lease after its last renewal
}

// OpenLeases opens the bucket for a process. Node must be its own among all.
func OpenLeases(ctx context.Context, js jetstream.JetStream, node string) (*Leases, error) {
	kv, err := js.KeyValue(ctx, broker.BucketLeases)
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	return &Leases{js: js, kv: kv, node: node, life: status.TTL()}, nil
}

// Life is how long a lease lives after its last renewal.
func (l *Leases) Life() time.Duration { return l.life }

// held tells which leases are held now, as the leader of the bucket's stream knows.
func (l *Leases) held(ctx context.Context) (map[string]bool, error) {
	stream, err := l.js.Stream(ctx, "KV_"+broker.BucketLeases)
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	prefix := "$KV." + broker.BucketLeases + "."
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(prefix+">"))
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	out := map[string]bool{}
	for subject := range info.State.Subjects {
		out[strings.TrimPrefix(subject, prefix)] = true
	}
	return out, nil
}

// present says that the process is there, and gives the revision of what it said.
func (l *Leases) present(ctx context.Context) (uint64, error) {
	return l.kv.Put(ctx, memberPrefix+l.node, nil)
}

// remove frees a key at once, unless it was written after a revision: whoever has it by now keeps it.
func (l *Leases) remove(ctx context.Context, key string, revision uint64) error {
	stream, err := l.js.Stream(ctx, "KV_"+broker.BucketLeases)
	if err != nil {
		return err
	}
	return stream.Purge(ctx, jetstream.WithPurgeSubject("$KV."+broker.BucketLeases+"."+key), jetstream.WithPurgeSequence(revision+1))
}

// Lease is the right to do a part of the work, for as long as it is renewed. Its methods are not safe for concurrent use.
type Lease struct {
	leases   *Leases
	key      string
	revision uint64
	// Epoch is greater than that of every owner before.
	Epoch uint64
}

// Take takes a lease; nil when another has it.
func (l *Leases) Take(ctx context.Context, key string) (*Lease, error) {
	revision, err := l.kv.Create(ctx, key, []byte(l.node))
	if errors.Is(err, jetstream.ErrKeyExists) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("lease %s: %w", key, err)
	}
	return &Lease{leases: l, key: key, revision: revision, Epoch: revision}, nil
}

// Renew prolongs the lease. One that has expired is taken anew if nobody else has it. It fails with an error that Lost knows when
// another has.
func (l *Lease) Renew(ctx context.Context) error {
	revision, err := l.leases.kv.Update(ctx, l.key, []byte(l.leases.node), l.revision)
	if late(err) {
		revision, err = l.again(ctx)
	}
	if err != nil {
		return fmt.Errorf("lease %s: %w", l.key, err)
	}
	l.revision = revision
	return nil
}

// again finds out whether a renewal came through whose answer got lost, or takes a lease anew that has expired.
func (l *Lease) again(ctx context.Context) (uint64, error) {
	entry, err := l.leases.kv.Get(ctx, l.key)
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound):
		revision, err := l.leases.kv.Create(ctx, l.key, []byte(l.leases.node))
		if errors.Is(err, jetstream.ErrKeyExists) {
			return 0, errLost
		}
		return revision, err
	case err != nil:
		return 0, err
	case string(entry.Value()) != l.leases.node:
		return 0, errLost
	}
	return entry.Revision(), nil
}

// Keep renews the lease until ctx ends, and tells when another has it: then it returns true.
func (l *Lease) Keep(ctx context.Context) (lost bool) {
	ticker := time.NewTicker(max(l.leases.life/4, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-ticker.C:
		}
		asking, cancel := context.WithTimeout(ctx, max(l.leases.life/2, time.Second))
		err := l.Renew(asking)
		cancel()
		if errors.Is(err, errLost) {
			return true
		}
	}
}

// Release gives the lease back, so that the next owner need not wait for its end. A lease that is another's by now is left alone.
func (l *Lease) Release(ctx context.Context) error {
	if err := l.leases.remove(ctx, l.key, l.revision); err != nil {
		return fmt.Errorf("lease %s: %w", l.key, err)
	}
	return nil
}

// wrongLast is the other code by which servers say that they compared with another revision.
const wrongLast jetstream.ErrorCode = 10164

// late tells whether a write was refused because of what stands there.
func late(err error) bool {
	var answer *jetstream.APIError
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) ||
		errors.As(err, &answer) && (answer.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || answer.ErrorCode == wrongLast)
}
