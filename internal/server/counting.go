package server

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/engine/member"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/memory"
	"github.com/quadrat-dev/quadrat/storage"
	"github.com/quadrat-dev/quadrat/storage/heads"
)

// count starts the process's part of the counting.
func (s *Server) count(ctx context.Context) error {
	open, err := s.sharedStores(ctx)
	if err != nil {
		return err
	}
	s.member, err = member.New(ctx, member.Config{
		Node: s.config.Node, JetStream: s.broker.JetStream(), Shares: s.shares, Rows: s.rowsAt, Open: open,
		Engine: engine.Config{
			Frames: s.devices, Clock: s.config.Clock, Retention: s.config.Retention, ResponseFloor: s.config.ResponseFloor,
			ReportsKeep: s.config.ReportsKeep, CheckpointEvery: s.config.CheckpointEvery, AcceptGap: s.config.AcceptGap, Shuffler: s.config.Shuffler,
		},
		Memory: s.memory, Registerer: s.registry, Log: s.log,
	})
	if err != nil {
		return err
	}
	if s.settle, err = answerSettle(s.broker.Conn(), s.member); err != nil {
		return fmt.Errorf("nats: %w", err)
	}
	s.background.run("member", s.member.Run)
	return nil
}

// sharedStores opens stores of parts in the cluster's bucket.
func (s *Server) sharedStores(ctx context.Context) (func(context.Context, string, uint64, *memory.Account) (member.Store, error), error) {
	kv, err := s.broker.JetStream().KeyValue(ctx, broker.BucketCatalogs)
	if err != nil {
		return nil, fmt.Errorf("catalogs: %w", err)
	}
	cache, err := storage.NewCache(filepath.Join(s.config.Data, "cache"), cacheBytes)
	if err != nil {
		return nil, err
	}
	retain := s.config.Retain
	retain.BytesMax /= int64(s.shares + 1) // each part sees its own rows only
	return func(ctx context.Context, name string, epoch uint64, rows *memory.Account) (member.Store, error) {
		store, err := storage.OpenShare(ctx, filepath.Join(s.config.Data, "share-"+name), storage.Share{
			Name: name, Epoch: epoch, Heads: heads.New(kv), Bucket: s.config.Bucket, Cache: cache,
		}, storage.Config{
			Memory: rows, RowsMerging: rowsMerging(rows.Limit()),
			Late: s.config.late(), Retain: retain, Clock: s.config.Clock, Registerer: s.registry, Log: s.log.With("part", name),
		})
		if err != nil {
			return nil, fenced(err)
		}
		kept := newKeptStore(store)
		if s.config.slow != nil {
			return slowed{Sink: s.config.slow(kept), store: kept}, nil
		}
		return kept, nil
	}, nil
}

// slowed is a store behind what a test puts between the engine and it.
type slowed struct {
	engine.Sink

	store *keptStore
}

// Close closes the store.
func (s slowed) Close() error { return s.store.Close() }

// fenced makes the engine's error of the storage's.
func fenced(err error) error {
	if e, ok := errors.AsType[*storage.Error](err); ok && e.Code == storage.Fenced {
		return errors.Join(engine.ErrFenced, err)
	}
	return err
}

// keptStore is a store of a part with its upkeep.
type keptStore struct {
	*storage.Store
	stop  context.CancelFunc
	group sync.WaitGroup
}

func newKeptStore(store *storage.Store) *keptStore {
	ctx, stop := context.WithCancel(context.Background())
	k := &keptStore{Store: store, stop: stop}
	k.group.Go(func() { _ = store.Run(ctx) }) // what it couldn't do the next owner does
	return k
}

// Restore is the store's.
func (k *keptStore) Restore(sequence uint64) error { return fenced(k.Store.Restore(sequence)) }

// Commit is the store's.
func (k *keptStore) Commit(sequence uint64) error { return fenced(k.Store.Commit(sequence)) }

// Close ends the upkeep, then the store.
func (k *keptStore) Close() error {
	k.stop()
	k.group.Wait()
	return k.Store.Close()
}

// listenHealth opens what a process that doesn't answer callers shows: whether it is well, and its metrics.
func (s *Server) listenHealth(ctx context.Context) error {
	text := func(w http.ResponseWriter, code int, body string) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body + "\n")) // the caller has gone
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { text(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := s.member.Fault(); err != nil {
			text(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		if bytes := s.member.Crowded(); bytes > 0 {
			text(w, http.StatusOK, fmt.Sprintf("ok; but windows take %d MiB of memory, more than their share of %d MiB: give the engines more (--memory), "+
				"start another one, or delete a kappa", bytes>>20, s.memory.States.Limit()>>20))
			return
		}
		text(w, http.StatusOK, "ok")
	})
	metrics := promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, r *http.Request) {
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if s.config.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(s.config.Token)) != 1 {
			text(w, http.StatusUnauthorized, "a bearer token is needed")
			return
		}
		metrics.ServeHTTP(w, r)
	})
	var listener net.ListenConfig
	web, err := listener.Listen(ctx, "tcp", s.config.HTTP)
	if err != nil {
		return fmt.Errorf("--http: %w", err)
	}
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: headerPatience, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	s.serving.run("http", func(context.Context) error {
		if err := s.http.Serve(web); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	s.addresses.HTTP = web.Addr().String()
	return nil
}
