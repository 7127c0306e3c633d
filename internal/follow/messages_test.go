package follow_test

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/follow"
)

// TestReaderGoesOn: a reader whose consumer goes, again and again, fails, and reads on where it ended: every message of its subjects once and
// in order, from behind the position that it was given.
func TestReaderGoesOn(t *testing.T) {
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	stream, err := b.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.*"}})
	if err != nil {
		t.Fatal(err)
	}
	const messages, behind = 60, 6
	for i := range messages {
		if _, err := b.JetStream().Publish(t.Context(), fmt.Sprintf("s.%d", i%2), []byte{byte(i)}); err != nil {
			t.Fatal(err)
		}
	}
	r := follow.Reader{Stream: stream, Subjects: []string{"s.1"}, Position: behind, Pull: jetstream.PullMaxMessages(4)}
	next, failures := byte(behind+1), 0
	for int(next) < messages {
		err := r.Read(t.Context(), func(m follow.Message) (bool, error) {
			if m.Data()[0] != next {
				return false, fmt.Errorf("message %d where %d is next", m.Data()[0], next)
			}
			next += 2
			if next == messages/2+1 {
				for name := range stream.ConsumerNames(t.Context()).Name() {
					if err := stream.DeleteConsumer(t.Context(), name); err != nil {
						return false, err
					}
				}
			}
			meta, err := m.Metadata()
			if err == nil && (m.Position != meta.Sequence.Stream || m.Pending != meta.NumPending) {
				err = fmt.Errorf("place %d with %d pending where the library reads %d and %d", m.Position, m.Pending, meta.Sequence.Stream, meta.NumPending)
			}
			return int(next) < messages, err
		})
		if err == nil {
			break
		}
		if failures++; failures > messages {
			t.Fatal(err)
		}
	}
	if next != messages+1 || failures == 0 {
		t.Errorf("the next message is %d after %d failures", next, failures)
	}
	for name := range stream.ConsumerNames(t.Context()).Name() {
		t.Errorf("the consumer %s was left behind", name)
	}
}
