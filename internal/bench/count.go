package bench

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/engine"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

const (
	countDevices    = 1_000_000
	countPerMessage = 4096
	countGoal       = 25e6
)

// countRows measures REPORTS bytes to window state on one core: decode, count each device once, update. The reference
// reads the same bytes with the generated code and counts with a map and three sums.
func countRows(ctx context.Context, config Config) ([]Row, error) {
	devices := newRows(countDevices)
	bodies, _, err := devices.messages(feedWindow, countPerMessage)
	if err != nil {
		return nil, err
	}
	figure, reference, err := turns(
		func() (float64, error) { return countOurs(ctx, config.Turn, devices, bodies) },
		func() (float64, error) { return countPlain(ctx, config.Turn, bodies) })
	if err != nil {
		return nil, err
	}
	return []Row{Row{
		Name: "count", Goal: "≥ 25 M reports/s on one core", Figure: figure, Unit: "reports/s",
		Reference: "generated protobuf code, a map of devices, and sums", ReferenceFigure: reference,
		Note: fmt.Sprintf("by processor time; %d devices in %d strata and %d cells, %d reports a message", countDevices, feedStrata, feedCells, countPerMessage),
	}.atLeast(countGoal)}, nil
}

// countOurs counts all messages over and over, each time into a new window, and gives reports a second.
func countOurs(ctx context.Context, turn time.Duration, devices rows, bodies [][]byte) (float64, error) {
	replay, err := engine.NewReplay(feedRecord(), devices)
	if err != nil {
		return 0, err
	}
	pass := func() (int, error) {
		replay.Forget()
		sum := 0
		for _, b := range bodies {
			counted, err := replay.Take(b)
			if err != nil {
				return 0, err
			}
			sum += counted
		}
		if sum != len(devices) {
			return 0, fmt.Errorf("%d counted of %d", sum, len(devices))
		}
		return sum, nil
	}
	if _, err := pass(); err != nil { // compiles the frame
		return 0, err
	}
	return rate(ctx, turn, pass)
}

// rate repeats a pass for at least a turn and gives how much it did in a second of processor time.
func rate(ctx context.Context, turn time.Duration, pass func() (int, error)) (float64, error) {
	done := 0
	began := processor()
	for processor()-began < turn || done == 0 {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		n, err := pass()
		if err != nil {
			return 0, err
		}
		done += n
	}
	return float64(done) / (processor() - began).Seconds(), nil
}

func countPlain(ctx context.Context, turn time.Duration, bodies [][]byte) (float64, error) {
	return rate(ctx, turn, func() (int, error) {
		heard := make(map[uint64]bool, countDevices)
		var n int
		var sum, squares float64
		for _, b := range bodies {
			batch := &quadratv1.StoredBatch{}
			if err := proto.Unmarshal(b, batch); err != nil {
				return 0, err
			}
			for _, g := range batch.GetGroups() {
				for i, d := range g.GetDevice() {
					if heard[d] {
						continue
					}
					heard[d] = true
					x := float64(g.GetValue()[i])
					n, sum, squares = n+1, sum+x, squares+x*x
				}
			}
		}
		if squares < sum {
			return 0, fmt.Errorf("%d reports of no size", n)
		}
		return n, nil
	})
}
