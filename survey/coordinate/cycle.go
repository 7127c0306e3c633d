package coordinate

import (
	"fmt"

	"github.com/quadrat-dev/quadrat/survey"
)

// Cycle is a row of samples of fixed size from one frame: window t holds the Size units from rank t·Step on, round the
// circle. Each is a simple random sample, and neighbours have exactly Size − Step units in common. Step 0 is a fixed panel.
type Cycle struct {
	Population int // N
	Size       int // n, from 1 to N
	Step       int // ranks from one window to the next, from 0 to N
}

// NewCycle returns the cycle whose neighbouring windows share exactly overlap units, 0 ≤ overlap ≤ n. When 2n − overlap
// exceeds N the samples must meet behind the circle as well, and the overlap that was asked for is Infeasible; Best says
// the least that can be had.
func NewCycle(population, n, overlap int) (Cycle, error) {
	if n < 1 || n > population || overlap < 0 || overlap > n {
		return Cycle{}, invalid("want 1 ≤ n ≤ N and 0 ≤ overlap ≤ n, not %d, %d and %d", n, population, overlap)
	}
	if n < population && 2*n-overlap > population {
		return Cycle{}, &survey.Error{
			Code: survey.Infeasible, Best: float64(2*n - population),
			Detail: fmt.Sprintf("coordination: two samples of %d from %d units share more than %d", n, population, overlap),
		}
	}
	if n == population && overlap < n {
		return Cycle{}, &survey.Error{Code: survey.Infeasible, Best: float64(n), Detail: "coordination: a census meets itself"}
	}
	return Cycle{Population: population, Size: n, Step: n - overlap}, nil
}

// turn returns how far the window that lies lag windows on has moved round the circle, in ranks from 0 to N−1.
func (c Cycle) turn(lag int64) int64 {
	n := int64(c.Population)
	return (lag%n*int64(c.Step)%n + n) % n
}

// Overlap returns how many units windows lag apart have in common.
func (c Cycle) Overlap(lag int64) int {
	moved := int(c.turn(lag))
	return max(0, c.Size-moved) + max(0, c.Size-(c.Population-moved))
}

// Window returns the units of window t of the frame, which must have the cycle's population.
func (c Cycle) Window(f Frame, t int64) ([]int, error) {
	if len(f.units) != c.Population || c.Size < 1 || c.Size > c.Population {
		return nil, invalid("a cycle of %d from %d units on a frame of %d", c.Size, c.Population, len(f.units))
	}
	return f.from(int(c.turn(t)), c.Size), nil
}

// WakesMost returns the most windows of so many in a row that can ask one unit: the windows pass a unit at most
// ⌊((T−1)s + n − 1)/N⌋ + 1 times, for at most ⌈n/s⌉ windows each.
func (c Cycle) WakesMost(windows int64) int64 {
	if windows < 1 || c.Population < 1 {
		return 0
	}
	if c.Step == 0 {
		return windows
	}
	step, size, population := int64(c.Step), int64(c.Size), int64(c.Population)
	passes := ((windows-1)*step+size-1)/population + 1
	return min(windows, passes*((size+step-1)/step))
}
