package server

import (
	"context"
	"fmt"
	"iter"
	"runtime/debug"

	"github.com/apache/arrow/go/v17/arrow"

	"github.com/quadrat-dev/quadrat/query/flight"
	"github.com/quadrat-dev/quadrat/storage"
)

// tables lets clients of tables read what storage keeps.
type tables struct {
	rows  *storage.Rows
	desks desks
	// settle returns once everything that was counted before the call is in the store.
	settle func(context.Context) error
}

// Scan streams the rows of a span.
func (t tables) Scan(ctx context.Context, s flight.Span) iter.Seq2[arrow.Record, error] {
	return func(yield func(arrow.Record, error) bool) {
		leave, err := t.desks.sit()
		if err != nil {
			yield(nil, err)
			return
		}
		defer leave()
		if err := t.settle(ctx); err != nil {
			yield(nil, fmt.Errorf("stored %s: %w", s.Kind, err))
			return
		}
		var records storage.Records
		switch storage.Kind(s.Kind) {
		case storage.KindResults:
			records = t.rows.ScanResults(ctx, s.Ref, s.Since, s.Until, true)
		case storage.KindReports:
			records = t.rows.ScanWeighted(ctx, s.Ref, s.Since, s.Until)
		case storage.KindStrata:
			records = t.rows.ScanStrata(ctx, s.Ref, s.Since, s.Until)
		default:
			yield(nil, fmt.Errorf("no rows of the kind %q are read as tables", s.Kind))
			return
		}
		for record, err := range records {
			if err != nil {
				err = fmt.Errorf("stored %s: %w", s.Kind, err)
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

// serveTables puts Flight SQL beside the gRPC API.
func (s *Server) serveTables() error {
	version := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
	}
	server, err := flight.New(flight.Config{
		Kappas: s.service, Answers: s.service, Rows: tables{rows: s.rows(), desks: s.desks(), settle: s.settles()}, Version: version,
	})
	if err != nil {
		return err
	}
	server.Register(s.grpc)
	return nil
}
