// Command quadrat is the server and its command line in one binary: `quadrat serve` runs a server, the other verbs call
// one over its REST API. Flags, environment and files are read here and nowhere else; what the verbs do is in the
// packages. It exits with 0 when done, 1 when something failed, 2 when it was called wrongly.
//
//	quadrat serve --data ./data
//	quadrat put question.sql
//	quadrat watch indoor
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/quadrat-dev/quadrat/query/client"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// cli is the command line. A verb is a struct with flags, a Help that holds an example, and a Run that takes a context
// and a terminal.
type cli struct {
	Version kong.VersionFlag `help:"Print the version and end."`
	Config  string           `help:"File with defaults; a missing quadrat.yaml is no fault." default:"quadrat.yaml" env:"QUADRAT_CONFIG" type:"path"`

	Demo     demoCmd     `cmd:"" help:"Show the whole way in one process, on real readings."`
	Simulate simulateCmd `cmd:"" help:"Let simulated devices join a server."`
	Serve    serveCmd    `cmd:"" help:"Run a server."`
	Put      putCmd      `cmd:"" help:"Deploy a script."`
	List     listCmd     `cmd:"" help:"List what is deployed."`
	Get      getCmd      `cmd:"" help:"Show a kappa's results."`
	Watch    watchCmd    `cmd:"" help:"Follow a kappa's results."`
	Explain  explainCmd  `cmd:"" help:"Plan a script and deploy nothing."`
	Query    queryCmd    `cmd:"" help:"Ask about stored reports."`
	Update   updateCmd   `cmd:"" help:"Pause or resume a kappa, or give it other parameters."`
	Delete   deleteCmd   `cmd:"" help:"Stop and delete a kappa."`
	Devices  devicesCmd  `cmd:"" help:"List the fleet."`
	Dead     deadCmd     `cmd:"" help:"See what was refused, and let it in again."`
	Export   exportCmd   `cmd:"" help:"Write stored reports, results or strata to files."`
	Bench    benchCmd    `cmd:"" help:"Measure this machine against the goals."`
	Privacy  privacyCmd  `cmd:"" help:"Audit the mechanisms."`
	Estimate estimateCmd `cmd:"" help:"Estimate from a file of rows, with the errors of its design."`
}

// terminal is where a verb reads and writes.
type terminal struct {
	in          io.Reader
	out, errs   io.Writer
	interactive bool // errs is a terminal, where a progress bar makes sense
	redraws     bool // out is a terminal, where lines can be drawn anew
}

// usageError is a fault of the call that only a verb can see; it exits with 2.
type usageError struct{ message string }

func (e *usageError) Error() string { return e.message }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], &terminal{in: os.Stdin, out: os.Stdout, errs: os.Stderr, interactive: isTerminal(os.Stderr), redraws: isTerminal(os.Stdout)})
	stop()
	os.Exit(code)
}

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

// version is that of the module, or of the commit that it was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "quadrat (unknown version)"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return "quadrat " + info.Main.Version + " " + setting.Value
		}
	}
	return "quadrat " + info.Main.Version
}

// exited is what kong panics with where it would end the process.
type exited int

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, t *terminal) (code int) {
	defer func() {
		if p := recover(); p != nil {
			e, ok := p.(exited)
			if !ok {
				panic(p)
			}
			code = int(e)
		}
	}()
	parser, err := kong.New(&cli{},
		kong.Name("quadrat"),
		kong.Description("Ask questions of a fleet of sensors, without learning what any one sensor saw."),
		kong.Writers(t.out, t.errs),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 120}),
		kong.Vars{"version": version()},
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(t),
	)
	if err != nil {
		fmt.Fprintln(t.errs, "quadrat:", err)
		return exitFailed
	}
	parsed, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(t.errs, "quadrat: %v\nTry quadrat --help.\n", err)
		return exitUsage
	}
	return t.report(parsed.Run())
}

// report tells what went wrong and gives the exit code.
func (t *terminal) report(err error) int {
	var wrong *usageError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &wrong):
		fmt.Fprintf(t.errs, "quadrat: %v\nTry quadrat --help.\n", err)
		return exitUsage
	}
	var refused *client.Error
	if errors.As(err, &refused) && refused.Infeasible != nil {
		t.infeasible(refused)
		return exitFailed
	}
	fmt.Fprintln(t.errs, "quadrat:", err)
	return exitFailed
}

// infeasible tells what can't be reached, and what can.
func (t *terminal) infeasible(e *client.Error) {
	fmt.Fprintln(t.errs, "quadrat:", e.Infeasible.GetReason())
	if e.Infeasible.GetBestMargin() > 0 {
		fmt.Fprintf(t.errs, "best margin: %.4g with %d devices in a window\n", e.Infeasible.GetBestMargin(), e.Infeasible.GetBestPanel())
	}
	for _, option := range e.Infeasible.GetOptions() {
		fmt.Fprintln(t.errs, "what would help:", option)
	}
}
