package bench

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/quadrat-dev/quadrat/engine"
	"github.com/quadrat-dev/quadrat/storage"
)

const (
	recoveryShort = 1 // windows of history
	recoveryLong  = 3
	recoveryGoal  = 2 // times
)

// recoveryRows measures how long a new engine takes to be where the old one was killed: a checkpoint, and one window of
// a million reports behind it. The reference has a third of the history before the checkpoint.
func recoveryRows(ctx context.Context, config Config) ([]Row, error) {
	long, err := recover1(ctx, config, recoveryLong)
	if err != nil {
		return nil, err
	}
	short, err := recover1(ctx, config, recoveryShort)
	if err != nil {
		return nil, err
	}
	return []Row{{
		Name: "recovery", Goal: "≤ 2 × with three times the history: bounded by the checkpoint's age", Figure: long, Unit: "s",
		Reference: "a third of the history", ReferenceFigure: short, Met: long <= recoveryGoal*short,
		Note: fmt.Sprintf("%d reports behind the checkpoint, %d before it", streamDevices, recoveryLong*streamDevices),
	}}, nil
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
	t := task{config: config, devices: devices, folder: folder, now: recoveryLong, open: open}
	if _, err := drive(ctx, b, t); err != nil {
		return 0, err
	}
	if err := fill(ctx, b, devices, feedWindow+int64(windows), 1); err != nil {
		return 0, err
	}
	took, err := drive(ctx, b, t)
	return took.whole.Seconds(), err
}
