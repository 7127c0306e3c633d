//go:build !unix

package bench

import "time"

var began = time.Now()

// processor is the time since the program began: without a clock of the process the machine must be idle.
func processor() time.Duration { return time.Since(began) }
