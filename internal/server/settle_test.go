package server

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/internal/broker"
)

// TestSettleAsksAgain: a part that changes hands while checkpoints are asked for is asked again, and those that have answered are not.
func TestSettleAsksAgain(t *testing.T) {
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	asked := make(chan string, 10)
	sub, err := b.Conn().Subscribe(subjectSettle, func(msg *nats.Msg) {
		asked <- string(msg.Data)
		part := "00"
		if string(msg.Data) == part {
			part = "merged" // it has found a new owner
		}
		if err := msg.Respond([]byte(part)); err != nil {
			t.Error(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := (distant{conn: b.Conn(), parts: 2}).Checkpoint(t.Context()); err != nil {
		t.Error(err)
	}
	if first, second := <-asked, <-asked; first != "" || second != "00" {
		t.Errorf("asked for all but %q, then for all but %q", first, second)
	}
	if err := sub.Unsubscribe(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := (distant{conn: b.Conn(), parts: 2}).Checkpoint(ctx); err == nil {
		t.Error("nobody answers, and all is said to be stored")
	}
}
