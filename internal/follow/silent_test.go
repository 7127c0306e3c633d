package follow_test

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/follow"
)

// between stands between whoever asks JetStream and the servers: it passes a question on, or keeps it, or answers it.
type between struct {
	keep   atomic.Int64 // so many of the next questions are never answered
	asked  atomic.Int64
	answer atomic.Pointer[string] // to the next question, in place of the servers'
}

// proxied is a connection whose questions of some kind go through between.
func proxied(t *testing.T, kind string) (plain, through jetstream.JetStream, p *between) {
	t.Helper()
	const prefix = "BETWEEN.API"
	b, err := broker.Open(t.Context(), broker.Config{StoreDir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() })
	p = &between{}
	_, err = b.Conn().Subscribe(prefix+".>", func(m *nats.Msg) {
		question := strings.TrimPrefix(m.Subject, prefix)
		if strings.HasPrefix(question, kind) {
			p.asked.Add(1)
			if p.keep.Add(-1) >= 0 {
				return
			}
			if answer := p.answer.Swap(nil); answer != nil {
				_ = m.Respond([]byte(*answer)) // a test that gets none fails
				return
			}
		}
		_ = b.Conn().PublishRequest("$JS.API"+question, m.Reply, m.Data) // likewise
	})
	if err != nil {
		t.Fatal(err)
	}
	through, err = jetstream.NewWithAPIPrefix(b.Conn(), prefix)
	if err != nil {
		t.Fatal(err)
	}
	return b.JetStream(), through, p
}

// TestCatchAsksAgain: a question that went with its server is asked again, and what a replica says while there is no leader counts for nothing.
func TestCatchAsksAgain(t *testing.T) {
	plain, through, p := proxied(t, ".STREAM.INFO.")
	kv, err := plain.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "B"})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	bucket := follow.New(through, "B", func(e follow.Entry) error { got[e.Key] = string(e.Value); return nil })
	for i := range 3 {
		if _, err := kv.PutString(t.Context(), fmt.Sprint(i), "x"); err != nil {
			t.Fatal(err)
		}
		p.keep.Store(2)
		before := p.asked.Load()
		if err := bucket.Catch(t.Context()); err != nil {
			t.Fatal(err)
		}
		if len(got) != i+1 || p.asked.Load() < before+3 {
			t.Errorf("%d of %d values after %d questions", len(got), i+1, p.asked.Load()-before)
		}
	}
	if _, err := kv.PutString(t.Context(), "last", "x"); err != nil {
		t.Fatal(err)
	}
	behind := `{"state":{"last_seq":3},"cluster":{"name":"c","leader":""}}`
	p.answer.Store(&behind)
	if err := bucket.Catch(t.Context()); err == nil {
		t.Error("a replica that may be behind was believed while there was no leader")
	}
	if err := bucket.Catch(t.Context()); err != nil || got["last"] == "" {
		t.Errorf("in the end: %v, %v", got, err)
	}
}

// oneMessage makes a stream with one message, and gives it as it is seen through another connection.
func oneMessage(t *testing.T, plain, through jetstream.JetStream) jetstream.Stream {
	t.Helper()
	if _, err := plain.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Publish(t.Context(), "s", []byte("x")); err != nil {
		t.Fatal(err)
	}
	stream, err := through.Stream(t.Context(), "S")
	if err != nil {
		t.Fatal(err)
	}
	return stream
}

// TestReaderAsksForAnotherConsumer: who isn't given a consumer, or one that never answers, asks for another before the patience for one is over.
func TestReaderAsksForAnotherConsumer(t *testing.T) {
	plain, through, p := proxied(t, ".CONSUMER.CREATE.")
	stream := oneMessage(t, plain, through)
	p.keep.Store(1)
	read := 0
	reader := follow.Reader{Stream: stream}
	for begun := time.Now(); read == 0 && time.Since(begun) < time.Minute; {
		_ = reader.Read(t.Context(), func(follow.Message) (bool, error) { read++; return false, nil }) // it is read again
		if read == 0 && p.asked.Load() == 1 {
			t.Fatal("it waited for the first consumer alone")
		}
	}
	if read != 1 || p.asked.Load() < 2 {
		t.Errorf("%d messages after %d questions", read, p.asked.Load())
	}
}

// TestReaderAsksADeafConsumerAgain: who asked a consumer for messages, and was heard by nobody, finds out before the consumer's silence tells.
func TestReaderAsksADeafConsumerAgain(t *testing.T) {
	plain, through, p := proxied(t, ".CONSUMER.MSG.NEXT.")
	stream := oneMessage(t, plain, through)
	var faults []error
	for range 3 { // a machine that stands still for seconds may let the silence tell first
		p.keep.Store(1)
		read := 0
		reader := follow.Reader{Stream: stream}
		take := func(follow.Message) (bool, error) { read++; return false, nil }
		if err := reader.Read(t.Context(), take); err == nil || read > 0 {
			t.Fatalf("%d messages of a consumer that was never asked, %v", read, err)
		} else if faults = append(faults, err); errors.Is(err, jetstream.ErrNoHeartbeat) {
			continue
		}
		if err := reader.Read(t.Context(), take); err != nil || read != 1 {
			t.Errorf("then %d messages, %v", read, err)
		}
		return
	}
	t.Errorf("it waited until the consumer was silent for too long: %v", faults)
}
