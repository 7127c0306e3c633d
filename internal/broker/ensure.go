package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const day = 24 * time.Hour

// Limits bounds what the streams keep. A zero field takes its default.
type Limits struct {
	ReportsBytes  int64         // REPORTS; 32 GiB. A full stream refuses reports, so that devices keep them
	ResultsAge    time.Duration // RESULTS; 30 days
	ResultsBytes  int64         // RESULTS; 8 GiB, oldest dropped first
	DeadAge       time.Duration // DEADLETTER; 30 days
	DeadBytes     int64         // DEADLETTER; 1 GiB, oldest dropped first
	DeadLetters   int64         // DEADLETTER, of one cause; 65,536, oldest dropped first: a flood of one cause leaves the others
	PartialsBytes int64         // PARTIALS; 8 GiB. A full stream makes shares wait
	Replicas      int           // copies of every stream; 1
}

// withDefaults fills the zero fields.
func (l Limits) withDefaults() Limits {
	l.ResultsAge = orDuration(l.ResultsAge, 30*day)
	l.DeadAge = orDuration(l.DeadAge, 30*day)
	l.ReportsBytes = orBytes(l.ReportsBytes, 32<<30)
	l.ResultsBytes = orBytes(l.ResultsBytes, 8<<30)
	l.DeadBytes = orBytes(l.DeadBytes, 1<<30)
	l.DeadLetters = orBytes(l.DeadLetters, 1<<16)
	l.PartialsBytes = orBytes(l.PartialsBytes, 8<<30)
	if l.Replicas == 0 {
		l.Replicas = 1
	}
	return l
}

func orDuration(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

func orBytes(n, otherwise int64) int64 {
	if n == 0 {
		return otherwise
	}
	return n
}

// Ensure creates the streams and buckets, or brings those that exist to these limits. It may be called by many servers
// at once. It fails when the server doesn't grant what Quadrat relies on.
func Ensure(ctx context.Context, js jetstream.JetStream, limits Limits) error {
	limits = limits.withDefaults()
	for _, config := range streams(limits) {
		stream, err := js.CreateOrUpdateStream(ctx, config)
		if err != nil {
			return fmt.Errorf("stream %s: %w", config.Name, err)
		}
		if config.AllowAtomicPublish && !stream.CachedInfo().Config.AllowAtomicPublish {
			return fmt.Errorf("stream %s: the server does not allow atomic batches", config.Name)
		}
	}
	for _, bucket := range []string{BucketPlans, BucketDevices, BucketCatalogs} {
		config := jetstream.KeyValueConfig{
			Bucket: bucket, History: 1, Storage: jetstream.FileStorage, Replicas: limits.Replicas,
		}
		if _, err := js.CreateOrUpdateKeyValue(ctx, config); err != nil {
			return fmt.Errorf("bucket %s: %w", bucket, err)
		}
	}
	return nil
}

// streams gives the configurations. REPORTS discards new messages when it is full and has no age: an answered report must
// never go before the engine has read it. The engine trims what its checkpoint covers.
func streams(limits Limits) []jetstream.StreamConfig {
	reports := jetstream.StreamConfig{
		Name:               StreamReports,
		Subjects:           []string{PrefixReport + "*"},
		Storage:            jetstream.FileStorage,
		Replicas:           limits.Replicas,
		MaxBytes:           limits.ReportsBytes,
		Discard:            jetstream.DiscardNew,
		AllowAtomicPublish: true,
		AllowDirect:        true,
	}
	results := jetstream.StreamConfig{
		Name:               StreamResults,
		Subjects:           []string{PrefixResult + "*"},
		Storage:            jetstream.FileStorage,
		Replicas:           limits.Replicas,
		MaxAge:             limits.ResultsAge,
		MaxBytes:           limits.ResultsBytes,
		Duplicates:         10 * time.Minute,
		AllowAtomicPublish: true,
		AllowDirect:        true,
	}
	dead := jetstream.StreamConfig{
		Name:               StreamDeadLetter,
		Subjects:           []string{PrefixDead + "*"},
		Storage:            jetstream.FileStorage,
		Replicas:           limits.Replicas,
		MaxAge:             limits.DeadAge,
		MaxBytes:           limits.DeadBytes,
		MaxMsgsPerSubject:  limits.DeadLetters,
		Duplicates:         2 * time.Minute,
		AllowAtomicPublish: true,
		AllowDirect:        true,
	}
	return []jetstream.StreamConfig{reports, results, dead}
}
