//go:build unix

package bench

import (
	"syscall"
	"time"
)

// processor is the processor time that this process has taken, in user and system mode; what else the machine does is not
// in it.
func processor() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
