// Package verify is the audit that anyone can run: it proves every mechanism's certificate from its integers, compares
// draws with the exact distribution, bounds ε from below as an attacker would, and sends a fleet of devices with
// coin-flip readings through agent, broker, engine and storage to see how many coins the stored reports give away. Gateways' releases are
// made by the code of real ones.
//
// It stands beside cmd, which prints what it finds. Certificates prove; draws only find bugs, and a check that draws says
// how much it can see: it fails, too, when it is blind. Each fails a correct system with probability 1e-6 at most.
//
//	summary, err := verify.Run(ctx, verify.Config{Dir: dir}, func(c verify.Check) error { … })
package verify

import (
	"context"
	"errors"
	"time"

	"github.com/quadrat-dev/quadrat/privacy"
)

// falseAlarm is the probability with which one check fails a correct system.
const falseAlarm = 1e-6

// Config says how thoroughly to look.
type Config struct {
	// Dir is an empty folder for the end-to-end run. Required.
	Dir string
	// Draws is the size of each sample; 0 for 200,000.
	Draws int
	// Devices is the size of the end-to-end fleet; 0 for 20,000.
	Devices int
	// Windows is how often each of them reports; 0 for 4.
	Windows int
	// Seed fixes samples, coins and noise, but that of gateways, which has no seed.
	Seed uint64
	// Watch is told what is looked at next, from the goroutine of Run; nil for nobody.
	Watch func(layer Layer, what string)
}

// begin tells what is looked at next.
func (c Config) begin(layer Layer, what string) {
	if c.Watch != nil {
		c.Watch(layer, what)
	}
}

func (c Config) withDefaults() Config {
	if c.Draws == 0 {
		c.Draws = 200_000
	}
	if c.Devices == 0 {
		c.Devices = 20_000
	}
	if c.Windows == 0 {
		c.Windows = 4
	}
	return c
}

// Validate reports all faults at once, by the names of the flags.
func (c Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("dir: a folder is needed"))
	}
	if c.Draws != 0 && (c.Draws < 20_000 || c.Draws > 1<<28) {
		faults = append(faults, errors.New("--draws: 20,000 or more"))
	}
	if c.Devices != 0 && (c.Devices < 200 || c.Devices > 100_000) {
		faults = append(faults, errors.New("--devices: 200 to 100,000"))
	}
	if c.Windows != 0 && (c.Windows < 1 || c.Windows > 1000) {
		faults = append(faults, errors.New("--windows: 1 to 1000"))
	}
	return errors.Join(faults...)
}

// Layer is a kind of check.
type Layer string

// The layers, from proof to whole system.
const (
	// Certificate: the worst ratio of any two probabilities of one output, as a rational from the integers that devices
	// use, against a rational that is proven not to exceed e^ε. A proof, given the mechanism's PROOF.md.
	Certificate Layer = "certificate"
	// Distribution: draws against the exact probabilities, and mean scores against the inputs.
	Distribution Layer = "distribution"
	// LowerBound: ε from outputs alone. It must not exceed what is claimed.
	LowerBound Layer = "lower bound"
	// Control: the lower bound of mechanisms with planted bugs. It must exceed what they claim.
	Control Layer = "control"
	// EndToEnd: a fleet through agent, broker, engine and storage.
	EndToEnd Layer = "end to end"
)

// Check is one finding.
type Check struct {
	Layer     Layer   `json:"layer"`
	Mechanism string  `json:"mechanism"`
	Epsilon   string  `json:"epsilon"` // one value, or several
	Checked   string  `json:"checked"` // what was looked at, and what was found, in words
	Verdict   Verdict `json:"verdict"`
	Seconds   float64 `json:"seconds"`
}

// Verdict is what came of a check.
type Verdict string

// The verdicts.
const (
	Pass Verdict = "pass"
	Fail Verdict = "FAIL"
)

// Summary is what it came to.
type Summary struct {
	Checks         int     `json:"checks"`
	Failed         int     `json:"failed"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`
}

// Run makes all checks, one after another, and tells each. It returns early, with an error, only when it can't go on or ctx ends:
// a check that fails is in the summary.
func Run(ctx context.Context, c Config, tell func(Check) error) (Summary, error) {
	if err := c.Validate(); err != nil {
		return Summary{}, err
	}
	c = c.withDefaults()
	began := time.Now()
	var sum Summary
	checks := []func(context.Context, Config) ([]Check, error){certificates, draws, gatewayDraws, lowerBounds, gatewayBounds, controls, endToEnd}
	for _, check := range checks {
		if err := ctx.Err(); err != nil {
			return sum, err
		}
		found, err := check(ctx, c)
		if err != nil {
			return sum, err
		}
		for _, f := range found {
			sum.Checks++
			if f.Verdict != Pass {
				sum.Failed++
			}
			if err := tell(f); err != nil {
				return sum, err
			}
		}
		sum.ElapsedSeconds = time.Since(began).Seconds()
	}
	return sum, nil
}

// verdict is Pass if it holds.
func verdict(holds bool) Verdict {
	if holds {
		return Pass
	}
	return Fail
}

// epsilons turns millionths into ε and their common text.
func epsilons(micros ...uint64) ([]privacy.Epsilon, error) {
	out := make([]privacy.Epsilon, len(micros))
	for i, micro := range micros {
		e, err := privacy.EpsilonOf(micro)
		if err != nil {
			return nil, err
		}
		out[i] = e
	}
	return out, nil
}
