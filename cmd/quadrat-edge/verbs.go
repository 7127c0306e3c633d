package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
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
has to say when the server is back. With role: gateway it hears the sensors of the local network and releases sums over units.

Example:
  quadrat-edge run --config /etc/quadrat/edge.yaml`

func (v *verb) run(ctx context.Context, args []string) int {
	c, code, done := v.parse(v.flags("run", runHelp, false), args)
	if done {
		return code
	}
	log := slog.New(slog.NewTextHandler(v.stderr, nil))
	d, err := open(parts(c, log))
	if err != nil {
		return v.explain(err)
	}
	log.Info("collecting", "role", c.Role, "device", c.Device, "software", software())
	if err := d.Run(ctx); err != nil {
		return v.fail(exitFailed, err)
	}
	log.Info("stopped")
	return exitOK
}

// runner is a process that runs until it is stopped.
type runner interface {
	Run(ctx context.Context) error
}

// parts joins a configuration with this machine.
func parts(c collector.Config, log *slog.Logger) collector.Parts {
	return collector.Parts{
		Config: c, Software: software(), Data: disk.OS(c.Data), Witness: witness(c), Root: os.DirFS("/"), Clock: clock.Real{},
		Random: rand.Reader, Log: log,
	}
}

// witness is the folder of the ledger's second anchor, nil for none.
func witness(c collector.Config) disk.Folder {
	if c.Witness == "" {
		return nil
	}
	return disk.OS(c.Witness)
}

// explain fails with what the owner can do about it.
func (v *verb) explain(err error) int {
	code := v.fail(exitFailed, err)
	if advice := collector.Explain(err); advice != "" {
		_, _ = fmt.Fprintln(v.stderr, advice)
	}
	return code
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
sends nothing. Readings are shown only with --show-readings, on this screen. Of a running gateway it asks which sensors were heard,
never what they sent.

Example:
  quadrat-edge check --config edge.yaml --show-readings`

func (v *verb) check(ctx context.Context, args []string) int {
	set := v.flags("check", checkHelp, true)
	show := set.Bool("show-readings", false, "print each sensor's reading")
	c, code, done := v.parse(set, args)
	if done {
		return code
	}
	findings := tryOut(ctx, collector.Checks{
		Config: c, Data: disk.OS(c.Data), Witness: witness(c), Root: os.DirFS("/"), Clock: clock.Real{}, ShowReadings: *show,
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

const ledgerHelp = `quadrat-edge ledger shows what this device, or each unit behind this gateway, has given away about itself, for which kappa, what it may still give, and when
its allowance renews. It may run beside the collector. It fails when the ledger is missing, damaged, or that of another
device or board, and says what to do about it; until then the device is silent.

With --adopt it binds the ledger to this board first, after the old one was replaced. Say so only when the old one no longer runs.

Example:
  quadrat-edge ledger --config edge.yaml --format json`

func (v *verb) ledger(args []string) int {
	set := v.flags("ledger", ledgerHelp, true)
	adopt := set.Bool("adopt", false, "bind the ledger to this board, in place of the one that it was made on")
	c, code, done := v.parse(set, args)
	if done {
		return code
	}
	p := parts(c, nil)
	if *adopt {
		if err := collector.Adopt(p); err != nil {
			return v.explain(err)
		}
	}
	a, err := collector.ReadAccount(p, p.Clock.Now())
	if err != nil {
		return v.explain(err)
	}
	if v.format == "json" {
		return v.json(a)
	}
	if err := a.Print(v.stdout); err != nil {
		return v.fail(exitFailed, err)
	}
	return exitOK
}
