package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Share says which part of a cluster's rows a store holds, and where they lie. In a cluster several engines count, each some
// shares, and each share has one store, which goes with it from one engine to the next: segments and catalogs are objects of
// one bucket, and a small record of each share, its head, says which catalog is in force. The head is swapped by
// compare-and-set, which is the only thing that commits. What lies on this machine's disk is a cache.
//
// All fields but Delay are required.
type Share struct {
	// Name is the share's for ever, 1 to 32 characters of [a-z0-9-]: "03", or "merged" for what is no share of the stream.
	// Positions of shares are never compared with each other.
	Name string
	// Epoch is the number of the lease under which the share is opened; a later lease has a greater one.
	Epoch uint64
	// Heads keeps the heads of all shares of the cluster.
	Heads Heads
	// Bucket keeps their objects, those of a share below share=<name>/.
	Bucket Bucket
	// Cache keeps parts of objects that were read; shares and readers of one process have one.
	Cache *Cache
	// Delay is how long an object stays that the catalog has ceased to name, so that readers who began before can end [1 h].
	Delay time.Duration
}

// Heads keeps a small record for each share. Implementations are safe for use by many goroutines.
type Heads interface {
	// Head gives the record of a share and its revision, above 0; nil and 0 when there is none.
	Head(ctx context.Context, share string) (record []byte, revision uint64, err error)
	// Swap puts a record in place of the one with a revision, 0 for none, and gives its revision once it is durable. When another
	// one is in force it changes nothing and fails with ErrSwapped. After another error it may have happened, or happen later.
	Swap(ctx context.Context, share string, record []byte, revision uint64) (uint64, error)
	// All gives the records of all shares.
	All(ctx context.Context) (map[string][]byte, error)
}

// ErrSwapped is the error of a Swap that came too late.
var ErrSwapped = errors.New("storage: the head of the share is another by now")

// Bucket keeps objects that many machines read.
type Bucket interface {
	Objects
	// List gives the names of the objects that begin with a prefix, in any order. An error ends it.
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// OpenShare opens the store of a share for its owner: it takes the head, so that whoever had the share before can't commit any
// more, also when he doesn't know yet that he has lost it. The folder is for files that are not yet in the bucket, is emptied,
// and must be this share's alone. Cfg.Archive must be nil, and Cfg.Retain speaks of this share's rows.
//
// The store is used as one of [Open]. In which order the owner takes the engine's checkpoint and the store doesn't matter, as long as
// the checkpoint that he restores is read after both are his. Whoever commits or changes the share after it was taken from him gets an
// *[Error] with the code Fenced, now and ever after, and [Store.Lost] is closed; he stops and opens the share anew when he has
// another lease. An epoch below that of the head is Fenced at once. An equal one is none of a later owner: then too whoever opened last
// has the share.
//
// A commit uploads its segments first, then the catalog, then swaps the head. Stopped between any two steps it leaves objects
// that no catalog names, and nothing else: a name has the number of times that the share was opened in it and is never
// used for other bytes, so that nobody who was late ever replaces or removes what a later owner wrote. The owner's upkeep removes
// them after Delay.
//
// Ctx bounds the opening only. The caller closes the store.
func OpenShare(ctx context.Context, folder string, share Share, cfg Config) (*Store, error) {
	if err := share.validate(&cfg); err != nil {
		return nil, err
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return nil, fmt.Errorf("storage: %w", err)
	}
	if cfg.Registerer != nil {
		cfg.Registerer = prometheus.WrapRegistererWith(prometheus.Labels{"share": share.Name}, cfg.Registerer)
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("storage: metrics of share %s: %w", share.Name, err)
	}
	s := newStore(folder, cfg, m)
	s.share = &shared{
		Share: share, folder: folder, fs: s.cfg.FS, pace: s.cfg.Pace, fetched: m.fetched, sent: m.sent, lost: make(chan struct{}),
		afoot: map[string]bool{}, tried: map[string]bool{}, waiting: map[string]string{},
	}
	s.home = s.share
	err = s.share.empty()
	if err == nil {
		err = s.share.claim(ctx)
	}
	if err == nil {
		err = s.begin(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// validate fills in defaults and reports all faults at once.
func (s *Share) validate(cfg *Config) error {
	if s.Delay == 0 {
		s.Delay = time.Hour
	}
	fault := func(what string) error { return &Error{Code: Malformed, Detail: what} }
	var faults []error
	if !validName(s.Name) {
		faults = append(faults, fault(fmt.Sprintf("a share is called %q, not 1 to 32 characters of [a-z0-9-]", s.Name)))
	}
	if s.Heads == nil || s.Bucket == nil || s.Cache == nil {
		faults = append(faults, fault("a share needs heads, a bucket and a cache"))
	}
	if s.Delay < 0 {
		faults = append(faults, fault("the delay of a share is above 0"))
	}
	if cfg.Archive != nil {
		faults = append(faults, fault("a share is in a bucket already and has no archive"))
	}
	return errors.Join(append(faults, cfg.Retain.Validate())...)
}

// empty removes what an earlier owner left in the folder.
func (h *shared) empty() error {
	if err := mkdirPath(h.fs, h.folder); err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	entries, err := h.fs.List(h.folder)
	if err != nil {
		return fmt.Errorf("storage: %w", err)
	}
	for _, e := range entries {
		if _, numbered := termOf(e.Name()); !numbered {
			return &Error{Code: Occupied, Detail: "the folder " + h.folder + " of a share holds something else: " + e.Name()}
		}
		if err := h.fs.Remove(filepath.Join(h.folder, e.Name())); err != nil {
			return fmt.Errorf("storage: %w", err)
		}
	}
	return nil
}

// Lost is closed when the share was taken by a later owner; nil for a store that is in a folder.
func (s *Store) Lost() <-chan struct{} {
	if s.share == nil {
		return nil
	}
	return s.share.lost
}

// isLost tells whether Lost is closed.
func (s *Store) isLost() bool { return s.share != nil && s.share.held() != nil }

// Close ends what the store of a share has under way, and lets go of its metrics. It commits nothing. It is idempotent; calls after it fail. A store that
// is in a folder needs none.
func (s *Store) Close() error {
	s.end()
	s.metrics.leave()
	return nil
}
