package bench

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/storage"
)

const recoveryGoal = 2 // times

// histories are the windows before the checkpoint that recovery is measured with.
func (c Config) histories() []int {
	out := []int{1, 3}
	if c.Full {
		out = append(out, 10)
	}
	return out
}

// recoveryRows measures how long a new engine takes to be where the old one was killed: a checkpoint, and one window of
// a million reports behind it. The reference has the shortest history before the checkpoint.
func recoveryRows(ctx context.Context, config Config) ([]Row, error) {
	var out []Row
	shortest := 0.0
	for i, windows := range config.histories() {
		took, err := recover1(ctx, config, windows)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			shortest = took
		}
		out = append(out, Row{
			Name: "recovery, " + tens(windows*streamDevices) + " reports before", Goal: "≤ 2 × with the shortest history: bounded by the checkpoint's age",
			Figure: took, Unit: "s", Reference: tens(streamDevices) + " reports before the checkpoint", ReferenceFigure: shortest,
			Note: tens(streamDevices) + " reports behind the checkpoint",
		}.atMost(recoveryGoal*shortest).on(curveRecovery, windows*streamDevices))
	}
	return out, nil
}

// recover1 counts some windows, stops, lets one more window's reports arrive, and measures how long the next engine takes
// for them, from opening its store to a durable checkpoint.
func recover1(ctx context.Context, config Config, windows int) (seconds float64, err error) {
	name := fmt.Sprintf("recovery-%d", windows)
	b, err := openBroker(ctx, config, name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = b.Close() }()
	devices, folder := newRows(streamDevices), filepath.Join(config.Dir, name+"-engine")
	open := func(folder string) (engine.Sink, error) {
		return storage.Open(filepath.Join(folder, "store"), storage.Config{})
	}
	if err := fill(ctx, b, devices, feedWindow, windows); err != nil {
		return 0, err
	}
	t := task{config: config, devices: devices, folder: folder, now: int64(windows), open: open}
	if _, err := drive(ctx, b, t); err != nil {
		return 0, err
	}
	if err := fill(ctx, b, devices, feedWindow+int64(windows), 1); err != nil {
		return 0, err
	}
	took, err := drive(ctx, b, t)
	return took.whole.Seconds(), err
}
