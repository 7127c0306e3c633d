package verify

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/server"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
	"github.com/quadrat-dev/quadrat/query/client"
)

// The readings of a coin's two sides are the bounds of the question, where mechanisms have most to hide.
const (
	heads, tails = privacy.Micro(40_000_000), privacy.Micro(10_000_000)
	middle       = 25
	tailsBin     = 0 // of the histogram's four
	headsBin     = 3
	grace        = 5 * time.Second
	patience     = 60 * time.Second
)

// question asks every device in every window, for a bit, a number and a bin in turn.
const question = `KAPPA coins AS
SELECT   proportion(temperature > 25), mean(temperature), histogram(temperature, 4)
FROM     sense.temperature
SAMPLE   ALL
WINDOW   1m GRACE 5s
PRIVACY  LOCAL EPSILON 1 PER 1m BETWEEN 10 AND 40
`

// claimed is the ε of the question, per report and per period.
const claimed = privacy.Epsilon(1_000_000)

// endToEnd lets devices toss a coin each, report what it shows through the whole system, and guesses the coins from what
// is stored in Parquet, with the key under which identities were made pseudonyms in hand: the worst that a server can do.
func endToEnd(ctx context.Context, c Config) ([]Check, error) {
	began := time.Now()
	coins := toss(c)
	run, err := startRun(ctx, c, coins)
	if err != nil {
		return nil, fmt.Errorf("end to end: %w", err)
	}
	defer run.close()
	if err := run.windows(ctx, c.Windows); err != nil {
		return nil, fmt.Errorf("end to end: %w", err)
	}
	summary, keyer := run.fleet.Summary(), run.keyer
	run.close()
	if run.err != nil {
		return nil, fmt.Errorf("end to end: %w", run.err)
	}
	stored, err := readReports(filepath.Join(c.Dir, "store", "reports"))
	if err != nil {
		return nil, fmt.Errorf("end to end: %w", err)
	}
	checks := guess(stored, coins, keyer)
	checks = append(checks, spending(stored, summary, c))
	for i := range checks {
		checks[i].Layer, checks[i].Epsilon = EndToEnd, claimed.String()
		checks[i].Seconds = time.Since(began).Seconds()
	}
	return checks, nil
}

// toss gives every device a reading that stays.
func toss(c Config) []indoor.Place {
	rng := rand.New(rand.NewPCG(c.Seed, 0x636f696e))
	places := make([]indoor.Place, c.Devices)
	for i := range places {
		side := tails
		if rng.Uint64()&1 == 1 {
			side = heads
		}
		places[i] = indoor.Place{ID: "coin-" + strconv.Itoa(i), Readings: []privacy.Micro{side}}
	}
	return places
}

// running is a server and a fleet under one simulated clock.
type running struct {
	clock  *clock.Manual
	server *server.Server
	fleet  *simulate.Fleet
	keyer  fleet.Keyer
	api    *client.Client
	ref    string
	closed bool
	err    error // of closing
}

// startRun starts both, and the question.
func startRun(ctx context.Context, c Config, coins []indoor.Place) (_ *running, err error) {
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
		NATS: r.server.Addresses().NATS, Places: coins, Clock: r.clock, Seed: c.Seed,
		Policy: ledger.Limits{PerPeriod: claimed, Period: time.Minute, Lifetime: privacy.MaxBudget},
	})
	if err != nil {
		return nil, err
	}
	if r.api, err = client.New("http://"+r.server.Addresses().HTTP, client.Options{}); err != nil {
		return nil, err
	}
	put, err := r.api.Put(ctx, question, nil)
	if err != nil {
		return nil, err
	}
	r.ref = put.GetRef()
	return r, eventually(ctx, "the fleet hears the plan", func() (bool, error) {
		_, heard := r.fleet.TruthOf(r.ref)
		return heard, nil
	})
}

