package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// EnsureCluster creates what several engines need beside the streams and buckets of Ensure: handovers, leases that end so long after their
// last renewal, and checkpoints. It may be called by many servers at once.
func EnsureCluster(ctx context.Context, js jetstream.JetStream, limits Limits, lease time.Duration) error {
	limits = limits.withDefaults()
	_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: StreamPartials, Subjects: []string{PrefixPartial + "*"}, Storage: jetstream.FileStorage, Replicas: limits.Replicas,
		MaxBytes: limits.PartialsBytes, Discard: jetstream.DiscardNew, AllowDirect: true,
	})
	if err != nil {
		return fmt.Errorf("stream %s: %w", StreamPartials, err)
	}
	for bucket, ttl := range map[string]time.Duration{BucketLeases: lease, BucketCheckpoints: 0} {
		config := jetstream.KeyValueConfig{
			Bucket: bucket, History: 1, Storage: jetstream.FileStorage, Replicas: limits.Replicas, TTL: ttl,
		}
		if _, err := js.CreateOrUpdateKeyValue(ctx, config); err != nil {
			return fmt.Errorf("bucket %s: %w", bucket, err)
		}
	}
	_, err = js.CreateOrUpdateObjectStore(ctx, jetstream.ObjectStoreConfig{
		Bucket: ObjectCheckpoints, Storage: jetstream.FileStorage, Replicas: limits.Replicas,
	})
	if err != nil {
		return fmt.Errorf("objects %s: %w", ObjectCheckpoints, err)
	}
	return nil
}
