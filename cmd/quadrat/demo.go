package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"github.com/quadrat-dev/quadrat/internal/demo"
)

// demoCmd is `quadrat demo`.
type demoCmd struct {
	Windows  int     `help:"End after so many windows; 0 goes on until it is interrupted." default:"0" placeholder:"N"`
	Devices  int     `help:"How many devices; 0 for all 12,300 places, times --copies." default:"0" placeholder:"N"`
	Copies   int     `help:"How many devices replay each place." default:"1" placeholder:"N"`
	Speed    float64 `help:"How many times as fast as a real clock; 0 for as fast as it can. 60 to watch, 0 with --windows, unless given." default:"-1" placeholder:"X"`
	Offline  float64 `help:"Share of the devices that stay silent." default:"0" placeholder:"P"`
	Seed     uint64  `help:"Seed of salts, noise and silence." default:"1" placeholder:"S"`
	HTTP     string  `name:"http" help:"Address of the REST API while the demo runs." default:"127.0.0.1:0" placeholder:"ADDR"`
	Script   string  `help:"File with another script to deploy." type:"existingfile" placeholder:"FILE"`
	LogLevel string  `help:"What to log on standard error: debug, info, warn or error." enum:"debug,info,warn,error" default:"error"`
	Format   string  `help:"How to show windows: table or json." enum:"json,table" default:"table"`
}

// Help shows an example.
func (*demoCmd) Help() string {
	return `Example:

    quadrat demo
    quadrat demo --windows 200 --format json --offline 0.2

Runs a server, a simulated fleet that replays real indoor temperatures, and a standing query, in one process and with
nothing to configure. Each estimate stands beside the truth, which only a simulation can know. With --format json each
line is a result with the fields truth and covered, the last line a summary.`
}

// Run shows the demo.
func (c *demoCmd) Run(ctx context.Context, t *terminal) (err error) {
	config := demo.Config{
		HTTP: c.HTTP, Devices: c.Devices, Copies: c.Copies, Windows: c.Windows, Speed: c.Speed, Offline: c.Offline, Seed: c.Seed,
	}
	if c.Speed < 0 {
		config.Speed = 60
		if c.Windows > 0 {
			config.Speed = 0
		}
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		return &usageError{"--log-level: " + err.Error()}
	}
	config.Logger = slog.New(slog.NewTextHandler(t.errs, &slog.HandlerOptions{Level: level}))
	if c.Script != "" {
		script, err := os.ReadFile(c.Script)
		if err != nil {
			return fmt.Errorf("script: %w", err)
		}
		config.Script = string(script)
	}
	if config.Data, err = os.MkdirTemp("", "quadrat-demo-"); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() {
		if gone := os.RemoveAll(config.Data); err == nil && gone != nil {
			err = gone
		}
	}()
	if err := config.Validate(); err != nil {
		return &usageError{err.Error()}
	}
	out, ok := t.out.(*os.File)
	if c.Format == "json" {
		return demo.Run(ctx, config, demo.NewJSON(t.out))
	}
	return demo.Run(ctx, config, demo.NewTable(t.out, ok && isTerminal(out)))
}
