package server

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/query/service"
	"github.com/quadrat-dev/quadrat/storage"
	"github.com/quadrat-dev/quadrat/storage/heads"
)

// answer starts what a process of a cluster needs to answer callers and devices. It keeps no state of its own.
func (s *Server) answer(ctx context.Context) error {
	config, err := s.answering(ctx)
	if err != nil {
		return err
	}
	config.Planner, config.Engine = service.NewFleetPlanner(s.devices, s.settled), s.distant()
	config.Shared, config.Keeps = true, s.keeps
	if s.config.Bucket != nil {
		if err := s.read(ctx); err != nil {
			return err
		}
		config.Archive, config.Stored = s.archive(), stored{rows: s.rows(), desks: s.desks()}
	}
	if s.service, err = service.New(ctx, config); err != nil {
		return err
	}
	s.countDoubts()
	s.background.run("service", s.service.Run)
	s.background.run("keeper", s.keep)
	if err := s.hearReports(); err != nil {
		return err
	}
	return s.caughtUp(ctx)
}

// distant is the engines of the cluster.
func (s *Server) distant() distant { return distant{conn: s.broker.Conn(), parts: s.shares + 1} }

// read opens what the engines have stored.
func (s *Server) read(ctx context.Context) error {
	catalogs, err := s.broker.JetStream().KeyValue(ctx, broker.BucketCatalogs)
	if err != nil {
		return fmt.Errorf("catalogs: %w", err)
	}
	cache, err := storage.NewCache(filepath.Join(s.config.Data, "cache"), cacheBytes)
	if err != nil {
		return err
	}
	s.reader, err = storage.NewReader(storage.ReaderConfig{
		Heads: heads.New(catalogs), Bucket: s.config.Bucket, Cache: cache, Registerer: s.registry,
	})
	return err
}
