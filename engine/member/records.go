package member

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/follow"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// kappaPrefix is that of the keys of kappas in PLANS.
const kappaPrefix = "kappa."

// records keeps the engines of a process at what the bucket PLANS says.
type records struct {
	bucket *follow.Bucket
	log    *slog.Logger

	mu      sync.Mutex // guards what follows
	all     map[string]*quadratv1.KappaRecord
	engines []*engine.Engine
}

func newRecords(js jetstream.JetStream, log *slog.Logger) *records {
	r := &records{log: log, all: map[string]*quadratv1.KappaRecord{}}
	r.bucket = follow.New(js, broker.BucketPlans, r.take)
	return r
}

// catch returns once every record that was saved before the call has been applied to all engines.
func (r *records) catch(ctx context.Context) error { return r.bucket.Catch(ctx) }

// take applies a record. One that can't be read or run is told, and counts as none.
func (r *records) take(e follow.Entry) error {
	ref, ok := strings.CutPrefix(e.Key, kappaPrefix)
	if !ok {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	record := &quadratv1.KappaRecord{}
	if err := proto.Unmarshal(e.Value, record); !e.Deleted && err != nil {
		r.log.Error("kappa can't be read", "ref", ref, "error", err)
		return nil
	}
	if e.Deleted || record.GetDeleted() != nil {
		delete(r.all, ref)
		for _, each := range r.engines {
			each.Remove(ref)
		}
		return nil
	}
	r.all[ref] = record
	for _, each := range r.engines {
		r.apply(each, record)
	}
	return nil
}

func (r *records) apply(e *engine.Engine, record *quadratv1.KappaRecord) {
	if err := e.Apply(record); err != nil {
		r.log.Error("kappa can't be run", "error", err)
	}
}

// join applies all records to an engine, and from then on new ones.
func (r *records) join(ctx context.Context, e *engine.Engine) error {
	if err := r.catch(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, record := range r.all {
		r.apply(e, record)
	}
	r.engines = append(r.engines, e)
	return nil
}

// leave ends what join began.
func (r *records) leave(e *engine.Engine) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.engines = slices.DeleteFunc(r.engines, func(each *engine.Engine) bool { return each == e })
}
