// Package simulate is a fleet of simulated devices in one process: the same agents that run on boards, with replayed
// readings, a ledger in memory and seeded noise. It speaks to a server over NATS alone, as devices do. It is for
// demos, tests and benchmarks; its noise is repeatable, so nothing private may be replayed through it.
//
//	fleet, err := simulate.Join(ctx, simulate.Config{NATS: url, Places: places, Clock: clock.Real{}})
//	if err != nil { … }
//	defer fleet.Close()
//	err = fleet.Run(ctx)
package simulate

import (
	"errors"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/wire"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// Config says which fleet to simulate.
type Config struct {
	// NATS is the URL of the broker. Required.
	NATS string
	// Places are the devices. Required.
	Places []indoor.Place
	// Clock is the devices' time; nil for the server's at the first hello, running Speed times as fast as a real one.
	Clock clock.Clock
	// Speed is for a nil Clock; 0 for 1. The server's clock must run as fast, or Join says so.
	Speed float64
	// Gateways makes units of the last Gateways·Units places, so many behind each of so many gateways; at least one place stays a
	// device of its own. Gateways answer kappas of PRIVACY GATEWAY, all of which should have windows of one length.
	Gateways, Units int
	// Seed fixes who is offline, and the noise of devices; gateways' noise is drawn as real ones draw it, without a seed.
	Seed uint64
	// Offline is the share of devices and units that join and then stay silent, from 0 to below 1.
	Offline float64
	// Windows ends Run after so many windows of every kappa; 0 for never.
	Windows int
	// Policy is what each device's owner allows; the zero value allows whatever a plan may ask.
	Policy ledger.Limits
	// InFlight bounds the requests that wait for an answer; 0 for 512.
	InFlight int
	// AnswerTimeout is how long a request waits before the same bytes are sent again; 0 for 5 s.
	AnswerTimeout time.Duration
	// HelloEvery is how often each device says hello again; 0 for 6 h.
	HelloEvery time.Duration
	// Progress is told, from one goroutine, how many of how many devices have joined; nil for nobody.
	Progress func(done, all int)
	// Logger takes what the fleet has to say; nil for silence.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Policy == (ledger.Limits{}) {
		c.Policy = ledger.Limits{PerPeriod: privacy.MaxBudget, Period: time.Hour, Lifetime: privacy.MaxBudget}
	}
	if c.Speed == 0 {
		c.Speed = 1
	}
	if c.InFlight == 0 {
		c.InFlight = 512
	}
	if c.AnswerTimeout == 0 {
		c.AnswerTimeout = 5 * time.Second
	}
	if c.HelloEvery == 0 {
		c.HelloEvery = 6 * time.Hour
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Validate reports all faults at once.
func (c Config) Validate() error {
	var faults []error
	if c.NATS == "" {
		faults = append(faults, errors.New("nats: a URL is needed"))
	}
	if len(c.Places) == 0 {
		faults = append(faults, errors.New("devices: at least one is needed"))
	}
	if c.Gateways < 0 || c.Units < 0 || (c.Gateways > 0) != (c.Units > 0) || c.Gateways*c.Units >= max(1, len(c.Places)) {
		faults = append(faults, errors.New("gateways and units: both or neither, and one place or more beside the units"))
	}
	if c.Speed < 0 || c.Speed > 0 && c.Clock != nil {
		faults = append(faults, errors.New("speed: above 0, and only without a clock"))
	}
	if c.Offline < 0 || c.Offline >= 1 {
		faults = append(faults, errors.New("offline: a share from 0 to below 1 is needed"))
	}
	if c.Windows < 0 {
		faults = append(faults, errors.New("windows: 0 or more are needed"))
	}
	if c.InFlight < 0 || c.AnswerTimeout < 0 || c.HelloEvery < 0 {
		faults = append(faults, errors.New("in flight, answer timeout and hello interval: may not be negative"))
	}
	return errors.Join(faults...)
}

// Choose returns n devices made of the places: each place copies times over, in a seeded order when fewer than all are
// wanted, and further copies when more are. The copies of a place share its readings; their identities end in -2, -3, ….
func Choose(places []indoor.Place, n, copies int, seed uint64) []indoor.Place {
	if len(places) == 0 {
		return nil
	}
	copies = max(copies, 1)
	if n <= 0 {
		n = len(places) * copies
	}
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	if n%len(places) != 0 {
		rng := rand.New(rand.NewPCG(seed, 0x9e3779b97f4a7c15))
		rng.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	out := make([]indoor.Place, n)
	for i := range out {
		out[i] = places[order[i%len(order)]]
		if copied := i / len(order); copied > 0 {
			out[i].ID += "-" + strconv.Itoa(copied+1)
		}
	}
	return out
}

// capabilities is what every simulated device announces.
func capabilities() []wire.Capability {
	return []wire.Capability{{Name: indoor.Capability, Readings: []string{indoor.Reading}}}
}
