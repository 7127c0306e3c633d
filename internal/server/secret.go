package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// keySecret is where the cluster's secret is kept.
const keySecret = "cluster.secret"

// clusterSecret reads the secret under which identities become pseudonyms, and makes it on a cluster's first day. Of
// two servers that make it at once, one wins.
func clusterSecret(ctx context.Context, kv jetstream.KeyValue) (secret [16]byte, err error) {
	if _, err := rand.Read(secret[:]); err != nil {
		return secret, fmt.Errorf("secret: %w", err)
	}
	_, err = kv.Create(ctx, keySecret, secret[:])
	if err == nil {
		return secret, nil
	}
	if !errors.Is(err, jetstream.ErrKeyExists) {
		return secret, fmt.Errorf("secret: %w", err)
	}
	entry, err := kv.Get(ctx, keySecret)
	if err != nil {
		return secret, fmt.Errorf("secret: %w", err)
	}
	if len(entry.Value()) != len(secret) {
		return secret, fmt.Errorf("secret: %d bytes", len(entry.Value()))
	}
	return [16]byte(entry.Value()), nil
}
