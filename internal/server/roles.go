package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nuid"

	"github.com/quadrat-dev/quadrat/engine/member"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
)

// Role is what a process does.
type Role string

// The roles. A process of the role RoleAll is alone: it counts all partitions and answers callers. Those of the other two are parts of a cluster
// (docs/design/cluster.md).
const (
	RoleAll    Role = "all"
	RoleEngine Role = "engine" // counts shares, may be the merger
	RoleAPI    Role = "api"    // answers callers, takes reports in, may be the keeper
)

// DefaultShares is how many shares a cluster has unless its first process says otherwise.
const DefaultShares = 8

// keyShares is where the number of shares is kept.
const keyShares = "cluster.shares"

// steps is what starting a process of a role takes.
func (s *Server) steps() []func(context.Context) error {
	switch s.config.Role {
	case RoleEngine:
		return []func(context.Context) error{s.own, s.connect, s.join, s.count, s.listenHealth}
	case RoleAPI:
		return []func(context.Context) error{s.own, s.connect, s.join, s.answer, s.listen}
	case RoleAll:
	}
	return []func(context.Context) error{s.own, s.connect, s.alone, s.restore, s.plan, s.listen}
}

// alone makes sure that no cluster uses the broker.
func (s *Server) alone(ctx context.Context) error {
	plans, err := s.broker.JetStream().KeyValue(ctx, broker.BucketPlans)
	if err != nil {
		return fmt.Errorf("plans: %w", err)
	}
	_, err = plans.Get(ctx, keyShares)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("plans: %w", err)
	}
	return errors.New("the broker belongs to a cluster, whose engines count all that arrives: use --role engine or --role api")
}

// join makes the process one of a cluster: streams and buckets, the number of shares, the secret, and the fleet as it is.
func (s *Server) join(ctx context.Context) error {
	js := s.broker.JetStream()
	if err := broker.EnsureCluster(ctx, js, s.limits(), member.LeaseLife); err != nil {
		return err
	}
	plans, err := js.KeyValue(ctx, broker.BucketPlans)
	if err != nil {
		return fmt.Errorf("plans: %w", err)
	}
	if s.shares, err = s.clusterShares(ctx, plans); err != nil {
		return err
	}
	secret, err := clusterSecret(ctx, plans)
	if err != nil {
		return err
	}
	if s.leases, err = member.OpenLeases(ctx, js, s.config.Node); err != nil {
		return err
	}
	s.devices = fleet.New(fleet.NewKeyer(secret))
	if s.rowsAt, err = newRowsAt(js, s.devices); err != nil {
		return err
	}
	if err := s.rowsAt.bucket.Catch(ctx); err != nil {
		return err
	}
	s.background.run("fleet", s.rowsAt.run)
	return nil
}

// limits is what the streams of the broker are held to.
func (s *Server) limits() broker.Limits { return broker.Limits{Replicas: s.config.Replicas} }

// clusterShares reads into how many shares the partitions fall, and fixes it on a cluster's first day. A broker on which a process counted
// alone is refused: what it had read and trimmed no share can read again.
func (s *Server) clusterShares(ctx context.Context, plans jetstream.KeyValue) (int, error) {
	entry, err := plans.Get(ctx, keyShares)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		if err := s.unused(ctx); err != nil {
			return 0, err
		}
		want := s.config.Shares
		if want == 0 {
			want = DefaultShares
		}
		if _, err = plans.Create(ctx, keyShares, []byte(strconv.Itoa(want))); err == nil {
			return want, nil
		}
		if errors.Is(err, jetstream.ErrKeyExists) {
			entry, err = plans.Get(ctx, keyShares)
		}
	}
	if err != nil {
		return 0, fmt.Errorf("shares: %w", err)
	}
	shares, err := strconv.Atoi(string(entry.Value()))
	if err != nil || shares < 1 || broker.Partitions%shares != 0 {
		return 0, fmt.Errorf("shares: %q in %s of the bucket %s", entry.Value(), keyShares, broker.BucketPlans)
	}
	if s.config.Shares != 0 && s.config.Shares != shares {
		return 0, fmt.Errorf("--shares %d: the cluster has %d for its life", s.config.Shares, shares)
	}
	return shares, nil
}

// unused makes sure that nobody has counted what the broker holds.
func (s *Server) unused(ctx context.Context) error {
	stream, err := s.broker.JetStream().Stream(ctx, broker.StreamResults)
	if err != nil {
		return fmt.Errorf("%s: %w", broker.StreamResults, err)
	}
	if stream.CachedInfo().State.LastSeq > 0 {
		return fmt.Errorf("the broker holds results of a process that counted alone: a cluster begins with an empty one (--role %s goes on)", RoleAll)
	}
	return nil
}

// newNode makes up the name of a process.
func newNode() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	clean := strings.Map(func(c rune) rune {
		if c < 128 && (unicode.IsLetter(c) || unicode.IsDigit(c)) {
			return c
		}
		return '-'
	}, host)
	return clean[:min(len(clean), 32)] + "-" + nuid.Next()
}

// followEvery is how often a process of a cluster looks for rows of the fleet that others have stored.
const followEvery = 300 * time.Millisecond
