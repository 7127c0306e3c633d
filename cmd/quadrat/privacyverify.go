package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync/atomic"

	"github.com/quadrat-dev/quadrat/internal/verify"
)

// privacyVerifyCmd is `quadrat privacy verify`.
type privacyVerifyCmd struct {
	Draws   int    `help:"Size of each sample." default:"200000" placeholder:"N"`
	Devices int    `help:"Devices of the end-to-end run." default:"20000" placeholder:"N"`
	Windows int    `help:"Windows of the end-to-end run." default:"4" placeholder:"W"`
	Seed    uint64 `help:"Seed of samples, coins and noise." default:"1" placeholder:"S"`
	Format  string `help:"How to show checks: table or json." enum:"table,json" default:"table"`
}

// Help shows an example.
func (*privacyVerifyCmd) Help() string {
	return `Example:

    quadrat privacy verify
    quadrat privacy verify --draws 2000000 --seed 7 --format json

Proves each mechanism's certificate with exact rationals from the integers that devices use; compares draws with the
exact distribution; bounds epsilon from below as an attacker would, also for mechanisms with planted bugs, which it must
catch; makes releases of a gateway whose units read far outside the bounds; and lets simulated devices and gateways with
coin-flip readings report through agent, broker, engine and Parquet, by every mechanism that the planner chooses, to count
how many coins the stored reports give away. Certificates prove; draws only find bugs. Each check fails a correct system
once in a million times at most. Exits with 1 when a check fails, and at once with an error when it is interrupted. With
--format json each line is a check, the last one a summary. The noise of gateways is drawn by the system and has no seed.`
}

// Run makes the checks.
func (c *privacyVerifyCmd) Run(ctx context.Context, t *terminal) (err error) {
	config := verify.Config{Draws: c.Draws, Devices: c.Devices, Windows: c.Windows, Seed: c.Seed}
	if config.Dir, err = os.MkdirTemp("", "quadrat-verify-"); err != nil {
		return fmt.Errorf("verify: %w", err)
	}
	defer func() {
		if gone := os.RemoveAll(config.Dir); err == nil && gone != nil {
			err = gone
		}
	}()
	if err := config.Validate(); err != nil {
		return &usageError{err.Error()}
	}
	var checks []verify.Check
	tell := func(check verify.Check) error {
		if c.Format == formatJSON {
			return json.NewEncoder(t.out).Encode(check)
		}
		checks = append(checks, check)
		return nil
	}
	var at atomic.Value // what is looked at
	at.Store("")
	config.Watch = func(layer verify.Layer, what string) { at.Store(string(layer) + ": " + what) }
	stop := t.progressWith("verifying", func() string { text, _ := at.Load().(string); return text })
	sum, err := verify.Run(ctx, config, tell)
	stop()
	if err != nil {
		return err
	}
	if err := c.show(t, checks, sum); err != nil {
		return err
	}
	if sum.Failed > 0 {
		return fmt.Errorf("verify: %d of %d checks fail", sum.Failed, sum.Checks)
	}
	return nil
}

// show prints the table, or the last line of JSON.
func (c *privacyVerifyCmd) show(t *terminal, checks []verify.Check, sum verify.Summary) error {
	if c.Format == formatJSON {
		return json.NewEncoder(t.out).Encode(map[string]verify.Summary{"summary": sum})
	}
	if err := t.table(func(w io.Writer) {
		fmt.Fprintln(w, "LAYER\tMECHANISM\tEPSILON\tCHECKED\tVERDICT")
		for _, check := range checks {
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", check.Layer, check.Mechanism, check.Epsilon, check.Checked, check.Verdict)
		}
	}); err != nil {
		return err
	}
	_, err := fmt.Fprintf(t.out, "\n%d checks, %d failed, %.1f s\n", sum.Checks, sum.Failed, sum.ElapsedSeconds)
	return err
}
