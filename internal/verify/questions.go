package verify

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/privacy"
)

// The readings of a coin's two sides are the bounds of the questions, where mechanisms have most to hide.
const (
	heads, tails = privacy.Micro(40_000_000), privacy.Micro(10_000_000)
	middle       = 25
	window       = time.Minute
)

// question asks a part of the devices, its purse, for the same window by window. Together the questions lead the planner to every
// mechanism that it chooses.
type question struct {
	purse   string
	share   int // of all devices, in percent
	selects string
	privacy string
	claimed privacy.Epsilon // of a report, and of all of a device in a period
	kept    privacy.Epsilon // of all reports about one category, with permanent answers
	gateway bool            // the devices are units, one behind each gateway
}

func questions() []question {
	return []question{
		{
			purse: "all", share: 70, claimed: 1_000_000, privacy: "LOCAL EPSILON 1 PER 1m",
			// More than 64 bins don't fit a report as a set, so that devices answer by hash.
			selects: "proportion(temperature > 25), mean(temperature), histogram(temperature, 4), histogram(temperature, 100), distribution(temperature)",
		},
		{purse: "half", share: 10, claimed: 500_000, privacy: "LOCAL EPSILON 0.5 PER 1m", selects: "mean(temperature)"},
		{
			purse: "kept", share: 10, claimed: 1_000_000, kept: 2_000_000, privacy: "LOCAL EPSILON 2 PER VALUE REPORT 1",
			selects: "histogram(temperature, 2)",
		},
		{purse: "home", share: 10, claimed: 1_000_000, privacy: "GATEWAY EPSILON 1 PER 1m", selects: "mean(temperature)", gateway: true},
	}
}

// script is the question in words.
func (q question) script() string {
	return fmt.Sprintf(`KAPPA coins_%s AS
SELECT   %s
FROM     sense.temperature
WHERE    purse = '%s'
SAMPLE   ALL
WINDOW   1m GRACE 5s
PRIVACY  %s BETWEEN 10 AND 40
`, q.purse, q.selects, q.purse, q.privacy)
}

// devices is how many devices a question asks.
func (q question) devices(c Config) int { return c.Devices * q.share / 100 }

// gatewaysOf is how many units there are, each behind a gateway of its own.
func gatewaysOf(c Config, asked []question) int {
	n := 0
	for _, q := range asked {
		if q.gateway {
			n += q.devices(c)
		}
	}
	return n
}

// most is what a device must be allowed to spend in a period.
func most(asked []question) privacy.Epsilon {
	e := privacy.Epsilon(0)
	for _, q := range asked {
		e = max(e, q.claimed, q.kept)
	}
	return e
}

// toss gives every device a reading that stays. Units come last, as the simulation takes them, under the identities that it gives them.
func toss(c Config, asked []question) []indoor.Place {
	rng := rand.New(rand.NewPCG(c.Seed, 0x636f696e))
	var places []indoor.Place
	for _, q := range asked {
		for i := range q.devices(c) {
			side := tails
			if rng.Uint64()&1 == 1 {
				side = heads
			}
			id := "coin-" + strconv.Itoa(len(places))
			if q.gateway {
				id = fmt.Sprintf("home%d-0", i)
			}
			places = append(places, indoor.Place{ID: id, Attributes: map[string]string{"purse": q.purse}, Readings: []privacy.Micro{side}})
		}
	}
	return places
}
