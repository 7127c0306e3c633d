package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"text/tabwriter"

	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/edge/disk"
	"github.com/quadrat-dev/quadrat/internal/clock"
)

// verb is one run of the program.
type verb struct {
	stdout, stderr io.Writer
	config         string
	format         string
	help           func()
}

// flags makes the flags of a verb; help is its explanation with an example.
func (v *verb) flags(name, help string, formats bool) *flag.FlagSet {
	set := flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.StringVar(&v.config, "config", "edge.yaml", "the device's configuration")
	if formats {
		set.StringVar(&v.format, "format", "table", "table or json")
	}
	set.Usage = func() {}
	v.help = func() {
		_, _ = fmt.Fprintf(v.stdout, "%s\n\nFlags:\n", help)
		set.SetOutput(v.stdout)
		set.PrintDefaults()
	}
	return set
}

// parse reads flags and configuration; done says that the verb ends here, with the code.
func (v *verb) parse(set *flag.FlagSet, args []string) (c collector.Config, code int, done bool) {
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		v.help()
		return c, exitOK, true
	case err != nil:
		return c, v.fail(exitUsage, err), true
	case set.NArg() > 0:
		return c, v.fail(exitUsage, fmt.Errorf("unexpected argument %q", set.Arg(0))), true
	case v.format != "" && v.format != "table" && v.format != "json":
		return c, v.fail(exitUsage, errors.New("--format must be table or json")), true
	}
	content, err := os.ReadFile(v.config)
	if err != nil {
		return c, v.fail(exitFailed, err), true
	}
	folder, err := filepath.Abs(filepath.Dir(v.config))
	if err != nil {
		return c, v.fail(exitFailed, err), true
	}
	c, err = collector.Parse(content, folder)
	if err != nil {
		return c, v.fail(exitFailed, fmt.Errorf("%s is not usable:\n%w", v.config, err)), true
	}
	return c, exitOK, false
}

func (v *verb) fail(code int, err error) int {
	_, _ = fmt.Fprintf(v.stderr, "quadrat-edge: %v\n", err)
	return code
}

func (v *verb) json(value any) int {
	encoder := json.NewEncoder(v.stdout)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		return v.fail(exitFailed, err)
	}
	return exitOK
}

const runHelp = `quadrat-edge run collects and reports until it is stopped. Without a server it goes on collecting, and sends what it
has to say when the server is back.

Example:
  quadrat-edge run --config /etc/quadrat/edge.yaml`

func (v *verb) run(ctx context.Context, args []string) int {
	c, code, done := v.parse(v.flags("run", runHelp, false), args)
	if done {
		return code
	}
	log := slog.New(slog.NewTextHandler(v.stderr, nil))
	d, err := collector.Open(collector.Parts{
		Config: c, Software: software(), Data: disk.OS(c.Data), Root: os.DirFS("/"), Clock: clock.Real{},
		Random: rand.Reader, Log: log,
	})
	if err != nil {
		return v.fail(exitFailed, err)
	}
	log.Info("collecting", "device", c.Device, "software", software())
	if err := d.Run(ctx); err != nil {
		return v.fail(exitFailed, err)
	}
	log.Info("stopped")
	return exitOK
}

// software names the program with the version that it was built from.
func software() string {
	version := "devel"
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		version = info.Main.Version
	}
	return "quadrat-edge " + version
}

const checkHelp = `quadrat-edge check reads the configuration, every sensor once, the ledger, and tries the server. It changes nothing and
sends nothing. Readings are shown only with --show-readings, on this screen.

Example:
  quadrat-edge check --config edge.yaml --show-readings`

func (v *verb) check(ctx context.Context, args []string) int {
	set := v.flags("check", checkHelp, true)
	show := set.Bool("show-readings", false, "print each sensor's reading")
	c, code, done := v.parse(set, args)
	if done {
		return code
	}
	findings := collector.Check(ctx, collector.Checks{
		Config: c, Data: disk.OS(c.Data), Root: os.DirFS("/"), Clock: clock.Real{}, ShowReadings: *show,
	})
	code = exitOK
	for _, f := range findings {
		if !f.OK {
			code = exitFailed
		}
	}
	if v.format == "json" {
		return max(code, v.json(findings))
	}
	table := tabwriter.NewWriter(v.stdout, 0, 0, 2, ' ', 0)
	for _, f := range findings {
		mark := "ok"
		if !f.OK {
			mark = "FAILED"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s", mark, f.Subject, f.Text)
		if f.Reading != "" {
			_, _ = fmt.Fprintf(table, "; now %s", f.Reading)
		}
		_, _ = fmt.Fprintln(table)
	}
	if err := table.Flush(); err != nil {
		return v.fail(exitFailed, err)
	}
	return code
}

const ledgerHelp = `quadrat-edge ledger shows what this device has given away about itself, for which kappa, what it may still give, and when
its allowance renews. It may run beside the collector.

Example:
  quadrat-edge ledger --config edge.yaml --format json`

func (v *verb) ledger(args []string) int {
	c, code, done := v.parse(v.flags("ledger", ledgerHelp, true), args)
	if done {
		return code
	}
	a, err := collector.ReadAccount(c, disk.OS(c.Data), clock.Real{}.Now())
	if errors.Is(err, fs.ErrNotExist) {
		return v.fail(exitFailed, errors.New("there is no ledger yet: the collector never ran with this data folder"))
	}
	if err != nil {
		return v.fail(exitFailed, err)
	}
	if v.format == "json" {
		return v.json(a)
	}
	if err := a.Print(v.stdout); err != nil {
		return v.fail(exitFailed, err)
	}
	return exitOK
}
