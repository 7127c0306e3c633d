package simulate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// ErrServer says that the other side answered something that isn't ours.
var ErrServer = errors.New("server: not a Quadrat server, or another version")

// hello lets the devices from, …, to−1 announce themselves, many at a time; progress, unless nil, is told how many have.
func (f *Fleet) hello(ctx context.Context, from, to int, progress func(done, all int)) error {
	replies := replies{seen: map[string]*wire.HelloReply{}}
	var done int
	var mu sync.Mutex // guards done
	return f.each(ctx, to-from, func(ctx context.Context, i int) error {
		for more := true; more; {
			var err error
			if more, err = f.greet(ctx, f.speaker(from+i), &replies); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		done++
		if progress != nil {
			progress(done, to-from)
		}
		return nil
	})
}

// greet says one hello; more tells that the answer didn't carry all plans that the speaker lacks.
func (f *Fleet) greet(ctx context.Context, who speaker, replies *replies) (more bool, err error) {
	f.mu.Lock()
	hello := who.hello()
	f.mu.Unlock()
	answer, err := f.ask(ctx, subjectHello+who.by, hello.Append(nil))
	if err != nil {
		return false, err
	}
	reply, err := replies.decode(answer)
	if err != nil {
		return false, fmt.Errorf("hello: %w", ErrServer)
	}
	if reply.Error != "" {
		return false, fmt.Errorf("hello of %s: %s", hello.Device, reply.Error)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err = who.apply(reply)
	for _, p := range reply.Plans {
		f.follow(p)
	}
	return reply.More, err
}

// meeting is a moment of the server's clock, and when it was on this machine's.
type meeting struct {
	server          time.Time
	asked, answered time.Time // the moment lies between
}

// rates bounds how fast the server's clock ran between two meetings. However long an answer took, the true rate lies
// between them.
func (m meeting) rates(later meeting) (least, most float64) {
	passed := later.server.Sub(m.server).Seconds()
	least, most = passed/later.answered.Sub(m.asked).Seconds(), math.Inf(1)
	if shortest := later.asked.Sub(m.answered).Seconds(); shortest > 0 {
		most = passed / shortest
	}
	return least, most
}

// meet lets the first device say hello and reads the server's clock from the answer.
func (f *Fleet) meet(ctx context.Context) (meeting, error) {
	first := f.config.Places[0]
	hello := wire.Hello{
		Device: first.ID, Attributes: first.Attributes, Capabilities: capabilities(), Software: software,
		Limits: wire.Limits{
			EpsilonMicro: f.config.Policy.PerPeriod.Micro(), PeriodMs: uint64(f.config.Policy.Period.Milliseconds()),
			Models: []string{agent.Local},
		},
		Mechanisms: mechanisms.Announced(),
	}
	asked := time.Now()
	answer, err := f.ask(ctx, subjectHello+hello.Device, hello.Append(nil))
	if err != nil {
		return meeting{}, err
	}
	answered := time.Now()
	reply, err := wire.DecodeHelloReply(answer)
	if err != nil || reply.ServerTimeMs <= 0 {
		return meeting{}, fmt.Errorf("hello: %w", ErrServer)
	}
	if reply.Error != "" {
		return meeting{}, fmt.Errorf("hello of %s: %s", hello.Device, reply.Error)
	}
	return meeting{server: time.UnixMilli(reply.ServerTimeMs).UTC(), asked: asked, answered: answered}, nil
}

// agree checks that the server's clock runs as fast as the fleet's, within a factor of two over a third of a second. Answers that
// took so long that it may are given the benefit of the doubt.
func (f *Fleet) agree(ctx context.Context, began meeting) error {
	const span = 300 * time.Millisecond
	if err := pause(ctx, span-time.Since(began.answered)); err != nil {
		return err
	}
	now, err := f.meet(ctx)
	if err != nil {
		return err
	}
	if least, most := began.rates(now); most < f.config.Speed/2 || least > 2*f.config.Speed {
		return fmt.Errorf("the server's clock runs %.3g to %.3g times as fast as a real one, the fleet's %.3g times: give both the same --speed",
			least, most, f.config.Speed)
	}
	return nil
}

// replies decodes a reply that many devices get once.
type replies struct {
	mu   sync.Mutex // guards seen
	seen map[string]*wire.HelloReply
}

// repliesMost bounds what is remembered.
const repliesMost = 64

func (r *replies) decode(b []byte) (*wire.HelloReply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if reply, ok := r.seen[string(b)]; ok {
		return reply, nil
	}
	reply, err := wire.DecodeHelloReply(b)
	if err != nil {
		return nil, err
	}
	if len(r.seen) >= repliesMost {
		clear(r.seen)
	}
	r.seen[string(b)] = &reply
	return &reply, nil
}

// send brings one report to the intake and returns what became of it. The same bytes are sent until there is an answer.
func (f *Fleet) send(ctx context.Context, device string, request []byte) (wire.Status, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		answer, err := f.ask(ctx, subjectIntake+device, request)
		if err != nil {
			return wire.Unspecified, err
		}
		reply, err := wire.DecodeIntakeReply(answer)
		if err != nil {
			return wire.Unspecified, fmt.Errorf("intake: %w", ErrServer)
		}
		if reply.Status == wire.Stored || reply.Status == wire.Rejected {
			return reply.Status, nil
		}
		if err := pause(ctx, wait); err != nil {
			return wire.Unspecified, err
		}
	}
}

// ask sends a request until it is answered: nobody listening, or no answer in time, only means later.
func (f *Fleet) ask(ctx context.Context, subject string, body []byte) ([]byte, error) {
	for wait := 20 * time.Millisecond; ; wait = min(2*wait, time.Second) {
		m, err := f.conn.Request(subject, body, f.config.AnswerTimeout)
		if err == nil {
			return m.Data, nil
		}
		if !errors.Is(err, nats.ErrNoResponders) && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, nats.ErrDisconnected) &&
			!errors.Is(err, nats.ErrReconnectBufExceeded) {
			return nil, fmt.Errorf("broker: %w", err)
		}
		if err := pause(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// each calls do for 0, …, n−1, at most InFlight at a time, and waits for all. It returns the first error and starts
// nothing after it.
func (f *Fleet) each(ctx context.Context, n int, do func(context.Context, int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	work := make(chan int)
	for range min(f.config.InFlight, n) {
		wg.Go(func() {
			for i := range work {
				if err := do(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := range n {
		select {
		case work <- i:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	wg.Wait()
	return context.Cause(ctx)
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
