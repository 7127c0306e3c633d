package service

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	keyPrefix  = "kappa."
	keyVersion = "cluster.version"
	// recordVersion is the version of the format of a KappaRecord.
	recordVersion = 1
	// versionTries bounds how often a lost race for the next version is run again.
	versionTries = 16
)

// store keeps kappas and the version of the plan set in the bucket PLANS. What it has put is on disk.
type store struct{ kv jetstream.KeyValue }

// load reads all kappas and the current version. A record that is broken is logged and comes as a kappa that has failed, with
// one empty revision.
func (s store) load(ctx context.Context, log *slog.Logger) ([]*quadratv1.KappaRecord, uint64, error) {
	keys, err := s.kv.ListKeys(ctx)
	if err != nil {
		return nil, 0, fmt.Errorf("plans: %w", err)
	}
	var records []*quadratv1.KappaRecord
	for key := range keys.Keys() {
		if !strings.HasPrefix(key, keyPrefix) {
			continue
		}
		entry, err := s.kv.Get(ctx, key)
		if err != nil {
			return nil, 0, fmt.Errorf("plans: %s: %w", key, err)
		}
		record, err := readRecord(key, entry.Value())
		if err != nil {
			ref := strings.TrimPrefix(key, keyPrefix)
			log.Error("kappa can't be read", "ref", ref, "error", err)
			record = broken(ref)
		}
		records = append(records, record)
	}
	version, _, err := s.version(ctx)
	return records, version, err
}

// broken stands for a record that can't be read.
func broken(ref string) *quadratv1.KappaRecord {
	return &quadratv1.KappaRecord{
		Version: recordVersion, Kappa: &quadratv1.Kappa{Ref: ref, Name: ref, State: failed},
		Revisions: []*quadratv1.PlanRevision{{Device: &quadratv1.DevicePlan{Ref: ref, WindowMs: 1}}},
	}
}

// readRecord decodes a value of the bucket and checks that it is what its key says.
func readRecord(key string, value []byte) (*quadratv1.KappaRecord, error) {
	record := &quadratv1.KappaRecord{}
	if err := proto.Unmarshal(value, record); err != nil {
		return nil, fmt.Errorf("plans: %s: %w", key, err)
	}
	if record.GetVersion() != recordVersion {
		return nil, fmt.Errorf("plans: %s: format %d is not known", key, record.GetVersion())
	}
	if key != keyPrefix+record.GetKappa().GetRef() || len(record.GetRevisions()) == 0 {
		return nil, fmt.Errorf("plans: %s: the record is another kappa's or has no revision", key)
	}
	return record, nil
}

// save returns once the kappa is on disk.
func (s store) save(ctx context.Context, record *quadratv1.KappaRecord) error {
	raw, err := proto.Marshal(record)
	if err != nil {
		return fmt.Errorf("plans: %w", err)
	}
	if _, err := s.kv.Put(ctx, keyPrefix+record.GetKappa().GetRef(), raw); err != nil {
		return fmt.Errorf("plans: %w", err)
	}
	return nil
}

// forget drops a kappa for ever.
func (s store) forget(ctx context.Context, ref string) error {
	if err := s.kv.Purge(ctx, keyPrefix+ref); err != nil {
		return fmt.Errorf("plans: %w", err)
	}
	return nil
}

// version is the current version of the plan set and the revision of its key, both 0 before the first.
func (s store) version(ctx context.Context) (version, revision uint64, err error) {
	entry, err := s.kv.Get(ctx, keyVersion)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, fmt.Errorf("plans: %s: %w", keyVersion, err)
	}
	if len(entry.Value()) != 8 {
		return 0, 0, fmt.Errorf("plans: %s: not 8 bytes", keyVersion)
	}
	return binary.BigEndian.Uint64(entry.Value()), entry.Revision(), nil
}

// next takes the next version for one change, by compare and set, so that no two changes ever share one.
func (s store) next(ctx context.Context) (uint64, error) {
	for range versionTries {
		version, revision, err := s.version(ctx)
		if err != nil {
			return 0, err
		}
		raw := binary.BigEndian.AppendUint64(nil, version+1)
		if revision == 0 {
			_, err = s.kv.Create(ctx, keyVersion, raw)
		} else {
			_, err = s.kv.Update(ctx, keyVersion, raw, revision)
		}
		if err == nil {
			return version + 1, nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) && !errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
			return 0, fmt.Errorf("plans: %s: %w", keyVersion, err)
		}
	}
	return 0, fmt.Errorf("plans: %s: lost %d races for it", keyVersion, versionTries)
}
