package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// answer is a mean with its standard error.
type answer struct{ value, se float64 }

// spent is what one run cost.
type spent struct{ wall, cpu time.Duration }

// contestant is something that is measured.
type contestant struct {
	name string
	run  func() (answer, spent, error)
}

// timing is what the runs of one contestant cost, in seconds.
type timing struct {
	Rows         int `json:",omitempty"` // of the slice, when it isn't the whole table
	Best, Median float64
	MedianCPU    float64
}

func (t timing) rows(whole int) int {
	if t.Rows > 0 {
		return t.Rows
	}
	return whole
}

func (t timing) perRow(whole int) float64 { return t.Median / float64(t.rows(whole)) }

// takeTurns runs each contestant once unmeasured, and then in turns.
func takeTurns(contestants []contestant, runs int) (map[string]timing, map[string]answer, error) {
	costs, answers := map[string][]spent{}, map[string]answer{}
	for turn := range runs + 1 {
		for _, c := range contestants {
			a, s, err := c.run()
			if err != nil {
				return nil, nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if answers[c.name] = a; turn > 0 {
				costs[c.name] = append(costs[c.name], s)
			}
		}
	}
	timings := map[string]timing{}
	for name, list := range costs {
		timings[name] = summarised(list)
	}
	return timings, answers, nil
}

// repeated runs a contestant so many times.
func repeated(c contestant, runs int) ([]spent, error) {
	var list []spent
	for range runs {
		_, s, err := c.run()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.name, err)
		}
		list = append(list, s)
	}
	return list, nil
}

func summarised(list []spent) timing {
	var walls, cpus []float64
	for _, s := range list {
		walls, cpus = append(walls, s.wall.Seconds()), append(cpus, s.cpu.Seconds())
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	return timing{Best: walls[0], Median: walls[len(walls)/2], MedianCPU: cpus[len(cpus)/2]}
}

// runQuadrat runs the program from its start to its end.
func runQuadrat(ctx context.Context, c config, table string) (answer, spent, error) {
	cmd := exec.CommandContext(ctx, c.quadrat, "estimate", "--data", table, "--stratum", "stratum", "--weight", "weight", "--fpc", "fpc",
		"--stat", "mean(x)", "--format", "json")
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(c.threads))
	cmd.Stderr = os.Stderr
	start := time.Now()
	out, err := cmd.Output()
	wall := time.Since(start)
	if err != nil {
		return answer{}, spent{}, err
	}
	var results []struct {
		Value    float64 `json:"value"`
		StdError float64 `json:"std_error"`
	}
	if err := json.Unmarshal(out, &results); err != nil || len(results) != 1 {
		return answer{}, spent{}, fmt.Errorf("it says %s: %w", out, err)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return answer{results[0].Value, results[0].StdError}, spent{wall, cpu}, nil
}

// ownCPU is what this process has spent so far.
func ownCPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
