package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/fleet"
	"github.com/quadrat-dev/quadrat/internal/broker"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// The question of the throughput measurements: a mean in ten strata and three cells, answered by every device in every
// window.
const (
	feedRef      = "bench1"
	feedWindowMs = 60_000
	feedWindow   = 29_000_000
	feedStrata   = 10
	feedCells    = 3
)

// feedRecord is the kappa of that question.
func feedRecord() *quadratv1.KappaRecord {
	plan := &quadratv1.DevicePlan{
		Ref: feedRef, Name: "bench", Revision: 1, FromWindow: feedWindow, WindowMs: feedWindowMs, Salt: make([]byte, 16), LapWindows: 1,
		Capability: "sense.temperature", Model: "local", EpsilonMicro: 4e6, EpsilonPeriodMicro: 4e6, PeriodMs: feedWindowMs,
		Confidence: 0.95, GroupBy: []string{"cooling"}, StratifiedBy: []string{"region"},
		Statistics: []*quadratv1.StatisticPlan{{
			Name: "mean(temperature)", Kind: "mean", Reading: "temperature", Summary: "avg", Mechanism: "hybrid",
			LoMicro: 10_000_000, HiMicro: 40_000_000,
		}},
	}
	for i := range feedStrata {
		name := "r" + strconv.Itoa(i)
		plan.Strata = append(plan.Strata, &quadratv1.StratumPlan{
			Name: name, Last: []uint64{1<<64 - 1}, Members: []*quadratv1.AttributeValues{{Values: []string{name}}},
		})
	}
	return &quadratv1.KappaRecord{
		Version: 1, Kappa: &quadratv1.Kappa{Ref: feedRef, Name: "bench"}, Revisions: []*quadratv1.PlanRevision{{Device: plan}},
	}
}

// rows is a fleet of n devices, ordered by key, as a registry gives it.
type rows []*fleet.Row

// Frame is all of them.
func (r rows) Frame(fleet.Query, time.Time) []*fleet.Row { return r }

func newRows(n int) rows {
	keyer := fleet.NewKeyer([16]byte{})
	attributes := make([]map[string]string, feedStrata*feedCells)
	for i := range attributes {
		attributes[i] = map[string]string{"region": "r" + strconv.Itoa(i%feedStrata), "cooling": "c" + strconv.Itoa(i/feedStrata)}
	}
	out, devices := make(rows, n), make([]fleet.Row, n)
	for i := range out {
		devices[i] = fleet.Row{ID: "d" + strconv.Itoa(i), Attributes: attributes[i%len(attributes)]}
		devices[i].Key = keyer.Key(devices[i].ID)
		out[i] = &devices[i]
	}
	slices.SortFunc(out, func(a, b *fleet.Row) int {
		if a.Key < b.Key {
			return -1
		}
		return 1
	})
	return out
}

// messages is one report of each device for a window, in random order, as REPORTS holds them: perMessage reports of one
// partition in a message.
func (r rows) messages(window int64, perMessage int) (bodies [][]byte, partitions []uint32, err error) {
	rng := rand.New(rand.NewPCG(1, uint64(window)))
	var waiting [broker.Partitions][]uint64
	flush := func(partition uint32) error {
		g := &quadratv1.StoredGroup{Kappa: feedRef, Revision: 1, Window: window, Device: waiting[partition]}
		for range g.GetDevice() {
			g.Statistic, g.Value = append(g.Statistic, 0), append(g.Value, rng.Int64N(200))
		}
		body, err := proto.Marshal(&quadratv1.StoredBatch{Version: 1, Groups: []*quadratv1.StoredGroup{g}})
		bodies, partitions = append(bodies, body), append(partitions, partition)
		waiting[partition] = waiting[partition][:0]
		return err
	}
	for _, i := range rng.Perm(len(r)) {
		p := fleet.Partition(r[i].Key)
		if waiting[p] = append(waiting[p], uint64(r[i].Key)); len(waiting[p]) == perMessage {
			if err := flush(p); err != nil {
				return nil, nil, err
			}
		}
	}
	for p := range waiting {
		if len(waiting[p]) > 0 {
			if err := flush(uint32(p)); err != nil {
				return nil, nil, err
			}
		}
	}
	return bodies, partitions, nil
}

// openBroker starts a broker in a folder of the measurement.
func openBroker(ctx context.Context, config Config, name string) (*broker.Broker, error) {
	b, err := broker.Open(ctx, broker.Config{StoreDir: filepath.Join(config.Dir, name), Listen: "127.0.0.1:0", Log: config.Log})
	if err != nil {
		return nil, err
	}
	if err := broker.Ensure(ctx, b.JetStream(), broker.Limits{}); err != nil {
		_ = b.Close()
		return nil, err
	}
	return b, nil
}

// turnsEach is how many turns each of two takes.
const turnsEach = 3

// turns calls our measurement and that of the reference in turns, so that what else the machine does falls on both, and
// gives the median of each and of their ratios.
func turns(ours, reference func() (float64, error)) (figure, beside float64, err error) {
	var a, b []float64
	for range turnsEach {
		x, err := ours()
		if err != nil {
			return 0, 0, err
		}
		y, err := reference()
		if err != nil {
			return 0, 0, err
		}
		a, b = append(a, x), append(b, y)
	}
	return median(a), median(b), nil
}

// median of at least one value; the mean of the middle two of an even number.
func median(x []float64) float64 { return quantile(x, 0.5) }

// quantile of at least one value by linear interpolation.
func quantile(x []float64, p float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	at := p * float64(len(sorted)-1)
	low := int(at)
	if low+1 >= len(sorted) {
		return sorted[low]
	}
	return sorted[low] + (at-float64(low))*(sorted[low+1]-sorted[low])
}

// writeSynced writes a file and returns when it is on disk: what every way to store must do at least.
func writeSynced(path string, write func(*os.File) error) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	return f.Sync()
}

// tens writes a number with one digit and a power of ten where it is one from ten on: 10^4, 3·10^6.
func tens(n int) string {
	text := strconv.Itoa(n)
	switch {
	case len(text) == 1 || strings.Trim(text[1:], "0") != "":
		return text
	case text[0] == '1':
		return fmt.Sprintf("10^%d", len(text)-1)
	}
	return fmt.Sprintf("%c·10^%d", text[0], len(text)-1)
}
