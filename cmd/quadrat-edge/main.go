// Command quadrat-edge is the collector for Linux boards: it reads sensors, and answers a server's questions with
// randomised reports within the limits that its owner set in edge.yaml. As a gateway it hears the sensors of a household or a
// building and answers with noisy sums over the units behind it.
//
//	quadrat-edge run --config edge.yaml
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// The exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `quadrat-edge answers a server's questions with randomised reports of this board's sensors.

  quadrat-edge run     collect and report until stopped
  quadrat-edge check   try the configuration, the sensors and the server
  quadrat-edge ledger  show what was given and what is left

Every verb takes --config FILE (default edge.yaml) and explains itself with --help.
Exit codes: 0 ok, 1 failed, 2 usage.
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// execute runs one verb and returns the exit code.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		_, _ = fmt.Fprint(stderr, usage)
		return exitUsage
	}
	v := verb{stdout: stdout, stderr: stderr}
	switch args[0] {
	case "run":
		return v.run(ctx, args[1:])
	case "check":
		return v.check(ctx, args[1:])
	case "ledger":
		return v.ledger(args[1:])
	case "help", "--help", "-h":
		_, _ = fmt.Fprint(stdout, usage)
		return exitOK
	}
	_, _ = fmt.Fprintf(stderr, "quadrat-edge: no verb %q\n\n%s", args[0], usage)
	return exitUsage
}
