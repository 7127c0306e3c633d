// Package follow reads what JetStream holds in the order of its positions. A Bucket of the key-value store is read on demand: whoever asks has
// seen, when the call returns, every value that was stored before it. It asks the leader of the bucket's stream, never a replica that may be
// behind, and it waits for nothing: no consumer has to notice that a server is gone. A Reader of a stream has a consumer, and notices within
// seconds that its server is gone. The package must never write.
//
//	b := follow.New(js, broker.BucketPlans, func(e follow.Entry) error { … })
//	err := b.Catch(ctx)
package follow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Entry is the newest value of a key.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64 // position in the bucket's stream
	Deleted  bool
}

// Bucket follows one bucket. It is safe for use by many goroutines.
type Bucket struct {
	js     jetstream.JetStream
	stream string
	prefix string
	take   func(Entry) error

	mu       sync.Mutex // held while entries are read, so that take is called by one goroutine at a time
	position uint64
}

// New follows a bucket from its beginning. Take gets each entry, of every key at least the newest one, in order; an error of it ends the
// call of Catch, and the next one gives the entry again.
func New(js jetstream.JetStream, bucket string, take func(Entry) error) *Bucket {
	return &Bucket{js: js, stream: "KV_" + bucket, prefix: "$KV." + bucket + ".", take: take}
}

// Catch returns once take has got every value that was stored before the call.
func (b *Bucket) Catch(ctx context.Context) error {
	last, err := b.last(ctx)
	if err != nil {
		return fmt.Errorf("follow %s: %w", b.stream, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.position < last {
		entry, found, err := b.next(ctx)
		if err != nil {
			return fmt.Errorf("follow %s: %w", b.stream, err)
		}
		if !found { // what stood there has been replaced or has expired
			b.position = last
			break
		}
		if err := b.take(entry); err != nil {
			return fmt.Errorf("follow %s: %s: %w", b.stream, entry.Key, err)
		}
		b.position = entry.Revision
	}
	return nil
}

// Reset makes the next call of Catch begin at the bucket's beginning.
func (b *Bucket) Reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.position = 0
}

// Position is up to where take has got everything.
func (b *Bucket) Position() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.position
}

// notFound is the server's code for "no message found".
const notFound = 10037

// errNoLeader says that a stream has no leader now.
var errNoLeader = errors.New("the stream has no leader now")

// answer is what the server says of a stream, or of a message; its bytes are base64, as encoding/json reads them.
type answer struct {
	Error *struct {
		Code        int    `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
	State struct {
		Last uint64 `json:"last_seq"`
	} `json:"state"`
	Cluster *struct {
		Leader string `json:"leader"`
	} `json:"cluster"` // absent where a server is alone
	Message *struct {
		Subject  string `json:"subject"`
		Sequence uint64 `json:"seq"`
		Header   []byte `json:"hdrs"`
		Data     []byte `json:"data"`
	} `json:"message"`
}

// ask asks the leader of the stream.
func (b *Bucket) ask(ctx context.Context, question string, details any) (*answer, error) {
	request, err := json.Marshal(details)
	if err != nil {
		return nil, err
	}
	prefix := b.js.Options().APIPrefix
	if prefix == "" {
		prefix = jetstream.DefaultAPIPrefix
	}
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	msg, err := ask(ctx, b.js.Conn(), strings.TrimSuffix(prefix, ".")+question+b.stream, request)
	if err != nil {
		return nil, err
	}
	a := &answer{}
	return a, json.Unmarshal(msg.Data, a)
}

// last is the last position of the stream. While there is no leader every replica answers with what it has, which may be too little.
func (b *Bucket) last(ctx context.Context) (uint64, error) {
	a, err := b.ask(ctx, ".STREAM.INFO.", struct{}{})
	switch {
	case err != nil:
		return 0, err
	case a.Error != nil:
		return 0, errors.New(a.Error.Description)
	case a.Cluster != nil && a.Cluster.Leader == "":
		return 0, errNoLeader
	}
	return a.State.Last, nil
}

// next asks the leader for the first message behind the position. The library's own call may ask a replica, which may not have it yet.
func (b *Bucket) next(ctx context.Context) (e Entry, found bool, err error) {
	a, err := b.ask(ctx, ".STREAM.MSG.GET.", map[string]any{"seq": b.position + 1, "next_by_subj": b.prefix + ">"})
	switch {
	case err != nil:
		return e, false, err
	case a.Error != nil && a.Error.Code == notFound:
		return e, false, nil
	case a.Error != nil:
		return e, false, errors.New(a.Error.Description)
	case a.Message == nil:
		return e, false, errors.New("the server's answer has no message")
	}
	e = Entry{Key: strings.TrimPrefix(a.Message.Subject, b.prefix), Value: a.Message.Data, Revision: a.Message.Sequence}
	if len(a.Message.Header) > 0 {
		header, err := nats.DecodeHeadersMsg(a.Message.Header)
		if err != nil {
			return e, false, err
		}
		op := header.Get("KV-Operation")
		e.Deleted = op == "DEL" || op == "PURGE" || header.Get("Nats-Marker-Reason") != ""
	}
	return e, true, nil
}
