package verify

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/query/client"
)

const (
	grace    = 5 * time.Second
	patience = 60 * time.Second
)

// endToEnd lets devices toss a coin each, report what it shows through the whole system, and guesses the coins from what
// is stored in Parquet, with the key under which identities were made pseudonyms in hand: the worst that a server can do.
func endToEnd(ctx context.Context, c Config) ([]Check, error) {
	began := time.Now()
	c.begin(EndToEnd, "a fleet joins")
	asked := questions()
	coins := toss(c, asked)
	run, err := startRun(ctx, c, coins, asked)
	if err != nil {
		return nil, fmt.Errorf("end to end: %w", err)
	}
	defer run.close()
	if err := run.windows(ctx, c); err != nil {
		return nil, fmt.Errorf("end to end: %w", err)
	}
	summary, keyer := run.fleet.Summary(), run.keyer
	run.close()
	if run.err != nil {
		return nil, fmt.Errorf("end to end: %w", run.err)
	}
	truth := truthOf(coins, keyer)
	var checks []Check
	stored := make([][]report, len(asked))
	for i := range asked {
		if stored[i], err = readReports(filepath.Join(c.Dir, "store", "reports", "kappa="+run.refs[i])); err != nil {
			return nil, fmt.Errorf("end to end: %w", err)
		}
		found, err := asked[i].guess(stored[i], truth)
		if err != nil {
			return nil, fmt.Errorf("end to end: %w", err)
		}
		checks = append(checks, found...)
	}
	checks = append(checks, spending(stored, summary, c))
	for i := range checks {
		checks[i].Layer = EndToEnd
		checks[i].Seconds = time.Since(began).Seconds()
	}
	return checks, nil
}

// running is a server and a fleet under one simulated clock.
type running struct {
	clock  *clock.Manual
	server *server.Server
	fleet  *simulate.Fleet
	keyer  fleet.Keyer
	api    *client.Client
	refs   []string // of the questions
	closed bool
	err    error // of closing
}

// startRun starts both, and the questions.
func startRun(ctx context.Context, c Config, coins []indoor.Place, asked []question) (_ *running, err error) {
	r := &running{clock: clock.NewManual(time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC))}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	const free = "127.0.0.1:0"
	r.server, err = server.Start(ctx, server.Config{Data: c.Dir, HTTP: free, GRPC: free, NATSListen: free, Clock: r.clock})
	if err != nil {
		return nil, err
	}
	if r.keyer, err = keyerOf(ctx, r.server.Addresses().NATS); err != nil {
		return nil, err
	}
	r.fleet, err = simulate.Join(ctx, simulate.Config{
		NATS: r.server.Addresses().NATS, Places: coins, Clock: r.clock, Seed: c.Seed, Gateways: gatewaysOf(c, asked), Units: 1,
		Policy: ledger.Limits{PerPeriod: most(asked), Period: time.Minute, Lifetime: privacy.MaxBudget},
	})
	if err != nil {
		return nil, err
	}
	if r.api, err = client.New("http://"+r.server.Addresses().HTTP, client.Options{}); err != nil {
		return nil, err
	}
	for _, q := range asked {
		put, err := r.api.Put(ctx, q.script(), nil)
		if err != nil {
			return nil, err
		}
		r.refs = append(r.refs, put.GetRef())
	}
	return r, eventually(ctx, "the fleet hears the plans", func() (bool, error) {
		for _, ref := range r.refs {
			if _, heard := r.fleet.TruthOf(ref); !heard {
				return false, nil
			}
		}
		return true, nil
	})
}

// keyerOf reads the cluster's secret, as a server can.
func keyerOf(ctx context.Context, url string) (fleet.Keyer, error) {
	conn, err := nats.Connect(url, nats.Timeout(patience))
	if err != nil {
		return fleet.Keyer{}, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		return fleet.Keyer{}, err
	}
	kv, err := js.KeyValue(ctx, "PLANS")
	if err != nil {
		return fleet.Keyer{}, err
	}
	entry, err := kv.Get(ctx, "cluster.secret")
	if err != nil {
		return fleet.Keyer{}, err
	}
	if len(entry.Value()) != 16 {
		return fleet.Keyer{}, errors.New("the cluster's secret has another length")
	}
	return fleet.NewKeyer([16]byte(entry.Value())), nil
}

// windows lets so many windows pass and waits after each until all its reports are counted.
func (r *running) windows(ctx context.Context, c Config) error {
	before := int64(0)
	for i := range c.Windows {
		c.begin(EndToEnd, fmt.Sprintf("window %d of %d", i+1, c.Windows))
		end, ok := r.fleet.NextEnd()
		if !ok {
			return errors.New("the fleet knows no kappa")
		}
		r.clock.Set(end)
		if _, err := r.fleet.Step(ctx); err != nil {
			return err
		}
		r.clock.Set(end.Add(grace))
		answered := r.fleet.Summary().Answered
		err := eventually(ctx, "all reports of a window are counted", func() (bool, error) {
			counted, err := r.counted(ctx, end.Add(-window))
			return counted >= answered-before, err
		})
		if err != nil {
			return err
		}
		before = answered
	}
	return nil
}

// counted is how many reports the final results of a window have.
func (r *running) counted(ctx context.Context, start time.Time) (sum int64, err error) {
	const most = 2000 // results of a window
	for _, ref := range r.refs {
		results, err := r.api.Results(ctx, ref, client.Span{Since: start, Until: start.Add(window), Limit: most})
		if err != nil {
			return 0, err
		}
		counted := map[string]int64{} // every bin of a histogram tells the same reports
		for _, result := range results {
			if result.GetFinal() {
				counted[result.GetStatistic()] = int64(result.GetReports())
			}
		}
		for _, reports := range counted {
			sum += reports
		}
	}
	return sum, nil
}

// close ends fleet and server, once.
func (r *running) close() {
	if r.closed {
		return
	}
	r.closed = true
	if r.fleet != nil {
		r.fleet.Close()
	}
	if r.server != nil {
		r.err = r.server.Close()
	}
}

// eventually waits for what has to come.
func eventually(ctx context.Context, what string, holds func() (bool, error)) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if ok, err := holds(); ok || err != nil {
			return err
		}
		if err := (clock.Real{}).WaitUntil(ctx, time.Now().Add(10*time.Millisecond)); err != nil {
			return err
		}
	}
	return errors.New("waited in vain until " + what)
}
