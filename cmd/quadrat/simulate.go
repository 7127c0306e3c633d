package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/quadrat-dev/quadrat/internal/indoor"
	"github.com/quadrat-dev/quadrat/internal/simulate"
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/ledger"
)

// simulateCmd is `quadrat simulate`.
type simulateCmd struct {
	NATS     string        `name:"nats" help:"URL of the broker that the server uses." default:"nats://127.0.0.1:4222" env:"QUADRAT_NATS" placeholder:"URL"`
	Devices  int           `help:"How many devices; 0 for all places." default:"0" placeholder:"N"`
	Gateways int           `help:"How many gateways there are besides, each with --units units behind it." default:"0" placeholder:"N"`
	Units    int           `help:"How many units each gateway speaks for." default:"4" placeholder:"M"`
	Windows  int           `help:"End after so many windows of every kappa; 0 goes on until it is interrupted." default:"0" placeholder:"W"`
	Speed    float64       `help:"How many times as fast as a real clock the devices' runs; the server needs the same --speed." default:"1" placeholder:"X"`
	Seed     uint64        `help:"Seed of the noise and of who is silent." default:"1" placeholder:"S"`
	Offline  float64       `help:"Share of the devices that join and then stay silent." default:"0" placeholder:"P"`
	Data     string        `help:"CSV with the columns device, temperature (readings separated by blanks) and attributes." type:"existingfile" placeholder:"CSV"`
	Epsilon  float64       `help:"Most ε that each device's owner allows in --period; 0 for whatever a plan asks." default:"0" placeholder:"E"`
	Period   time.Duration `help:"Period of --epsilon." default:"1h" placeholder:"D"`
	Format   string        `help:"How to print the summary: json or table." enum:"json,table" default:"json"`
}

// Help shows an example.
func (*simulateCmd) Help() string {
	return `Example:

    quadrat simulate --nats nats://127.0.0.1:4222 --devices 5000
    quadrat simulate --devices 5000 --windows 3 --offline 0.1

Lets simulated devices join a server and answer its kappas with replayed readings: one reading a window, real indoor
temperatures unless --data gives others. Their noise is seeded, so never replay private readings. With --windows it
ends when all that it sent has been answered, and prints a summary.`
}

// Run simulates until the windows are over or it is interrupted.
func (c *simulateCmd) Run(ctx context.Context, t *terminal) error {
	config, err := c.config(t)
	if err != nil {
		return err
	}
	fleet, err := simulate.Join(ctx, config)
	if err != nil {
		return err
	}
	defer fleet.Close()
	fmt.Fprintf(t.errs, "%d devices joined\n", fleet.Summary().Devices)
	if err := fleet.Run(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	s := fleet.Summary()
	if c.Format == "table" {
		_, err = fmt.Fprintf(t.out, "devices   %d\ndue       %d\nanswered  %d\nrefused   %d\nsilent    %d\nrejected  %d\n",
			s.Devices, s.Due, s.Answered, s.Refused, s.Silent, s.Rejected)
		return err
	}
	return json.NewEncoder(t.out).Encode(map[string]simulate.Summary{"summary": s})
}

func (c *simulateCmd) config(t *terminal) (simulate.Config, error) {
	places, err := c.places()
	if err != nil {
		return simulate.Config{}, err
	}
	if c.Gateways < 0 || c.Units < 1 {
		return simulate.Config{}, &usageError{"--gateways may not be negative, --units must be 1 or more"}
	}
	devices, units := c.Devices, c.Units
	switch {
	case c.Gateways == 0:
		units = 0
	case devices == 0:
		devices = len(places)
		fallthrough
	default:
		devices += c.Gateways * units
	}
	config := simulate.Config{
		NATS: c.NATS, Places: simulate.Choose(places, devices, 1, c.Seed), Gateways: c.Gateways, Units: units, Seed: c.Seed, Offline: c.Offline, Windows: c.Windows,
		Speed: c.Speed, Logger: slog.New(slog.NewTextHandler(t.errs, nil)), Progress: joining(t),
	}
	if c.Epsilon != 0 {
		epsilon, err := privacy.NewBudget(c.Epsilon)
		if err != nil {
			return config, &usageError{"--epsilon: " + err.Error()}
		}
		config.Policy = ledger.Limits{PerPeriod: epsilon, Period: c.Period, Lifetime: privacy.MaxBudget}
		if err := config.Policy.Validate(); err != nil {
			return config, &usageError{"--period: " + err.Error()}
		}
	}
	if c.Devices < 0 || c.Speed <= 0 {
		return config, &usageError{"--devices may not be negative, --speed must be above 0"}
	}
	if err := config.Validate(); err != nil {
		return config, &usageError{err.Error()}
	}
	return config, nil
}

func (c *simulateCmd) places() ([]indoor.Place, error) {
	if c.Data == "" {
		return indoor.Places()
	}
	f, err := os.Open(c.Data)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	places, err := indoor.Read(f)
	if err != nil {
		return nil, fmt.Errorf("data %s: %w", c.Data, err)
	}
	return places, nil
}

// joining shows how far the fleet has come once that takes over two seconds, on a terminal.
func joining(t *terminal) func(done, all int) {
	if !t.interactive {
		return nil
	}
	began := time.Now()
	last := -1
	return func(done, all int) {
		percent := 100 * done / all
		if time.Since(began) < progressAfter || percent == last && done < all {
			return
		}
		last = percent
		fmt.Fprintf(t.errs, "\r\x1b[Kjoining: %d %%", percent)
		if done == all {
			fmt.Fprint(t.errs, "\r\x1b[K")
		}
	}
}
