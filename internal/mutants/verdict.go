package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// verdict is what the test runs with a mutant come to.
type verdict struct {
	why      string        // it is not killed; "" when it is
	attempts int           // test runs that it took
	used     time.Duration // processor time of all of them
}

// line is how a verdict is printed.
func (v verdict) line(m mutant) string {
	switch {
	case v.why != "":
		return fmt.Sprintf("SURVIVES  %-12s  %s\n          %s: %s", m.layer, m.name, m.file, v.why)
	case v.attempts > 1:
		return fmt.Sprintf("killed    %-12s  %s (attempt %d, %.1f s of a processor)", m.layer, m.name, v.attempts, v.used.Seconds())
	}
	return fmt.Sprintf("killed    %-12s  %s (%.1f s of a processor)", m.layer, m.name, v.used.Seconds())
}

// judge says why a mutant is not killed by a test run, "" when it is, and whether other cases might kill it.
func judge(out string, err error, m mutant) (why string, again bool) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return fmt.Sprintf("%s -run %s passes", m.pkg, m.test), true
	case !errors.As(err, &exit):
		return err.Error(), false
	case strings.Contains(out, "test timed out"), !strings.Contains(out, "--- FAIL: "):
		return "no assertion fails:\n" + out, false
	}
	return "", false
}

// until tries a mutant until it is killed, or its attempts are spent, or no other attempt can tell.
func until(try func(attempt int) (why string, again bool)) verdict {
	for attempt := 1; ; attempt++ {
		why, again := try(attempt)
		if why == "" || !again || attempt == attempts {
			return verdict{why: why, attempts: attempt}
		}
	}
}
