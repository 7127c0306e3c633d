package bench

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
)

const (
	dispatchReports  = 2000
	dispatchWarm     = 200
	dispatchPatience = 10 * time.Second
	memoryGoalMs     = 0.2
	diskGoalMs       = 1
	tailGoalMs       = 5
)

// dispatchRows measures how long a report takes from the device's request to whoever handles it, one report at a time:
// to the intake's handler and back, without a disk, and through the synced stream to a consumer of REPORTS. The reference
// is a bare request and answer over the same broker.
func dispatchRows(ctx context.Context, config Config) ([]Row, error) {
	b, err := openBroker(ctx, config, "dispatch")
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	stop, err := startIntake(b)
	if err != nil {
		return nil, err
	}
	defer func() { _ = stop() }()
	conn, err := nats.Connect(b.URL())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	bare, err := bareTimes(ctx, b, conn)
	if err != nil {
		return nil, err
	}
	handled, err := requestTimes(ctx, conn, broker.PrefixIn+"bench", []byte{0xff}) // no report: the handler answers at once
	if err != nil {
		return nil, err
	}
	stored, err := storedTimes(ctx, b, conn)
	if err != nil {
		return nil, err
	}
	reference := "a bare NATS request and answer, the same quantile"
	row := func(name, goal string, p float64, times []float64, most float64, note string) Row {
		return Row{
			Name: name, Goal: goal, Figure: quantile(times, p), Unit: "ms", Reference: reference, ReferenceFigure: quantile(bare, p), Note: note,
		}.atMost(most)
	}
	toHandler, toConsumer := "there and back, which is longer than there", "from the request to a consumer of the synced stream"
	return []Row{
		row("dispatch, not stored, p50", "p50 < 0.2 ms without a sync", 0.5, handled, memoryGoalMs, toHandler),
		row("dispatch, not stored, p99", "p99 < 5 ms", 0.99, handled, tailGoalMs, toHandler),
		row("dispatch, stored, p50", "p50 < 1 ms with a sync", 0.5, stored, diskGoalMs, toConsumer),
		row("dispatch, stored, p99", "p99 < 5 ms", 0.99, stored, tailGoalMs, toConsumer),
	}, nil
}

// bareTimes asks a subscriber that answers at once.
func bareTimes(ctx context.Context, b *broker.Broker, conn *nats.Conn) ([]float64, error) {
	echo, err := b.Connect("echo")
	if err != nil {
		return nil, err
	}
	defer echo.Close()
	if _, err := echo.Subscribe("bench.echo", func(m *nats.Msg) { _ = m.Respond(nil) }); err != nil {
		return nil, err
	}
	if err := echo.Flush(); err != nil {
		return nil, err
	}
	return requestTimes(ctx, conn, "bench.echo", nil)
}

// requestTimes gives how many milliseconds each of many requests took, one after another.
func requestTimes(ctx context.Context, conn *nats.Conn, subject string, body []byte) ([]float64, error) {
	return times(ctx, func(ctx context.Context) error {
		_, err := conn.RequestWithContext(ctx, subject, body)
		return err
	})
}

func times(ctx context.Context, once func(context.Context) error) ([]float64, error) {
	ctx, cancel := context.WithTimeout(ctx, dispatchPatience*dispatchReports/100)
	defer cancel()
	var out []float64
	for i := range dispatchWarm + dispatchReports {
		began := time.Now()
		if err := once(ctx); err != nil {
			return nil, err
		}
		if i >= dispatchWarm {
			out = append(out, float64(time.Since(began).Nanoseconds())/1e6)
		}
	}
	return out, nil
}

// storedTimes sends reports and waits until a consumer of REPORTS has each.
func storedTimes(ctx context.Context, b *broker.Broker, conn *nats.Conn) ([]float64, error) {
	consumer, err := b.JetStream().OrderedConsumer(ctx, broker.StreamReports, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverNewPolicy,
	})
	if err != nil {
		return nil, err
	}
	messages, err := consumer.Messages()
	if err != nil {
		return nil, err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	report := wire.Report{Device: "bench", Kappa: feedRef, Revision: 1, Window: feedWindow, Value: 150}
	body := report.AppendRequest(nil)
	return times(ctx, func(ctx context.Context) error {
		if err := conn.PublishRequest(broker.PrefixIn+"bench", "bench.answers", body); err != nil {
			return err
		}
		if err := conn.Flush(); err != nil {
			return err
		}
		_, err := messages.Next()
		return errors.Join(err, ctx.Err())
	})
}
