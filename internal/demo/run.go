package demo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

// resultsWait is how long the demo waits for a window's results before it goes on without them.
const resultsWait = time.Minute

// policy is what the owner of every simulated device allows: what the demo's script asks for, and no more.
func policy() (ledger.Limits, error) {
	epsilon, err := privacy.NewEpsilon(4)
	return ledger.Limits{PerPeriod: epsilon, Period: time.Hour, Lifetime: privacy.MaxBudget}, err
}

// Row is a result beside the truth.
type Row struct {
	Result  *quadratv1.Result
	Truth   float64 // of the whole population in this window, from the raw replay
	Covered bool    // the interval holds the truth; false when there is no interval
}

// Summary is what a demo came to.
type Summary struct {
	Windows        int     `json:"windows"`
	Results        int     `json:"results"` // results that have an interval
	Covered        int     `json:"covered"` // of these, those whose interval holds the truth
	ElapsedSeconds float64 `json:"elapsed_seconds"`
}

// Intro is known before the first window.
type Intro struct {
	URL     string // of the REST API
	Ref     string
	Script  string
	Plan    *quadratv1.Plan
	Devices int
	Offline float64
}

// View shows a demo. Its methods are called one after another.
type View interface {
	// Joining is told how far the fleet has come.
	Joining(done, all int)
	// Begin is told what there is before the first window.
	Begin(i Intro) error
	// Window is told the results of one window.
	Window(rows []Row) error
	// End is told what it came to.
	End(s Summary) error
}

// Run shows a demo until its windows are over or ctx ends, which is no error once the first window was shown.
func Run(ctx context.Context, c Config, view View) error {
	if err := c.Validate(); err != nil {
		return err
	}
	began := time.Now()
	s, err := start(ctx, c, view)
	if err != nil {
		return err
	}
	defer s.close()
	if err := view.Begin(s.intro); err != nil {
		return err
	}
	var sum Summary
	for c.Windows == 0 || sum.Windows < c.Windows {
		rows, err := s.window(ctx, c.Speed)
		if err != nil && ctx.Err() != nil && sum.Windows > 0 {
			break
		}
		if err != nil {
			return err
		}
		sum.Windows++
		for _, r := range rows {
			if r.Result.Value == nil {
				continue
			}
			sum.Results++
			if r.Covered {
				sum.Covered++
			}
		}
		if err := view.Window(rows); err != nil {
			return err
		}
	}
	sum.ElapsedSeconds = time.Since(began).Seconds()
	return view.End(sum)
}

