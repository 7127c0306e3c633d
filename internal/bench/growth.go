package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"time"

	"github.com/quadrat-dev/quadrat/fleet"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/survey/panel"
)

const (
	growthReference = 10_000
	growthGoal      = 3         // times the cost at the reference
	panelGoal       = 1         // second, for ten million devices
	panelLap        = 96        // windows
	panelDevices    = 1_000_000 // together, that small fleets are planned for
	registryGoal    = 200       // bytes
	registryDevices = 200_000
)

// sizes are the fleets that growth is measured at.
func (c Config) sizes() []int {
	out := []int{1_000, 10_000, 100_000, 1_000_000}
	if c.Full {
		out = append(out, 10_000_000)
	}
	return out
}

// growthRows measures what one report costs as the fleet grows, beside the cost in a fleet of ten thousand in the same
// run.
func growthRows(ctx context.Context, config Config) ([]Row, error) {
	var out []Row
	turn := config.Turn / 4
	reference, err := reportCost(ctx, turn, growthReference)
	if err != nil {
		return nil, err
	}
	for _, n := range config.sizes() {
		cost, err := reportCost(ctx, turn, n)
		if err != nil {
			return nil, err
		}
		out = append(out, Row{
			Name: "growth, " + tens(n) + " devices", Goal: "≤ 3 × the cost of a report in a fleet of 10^4", Figure: cost, Unit: "ns/report",
			Reference: "a fleet of 10^4", ReferenceFigure: reference, Note: "by processor time",
		}.atMost(growthGoal*reference).on(curveGrowth, n))
	}
	return out, nil
}

// reportCost is the nanoseconds that one report takes from REPORTS bytes to window state.
func reportCost(ctx context.Context, turn time.Duration, n int) (float64, error) {
	devices := newRows(n)
	bodies, _, err := devices.messages(feedWindow, countPerMessage)
	if err != nil {
		return 0, err
	}
	perSecond, err := countOurs(ctx, turn, devices, bodies)
	return 1e9 / perSecond, err
}

// panelRows measures planning: permanent random numbers of a stratum, sorted, and the arcs of a lap. What is broadcast
// is the arcs, whatever the size of the fleet. The reference is sorting the numbers alone with the standard library.
func panelRows(ctx context.Context, config Config) ([]Row, error) {
	var out []Row
	for _, n := range config.sizes() {
		took, sorting, arcs, err := planning(ctx, n)
		if err != nil {
			return nil, err
		}
		out = append(out, Row{
			Name: "panel, " + tens(n) + " devices", Goal: "≤ 1 s for 10^7 devices", Figure: took.Seconds(), Unit: "s",
			Reference: "slices.Sort of the same numbers", ReferenceFigure: sorting.Seconds(),
			Note: fmt.Sprintf("by processor time; a lap of %d windows; %d bytes a stratum are broadcast", panelLap, arcs),
		}.atMost(panelGoal).on(curvePanel, n))
	}
	return out, nil
}

// planning is the processor time of one plan for n devices, of sorting their numbers, and the bytes of its arcs: of small fleets
// the mean of many, since the clock of the processor is coarse.
func planning(ctx context.Context, n int) (took, sorting time.Duration, arcs int, err error) {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = "device-" + strconv.Itoa(i)
	}
	shuffled := make([]panel.Number, n)
	times := max(1, panelDevices/n)
	for turn := range times {
		if err := ctx.Err(); err != nil {
			return 0, 0, 0, err
		}
		began := processor()
		numbers := make([]panel.Number, n)
		for i, id := range ids {
			numbers[i] = panel.NumberOf(panel.Salt{1, byte(turn)}, id)
		}
		numbered := processor()
		copy(shuffled, numbers)
		copied := processor()
		panel.Sort(numbers)
		rotation, err := panel.Draw(numbers, 0, panelLap, 1, panel.Partition(n, panelLap))
		planned := processor()
		slices.Sort(shuffled)
		sorting += processor() - planned
		took += planned - copied + numbered - began
		if err != nil {
			return 0, 0, 0, err
		}
		arcs = 8 + binary.Size(rotation.Last) //nolint:mnd // the position of the first arc
	}
	return took / time.Duration(times), sorting / time.Duration(times), arcs, nil
}

// registryRows measures what the fleet registry holds in memory for one device with six attributes.
func registryRows(_ context.Context, _ Config) ([]Row, error) {
	before := heap()
	r := fleet.New(fleet.NewKeyer([16]byte{}))
	h := &quadratv1.Hello{
		Capabilities: []*quadratv1.Capability{{Name: "sense.temperature"}}, Software: "quadrat-edge",
		Limits: &quadratv1.Limits{EpsilonMicro: 4_000_000, PeriodMs: 3_600_000, Models: []string{"local"}},
	}
	for i := range registryDevices {
		h.Device = "device-" + strconv.Itoa(i)
		h.Attributes = map[string]string{
			"region": "r" + strconv.Itoa(i%7), "country": "c" + strconv.Itoa(i%49), "city": "t" + strconv.Itoa(i%98),
			"climate": "k" + strconv.Itoa(i%5), "building_type": "office", "cooling_type": "x" + strconv.Itoa(i%3),
		}
		if err := r.Hello(h, time.UnixMilli(1)); err != nil {
			return nil, err
		}
	}
	per := float64(heap()-before) / registryDevices
	runtime.KeepAlive(r)
	return []Row{Row{
		Name: "registry", Goal: "≤ 200 bytes of memory per registered device", Figure: per, Unit: "bytes",
		Note: "six attributes, identities of 8 to 13 bytes",
	}.atMost(registryGoal)}, nil
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