// keyerOf reads the cluster's secret, as a server can.
func keyerOf(ctx context.Context, url string) (fleet.Keyer, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return fleet.Keyer{}, err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
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

// windows lets so many windows pass and waits until all their reports are counted.
func (r *running) windows(ctx context.Context, n int) error {
	for range n {
		end, ok := r.fleet.NextEnd()
		if !ok {
			return errors.New("the fleet knows no kappa")
		}
		r.clock.Set(end)
		if _, err := r.fleet.Step(ctx); err != nil {
			return err
		}
		r.clock.Set(end.Add(grace))
	}
	answered := r.fleet.Summary().Answered
	return eventually(ctx, "all reports are counted", func() (bool, error) {
		results, err := r.api.Results(ctx, r.ref, client.Span{Limit: uint32(16 * n)})
		type series struct{ window, statistic string }
		counted := map[series]int64{} // every bin of a histogram tells the same reports
		for _, result := range results {
			if result.GetFinal() {
				counted[series{result.GetWindowStart().AsTime().String(), result.GetStatistic()}] = int64(result.GetReports())
			}
		}
		sum := int64(0)
		for _, reports := range counted {
			sum += reports
		}
		return sum >= answered, err
	})
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

// report is a row of Parquet.
type report struct {
	device, window, mechanism string
	score, epsilon            float64
	set                       uint64 // of categories, bit v for category v
}

func readReports(folder string) ([]report, error) {
	t, err := tabular.Read(folder, tabular.Want{Numbers: []string{"score", "epsilon", "answer"}, Labels: []string{"device", "window_start", "mechanism"}})
	if err != nil {
		return nil, err
	}
	text := func(column string, i int) string {
		l := t.Label(column)
		if l.Codes[i] < 0 {
			return ""
		}
		return l.Levels[l.Codes[i]]
	}
	out := make([]report, t.Rows)
	for i := range out {
		out[i] = report{
			device: text("device", i), window: text("window_start", i), mechanism: text("mechanism", i),
			score: t.Number("score")[i], epsilon: t.Number("epsilon")[i],
		}
		if answer := t.Number("answer")[i]; answer > 0 {
			out[i].set = uint64(answer) // four bits
		}
	}
	return out, nil
}

// side guesses the coin from a stored report: the side of the middle on which a score lies, or the coin's own bin if it
// is in the set and the other's isn't. ok is false when the report says nothing.
func (r report) side() (isHeads, ok bool) {
	switch r.mechanism {
	case "subset":
		up, down := r.set>>headsBin&1 == 1, r.set>>tailsBin&1 == 1
		return up, up != down
	case "warner":
		return r.score > 0.5, true
	default:
		return r.score > middle, true
	}
}

// guess counts right guesses. No rule whatever guesses right more often than e^ε/(e^ε+1) of the time, report by report
// and independently, so that the number of right guesses lies below that binomial's tail. For bits and sets the rule
// reaches that share: there it must not fall short either.
func guess(stored []report, coins []indoor.Place, keyer fleet.Keyer) []Check {
	truth := make(map[string]bool, len(coins))
	for _, p := range coins {
		truth[fmt.Sprintf("%016x", uint64(keyer.Key(p.ID)))] = p.Readings[0] == heads
	}
	right, all, strangers := map[string]int{}, map[string]int{}, 0
	for _, r := range stored {
		is, known := truth[r.device]
		if !known {
			strangers++
			continue
		}
		if guessed, ok := r.side(); ok {
			all[r.mechanism]++
			if guessed == is {
				right[r.mechanism]++
			}
		}
	}
	best := 1 / (1 + math.Exp(-claimed.Float64()))
	var out []Check
	for _, name := range []string{"warner", "hybrid", "subset"} {
		n, k := all[name], right[name]
		holds := n > 0 && strangers == 0 && audit.AtLeast(k, n, best) >= falseAlarm
		if name == "hybrid" {
			holds = holds && audit.AtLeast(k, n, 0.5) < falseAlarm // or the guesses say nothing
		} else {
			holds = holds && audit.AtMost(k, n, best) >= falseAlarm
		}
		text := fmt.Sprintf("%d coins guessed from Parquet, %.2f %% right; ε allows %.2f %% on average", n, 100*float64(k)/float64(max(n, 1)), 100*best)
		if strangers > 0 {
			text += fmt.Sprintf("; %d reports of unknown devices", strangers)
		}
		out = append(out, Check{Mechanism: name, Checked: text, Verdict: verdict(holds)})
	}
	return out
}

// spending adds up what each device gave in each period, from what is stored, and looks whether the silent ones are told
// by their readings: everybody was due, so everybody must be there.
func spending(stored []report, s simulate.Summary, c Config) Check {
	spent := map[[2]string]float64{}
	most := 0.0
	for _, r := range stored {
		key := [2]string{r.device, r.window}
		spent[key] += r.epsilon
		most = math.Max(most, spent[key])
	}
	due := c.Devices * c.Windows
	holds := most <= claimed.Float64() && len(stored) == due && s.Answered == int64(due) && s.Due == int64(due)
	return Check{
		Mechanism: "ledger", Verdict: verdict(holds),
		Checked: fmt.Sprintf("%d of %d reports stored, silent nobody; at most ε = %g of a device in a period of 1 min", len(stored), due, most),
	}
}
