// Command reports times how long one randomised report takes in each mechanism, beside the Laplace noise of
// google/differential-privacy, in one process and in turns, and prints JSON: microseconds and allocations a report, how many times
// as long Google's takes, and whether the goals are met. It ends with 1 if one is missed.
//
// Time is that of the thread on its processor, so that other programs take no part but by the caches that they share, and the
// figure is the median of the turns.
//
//	cd bench && go run ./reports                  # all of them
//	cd bench && go run ./reports -run 'k = 1024'  # those with such a name
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	turns   = 41
	reports = 4_000 // of each mechanism in a turn
)

// The goals of a report.
const (
	microsecondsMost = 1
	ratioLeast       = 10
)

// contestant makes reports one after the other.
type contestant struct {
	name   string
	report func(i int) error
	took   []time.Duration
}

// row is what is printed of a mechanism.
type row struct {
	Mechanism    string  `json:"mechanism"`
	Microseconds float64 `json:"microseconds"`
	Allocations  float64 `json:"allocations"`
	Ratio        float64 `json:"laplace_over_this"`
	Met          bool    `json:"met"`
}

// result is what is printed.
type result struct {
	Goals     goals `json:"goals"`
	Reference row   `json:"reference"`
	Rows      []row `json:"mechanisms"`
	Met       bool  `json:"met"`
}

type goals struct {
	Microseconds float64 `json:"microseconds_at_most"`
	Allocations  float64 `json:"allocations_at_most"`
	Ratio        float64 `json:"laplace_over_this_at_least"`
}

var errMissed = errors.New("a goal is missed")

func main() {
	pattern := flag.String("run", "", "time only mechanisms whose name matches this expression")
	flag.Parse()
	if err := run(*pattern); err != nil {
		fmt.Fprintln(os.Stderr, "reports:", err)
		os.Exit(1)
	}
}

func run(pattern string) error {
	wanted, err := regexp.Compile(pattern)
	if err != nil {
		return err
	}
	all, err := contestants()
	if err != nil {
		return err
	}
	others := slices.DeleteFunc(all[1:], func(c contestant) bool { return !wanted.MatchString(c.name) })
	all = append(all[:1], others...)
	runtime.LockOSThread()
	for range turns {
		for i := range all {
			if err := all[i].turn(); err != nil {
				return fmt.Errorf("%s: %w", all[i].name, err)
			}
		}
	}
	r := judge(all)
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	if err := out.Encode(r); err != nil {
		return err
	}
	if !r.Met {
		return errMissed
	}
	return nil
}

// turn makes the reports of one turn.
func (c *contestant) turn() error {
	began, err := processor()
	if err != nil {
		return err
	}
	for n := range reports {
		if err := c.report(n); err != nil {
			return err
		}
	}
	ended, err := processor()
	c.took = append(c.took, ended-began)
	return err
}

// processor is how long this thread has run.
func processor() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}

// judge compares with the first contestant, which has no goals.
func judge(all []contestant) result {
	r := result{
		Goals: goals{Microseconds: microsecondsMost, Ratio: ratioLeast}, Reference: all[0].row(), Met: true,
	}
	r.Reference.Ratio, r.Reference.Met = 1, true
	for i := range all[1:] {
		line := all[i+1].row()
		line.Ratio = r.Reference.Microseconds / line.Microseconds
		line.Met = line.Microseconds <= microsecondsMost && line.Allocations == 0 && line.Ratio >= ratioLeast
		r.Met = r.Met && line.Met
		r.Rows = append(r.Rows, line)
	}
	return r
}

func (c *contestant) row() row {
	slices.Sort(c.took)
	n := 0
	return row{
		Mechanism: c.name, Microseconds: float64(c.took[len(c.took)/2].Nanoseconds()) / reports / 1000,
		// The report has worked for every turn before.
		Allocations: testing.AllocsPerRun(reports, func() { _ = c.report(n); n++ }),
	}
}