// mix spreads a seed over all bits (the finaliser of SplitMix64: Steele, Lea and Flood 2014), so that neighbouring seeds
// have nothing in common.
func mix(seed uint64) uint64 {
	z := seed + 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// session is a running demo.
type session struct {
	clock   *clock.Manual
	server  *server.Server
	fleet   *simulate.Fleet
	truth   *simulate.Truth
	results chan *quadratv1.Result
	stop    context.CancelFunc
	watched chan error
	each    int // results that a window has
	grace   time.Duration
	intro   Intro
	shown   time.Time // when the last window was shown
}

// start brings up server, fleet and kappa; what it started is closed again on an error.
func start(ctx context.Context, c Config, view View) (_ *session, err error) {
	s := &session{clock: clock.NewManual(epoch), watched: make(chan error, 1), stop: func() {}}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], mix(c.Seed))
	const free = "127.0.0.1:0"
	listen := c.HTTP
	if listen == "" {
		listen = free
	}
	s.server, err = server.Start(ctx, server.Config{
		Data: c.Data, HTTP: listen, GRPC: free, NATSListen: free, Clock: s.clock,
		Entropy: rand.NewChaCha8(seed), Logger: c.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if err := s.join(ctx, c, view); err != nil {
		return nil, err
	}
	return s, s.deploy(ctx, c)
}

// join lets the fleet say hello.
func (s *session) join(ctx context.Context, c Config, view View) error {
	places, err := indoor.Places()
	if err != nil {
		return err
	}
	limits, err := policy()
	if err != nil {
		return err
	}
	s.fleet, err = simulate.Join(ctx, simulate.Config{
		NATS: s.server.Addresses().NATS, Places: simulate.Choose(places, c.Devices, c.Copies, c.Seed), Clock: s.clock,
		Seed: mix(c.Seed), Offline: c.Offline, Policy: limits, Progress: view.Joining, Logger: c.Logger,
	})
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	return nil
}

// deploy puts the script through REST and begins to follow its results.
func (s *session) deploy(ctx context.Context, c Config) error {
	script := c.Script
	if script == "" {
		script = Script
	}
	url := "http://" + s.server.Addresses().HTTP
	api, err := client.New(url, client.Options{})
	if err != nil {
		return err
	}
	put, err := api.Put(ctx, script, nil)
	if err != nil {
		return fmt.Errorf("put: %w", err)
	}
	s.grace = time.Duration(put.GetPlan().GetGraceSeconds() * float64(time.Second))
	s.intro = Intro{
		URL: url, Ref: put.GetRef(), Script: script, Plan: put.GetPlan(), Devices: s.fleet.Summary().Devices, Offline: c.Offline,
	}
	if err := s.planned(ctx, put.GetRef()); err != nil {
		return err
	}
	for _, v := range put.GetPlan().GetStatistics() {
		s.each += s.truth.Results(v.GetName()) * (1 + len(v.GetCells()))
	}
	s.results = make(chan *quadratv1.Result, 4*s.each)
	follow, stop := context.WithCancel(ctx)
	s.stop = stop
	go func() {
		s.watched <- api.Watch(follow, put.GetRef(), epoch, func(r *quadratv1.Result) error {
			select {
			case s.results <- r:
				return nil
			case <-follow.Done():
				return follow.Err()
			}
		})
	}()
	return nil
}

// planned waits until the fleet has heard the plan.
func (s *session) planned(ctx context.Context, ref string) error {
	for deadline := time.Now().Add(resultsWait); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if truth, ok := s.fleet.TruthOf(ref); ok {
			s.truth = truth
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return errors.New("fleet: the plan was not heard")
}

// window lets one window pass: its readings are reported when it ends, its estimates come when its grace is over.
func (s *session) window(ctx context.Context, speed float64) ([]Row, error) {
	end, ok := s.fleet.NextEnd()
	if !ok {
		return nil, errors.New("fleet: there is no kappa any more")
	}
	if err := s.pace(ctx, end, speed); err != nil {
		return nil, err
	}
	s.clock.Set(end)
	if _, err := s.fleet.Step(ctx); err != nil {
		return nil, fmt.Errorf("fleet: %w", err)
	}
	s.clock.Set(end.Add(s.grace))
	return s.collect(ctx, end)
}

// pace keeps the simulated clock from running faster than wanted.
func (s *session) pace(ctx context.Context, end time.Time, speed float64) error {
	if speed > 0 {
		next := s.shown.Add(time.Duration(float64(end.Sub(s.clock.Now())) / speed))
		if err := (clock.Real{}).WaitUntil(ctx, next); err != nil {
			return err
		}
	}
	s.shown = time.Now()
	return nil
}

// collect waits for the results of the window that ended at a moment.
func (s *session) collect(ctx context.Context, end time.Time) ([]Row, error) {
	late := time.NewTimer(resultsWait)
	defer late.Stop()
	var rows []Row
	for len(rows) < s.each {
		select {
		case r := <-s.results:
			if !r.GetWindowEnd().AsTime().Equal(end) {
				continue
			}
			rows = append(rows, s.row(r))
		case <-late.C:
			return rows, nil
		case err := <-s.watched:
			return rows, fmt.Errorf("results: %w", err)
		case <-ctx.Done():
			return rows, ctx.Err()
		}
	}
	return rows, nil
}

func (s *session) row(r *quadratv1.Result) Row {
	out := Row{Result: r}
	truth, ok := s.truth.Of(r)
	out.Truth = truth
	out.Covered = ok && r.Value != nil && r.GetCiLow() <= truth && truth <= r.GetCiHigh()
	return out
}

// close ends what is running, in the order of the flow.
func (s *session) close() {
	s.stop()
	if s.fleet != nil {
		s.fleet.Close()
	}
	if s.server != nil {
		_ = s.server.Close()
	}
}
