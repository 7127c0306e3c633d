package bench

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine/intake"
	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/internal/wire"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	intakeConnections = 16
	intakeOutstanding = 512 // requests of one connection that wait for an answer
	intakeGoal        = 250_000
	batchReports      = 64
	batchOutstanding  = 16
)

// gateways is a fleet in which every device is behind the gateway that its name begins with.
type gateways struct{}

// Lookup finds the gateway in the device's name.
func (gateways) Lookup(device string) (*fleet.Row, bool) {
	gateway, _, behind := strings.Cut(device, "_")
	return &fleet.Row{ID: device, Gateway: gateway}, behind
}

// intakeRows measures requests that are answered once their reports are on disk: single reports, batches of gateways, and single
// ones as the load grows. The reference answers the same requests of the same connections at once and stores nothing.
func intakeRows(ctx context.Context, config Config) ([]Row, error) {
	b, err := openBroker(ctx, config, "intake")
	if err != nil {
		return nil, err
	}
	defer func() { _ = b.Close() }()
	var out []Row
	for _, r := range []struct {
		row  Row
		load load
	}{
		{Row{Name: "intake", Note: "single reports, 16 connections with 512 outstanding each; clients, broker and intake share the machine"}, singles(intakeOutstanding)},
		{Row{Name: "intake, gateway batches", Note: "64 devices a batch, 16 gateways with 16 batches outstanding each"}, batches()},
	} {
		row := r.row
		row.Figure, row.ReferenceFigure, err = turns(
			func() (float64, error) {
				t, err := intakeTurn(ctx, config.Turn, b, r.load, startIntake)
				return t.rate, err
			},
			func() (float64, error) {
				t, err := intakeTurn(ctx, config.Turn, b, r.load, startEcho)
				return t.rate, err
			})
		if err != nil {
			return nil, err
		}
		row.Goal, row.Unit = "≥ 250,000 reports/s stored, synced and answered", "reports/s"
		row.Reference = "the same requests answered at once by a NATS subscriber that stores nothing"
		out = append(out, row.atLeast(intakeGoal))
	}
	grown, err := loadRows(ctx, config, b)
	return append(out, grown...), err
}

// loadRows measures what one report costs as more requests wait at once: the more come together, the more share a sync.
func loadRows(ctx context.Context, config Config, b *broker.Broker) ([]Row, error) {
	var out []Row
	for _, outstanding := range []int{1, 8, 64, 512} {
		ours, err := intakeTurn(ctx, config.Turn/2, b, singles(outstanding), startIntake)
		if err != nil {
			return nil, err
		}
		bare, err := intakeTurn(ctx, config.Turn/2, b, singles(outstanding), startEcho)
		if err != nil {
			return nil, err
		}
		row := Row{
			Name: "intake, " + strconv.Itoa(intakeConnections*outstanding) + " outstanding", Goal: "≤ the cost with 16 outstanding: load makes no report dearer",
			Figure: ours.work, Unit: "µs/report", Reference: "answered at once, nothing stored", ReferenceFigure: bare.work,
			Note: "by processor time of clients, broker and intake",
		}
		lightest := ours.work
		if len(out) > 0 {
			lightest = out[0].Figure
		}
		out = append(out, row.atMost(lightest).on(curveLoad, intakeConnections*outstanding))
	}
	return out, nil
}

// load is what each connection sends.
type load struct {
	outstanding int // requests of a connection that wait for an answer
	reports     int // of a request
	body        func(device string) []byte
}

func singles(outstanding int) load {
	return load{outstanding, 1, func(device string) []byte {
		report := wire.Report{Device: device, Kappa: feedRef, Revision: 1, Window: feedWindow, Value: 150}
		return report.AppendRequest(nil)
	}}
}

func batches() load {
	return load{batchOutstanding, batchReports, func(gateway string) []byte {
		batch := &quadratv1.GatewayBatch{Gateway: gateway, Kappa: feedRef, Revision: 1, Window: feedWindow}
		for i := range batchReports {
			batch.Device = append(batch.Device, gateway+"_"+strconv.Itoa(i))
			batch.Statistic, batch.Value = append(batch.Statistic, 0), append(batch.Value, 150)
		}
		body, err := proto.Marshal(&quadratv1.IntakeRequest{Content: &quadratv1.IntakeRequest_Batch{Batch: batch}})
		if err != nil {
			panic(err) // texts of ours, which are UTF-8
		}
		return body
	}}
}

// answered is what came of a turn: reports a second, and the processor time of one in microseconds.
type answered struct{ rate, work float64 }

// intakeTurn starts what answers, and sends for one turn.
func intakeTurn(
	ctx context.Context, turn time.Duration, b *broker.Broker, l load, start func(*broker.Broker) (stop func() error, err error),
) (out answered, err error) {
	stop, err := start(b)
	if err != nil {
		return out, err
	}
	defer func() {
		if stopped := stop(); err == nil {
			err = stopped
		}
	}()
	inner, cancel := context.WithTimeout(ctx, turn)
	defer cancel()
	var answers atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, intakeConnections)
	began, worked := time.Now(), processor()
	for c := range intakeConnections {
		group.Go(func() { failed <- send(inner, b.URL(), "bench-"+strconv.Itoa(c), l, &answers) })
	}
	group.Wait()
	took, work := time.Since(began), processor()-worked
	close(failed)
	for sent := range failed {
		if sent != nil {
			return out, sent
		}
	}
	reports := float64(answers.Load()) * float64(l.reports)
	if reports == 0 && ctx.Err() == nil {
		return out, errors.New("nothing was answered")
	}
	return answered{reports / took.Seconds(), 1e6 * work.Seconds() / reports}, ctx.Err()
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
	i, err := intake.New(intake.Config{Conn: conn, JetStream: js, Keyer: fleet.NewKeyer([16]byte{}), Devices: gateways{}})
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

// send keeps requests outstanding until ctx ends, and counts those whose reports are stored.
func send(ctx context.Context, url, device string, l load, answered *atomic.Int64) error {
	conn, err := nats.Connect(url)
	if err != nil {
		return err
	}
	defer conn.Close()
	inbox := conn.NewInbox()
	answers := make(chan *nats.Msg, l.outstanding)
	if _, err := conn.ChanSubscribe(inbox, answers); err != nil {
		return err
	}
	body := l.body(device)
	outstanding := 0
	for ctx.Err() == nil {
		for ; outstanding < l.outstanding; outstanding++ {
			if err := conn.PublishRequest(broker.PrefixIn+device, inbox, body); err != nil {
				return err
			}
		}
		select {
		case m := <-answers:
			reply, err := wire.DecodeIntakeReply(m.Data)
			if err != nil {
				return fmt.Errorf("the intake's answer: %w", err)
			}
			if reply.Status == wire.Stored { // what is to be sent again later has cost and brings nothing
				answered.Add(1)
			}
			outstanding--
		case <-ctx.Done():
		}
	}
	return nil
}
