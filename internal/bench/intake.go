package bench

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/engine/intake"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

const (
	intakeConnections = 16
	intakeOutstanding = 512 // requests of one connection that wait for an answer
	intakeGoal        = 250_000
)

// nobody is a fleet of which nobody is known: a single report needs none.
type nobody struct{}

// Lookup knows no device.
func (nobody) Lookup(string) (*fleet.Row, bool) { return nil, false }

// intakeRows measures single reports, each a request that is answered once it is on disk. The reference answers the
// same requests of the same connections at once and stores nothing.
func intakeRows(ctx context.Context, config Config) ([]Row, error) {
	b, err := openBroker(ctx, config, "intake")
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	stored, echoed, err := turns(
		func() (float64, error) { return intakeTurn(ctx, config, b, startIntake) },
		func() (float64, error) { return intakeTurn(ctx, config, b, startEcho) })
	if err != nil {
		return nil, err
	}
	return []Row{Row{
		Name: "intake", Goal: "≥ 250,000 reports/s stored, synced and answered", Figure: stored, Unit: "reports/s",
		Reference: "the same requests answered at once by a NATS subscriber that stores nothing", ReferenceFigure: echoed,
		Note: "single reports, 16 connections with 512 outstanding each; clients, broker and intake share the machine",
	}.atLeast(intakeGoal)}, nil
}

// intakeTurn starts what answers, sends for one turn, and gives answers a second.
func intakeTurn(ctx context.Context, config Config, b *broker.Broker, start func(*broker.Broker) (stop func() error, err error)) (rate float64, err error) {
	stop, err := start(b)
	if err != nil {
		return 0, err
	}
	defer func() {
		if stopped := stop(); err == nil {
			err = stopped
		}
	}()
	inner, cancel := context.WithTimeout(ctx, config.Turn)
	defer cancel()
	var answered atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, intakeConnections)
	began := time.Now()
	for c := range intakeConnections {
		group.Go(func() { failed <- send(inner, b.URL(), "bench-"+strconv.Itoa(c), &answered) })
	}
	group.Wait()
	took := time.Since(began)
	close(failed)
	for sent := range failed {
		if sent != nil {
			return 0, sent
		}
	}
	return float64(answered.Load()) / took.Seconds(), ctx.Err()
}

func startIntake(b *broker.Broker) (stop func() error, err error) {
	conn, err := b.Connect("intake")
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, err
	}
	i, err := intake.New(intake.Config{Conn: conn, JetStream: js, Keyer: fleet.NewKeyer([16]byte{}), Devices: nobody{}})
	if err != nil {
		return nil, err
	}
	return func() error { err := i.Close(); conn.Close(); return err }, i.Start()
}

func startEcho(b *broker.Broker) (stop func() error, err error) {
	conn, err := b.Connect("echo")
	if err != nil {
		return nil, err
	}
	answer := wire.IntakeReply{Status: wire.Stored}.Append(nil)
	_, err = conn.Subscribe(broker.PrefixIn+"*", func(m *nats.Msg) { _ = conn.Publish(m.Reply, answer) })
	if err == nil {
		err = conn.Flush()
	}
	return func() error { conn.Close(); return nil }, err
}

// send keeps requests outstanding until ctx ends, and then waits a moment for the last answers.
func send(ctx context.Context, url, device string, answered *atomic.Int64) error {
	conn, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	inbox := conn.NewInbox()
	answers := make(chan *nats.Msg, intakeOutstanding)
	if _, err := conn.ChanSubscribe(inbox, answers); err != nil {
		return err
	}
	report := wire.Report{Device: device, Kappa: feedRef, Revision: 1, Window: feedWindow, Value: 150}
	body := report.AppendRequest(nil)
	outstanding := 0
	for ctx.Err() == nil {
		for ; outstanding < intakeOutstanding; outstanding++ {
			if err := conn.PublishRequest(broker.PrefixIn+device, inbox, body); err != nil {
				return err
			}
		}
		select {
		case <-answers:
			outstanding--
			answered.Add(1)
		case <-ctx.Done():
		}
	}
	return nil
}
