package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// mendEvery is how often a server whose disk failed is looked after.
	mendEvery = time.Second
	// roomLeast is what must fit on the disk before JetStream is started again: two blocks of a stream.
	roomLeast = 16 << 20
	// roomFile is what is written to see.
	roomFile = ".room"
	// writeError is what the server says, in any case, of a stream that it stops writing to for its life.
	writeError = "critical write error"
)

// ErrNoRoom says that the streams of the embedded server can't be written to.
var ErrNoRoom = errors.New("the disk of the streams is full or fails: reports are not taken, and devices keep them; make room, no restart is needed")

// health is whether the embedded server can write its streams: how many writes have failed, and of how many of them nothing is left.
type health struct{ failed, mended atomic.Int64 }

func (h *health) broken() bool { return h.failed.Load() > h.mended.Load() }

// hear listens to what the server says of itself: it has no other way to tell.
func (h *health) hear(text string) {
	if strings.Contains(strings.ToLower(text), writeError) {
		h.failed.Add(1)
	}
}

// Fault is why nothing can be stored now: ErrNoRoom while the disk under the embedded server is full or fails. It is nil while all is well,
// and for an outside server, of which nothing is known.
func (b *Broker) Fault() error {
	if b.health.broken() {
		return ErrNoRoom
	}
	return nil
}

// mend looks after the server until ctx ends. A stream of which a write has failed takes nothing more for as long as JetStream runs; so when
// there is room again, JetStream is started anew, as after a power cut. What was acknowledged is on disk.
func (b *Broker) mend(ctx context.Context) {
	ticker := time.NewTicker(mendEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if !b.health.broken() {
			continue
		}
		if err := room(b.config.StoreDir); err != nil {
			b.config.Log.Error("broker: streams can't be written", "error", err)
			continue
		}
		if err := b.startStreams(); err != nil {
			b.config.Log.Error("broker: streams not started", "error", err)
			continue
		}
		b.config.Log.Warn("broker: there is room again; the streams were started anew")
	}
}

// startStreams starts JetStream anew. Connections stay.
func (b *Broker) startStreams() error {
	if config := b.server.JetStreamConfig(); config != nil {
		config.StoreDir = strings.TrimSuffix(config.StoreDir, string(filepath.Separator)+server.JetStreamStoreDir) // which starting adds again
		b.streams = config
	}
	err := b.server.ShutdownJetStream()
	failed := b.health.failed.Load() // what fails from here on is news
	if err == nil {
		config := *b.streams
		err = b.server.EnableJetStream(&config)
	}
	if err == nil {
		b.health.mended.Store(failed)
	}
	return err
}

// room tells whether a folder takes more bytes.
func room(folder string) (err error) {
	file, err := os.Create(filepath.Join(folder, roomFile)) // one that a killed process has left is written over
	if err != nil {
		return fmt.Errorf("room for %d MiB: %w", roomLeast>>20, err)
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	part := make([]byte, 1<<20)
	for range roomLeast / len(part) {
		if _, err := file.Write(part); err != nil {
			return fmt.Errorf("room for %d MiB: %w", roomLeast>>20, err)
		}
	}
	if err := file.Sync(); err != nil {
		return fmt.Errorf("room for %d MiB: %w", roomLeast>>20, err)
	}
	return nil
}
