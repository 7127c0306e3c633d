package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// deadCmd is `quadrat dead`.
type deadCmd struct {
	List   deadListCmd   `cmd:"" help:"List what was refused, oldest first."`
	Show   deadShowCmd   `cmd:"" help:"Show one dead letter."`
	Replay deadReplayCmd `cmd:"" help:"Let dead letters in again, through the checks of the intake."`
	Purge  deadPurgeCmd  `cmd:"" help:"Forget dead letters."`
}

// Help shows an example.
func (*deadCmd) Help() string {
	return `Example:

    quadrat dead list --cause unknown-kappa
    quadrat dead replay --cause unknown-kappa

What could not be counted is kept with the reason: 30 days, 1 GiB and 65,536 letters of one cause at most, the oldest go
first. What reports said is never shown.`
}

// deadListCmd is `quadrat dead list`.
type deadListCmd struct {
	remote

	Cause string `help:"Only letters of this cause."`
	Limit uint32 `help:"Most letters; 0 leaves it to the server." default:"0"`
	After uint64 `help:"Begin behind this sequence." default:"0"`
}

// Help shows an example.
func (*deadListCmd) Help() string {
	return `Example:

    quadrat dead list --cause not-due --limit 20`
}

// Run lists dead letters.
func (c *deadListCmd) Run(ctx context.Context, t *terminal) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	reply, err := api.Dead(ctx, &quadratv1.ListDeadRequest{Cause: c.Cause, Limit: c.Limit, After: c.After})
	if err != nil {
		return err
	}
	if c.json() {
		return t.printJSON(reply)
	}
	err = t.table(func(w io.Writer) {
		fmt.Fprintln(w, "SEQ\tCAUSE\tWHEN\tKIND\tSUBJECT\tREPORTS\tREPLAY")
		for _, l := range reply.GetLetters() {
			reports := uint32(0)
			for _, g := range l.GetGroups() {
				reports += g.GetReports()
			}
			fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%q\t%d\t%s\n", l.GetSequence(), l.GetCause(), l.GetAt().AsTime().Format(time.RFC3339),
				l.GetKind(), l.GetSubject(), reports, fitness(l))
		}
	})
	if err != nil {
		return err
	}
	counts := make([]string, len(reply.GetCauses()))
	for i, n := range reply.GetCauses() {
		counts[i] = fmt.Sprintf("%s %d", n.GetCause(), n.GetLetters())
	}
	fmt.Fprintln(t.out, strings.TrimSuffix(fmt.Sprintf("%d kept, %d bytes: %s", reply.GetTotal(), reply.GetBytes(), strings.Join(counts, ", ")), ": "))
	if reply.GetNext() > 0 {
		fmt.Fprintf(t.out, "more with --after %d\n", reply.GetNext())
	}
	return nil
}

// fitness tells whether a letter can be replayed.
func fitness(l *quadratv1.DeadLetterView) string {
	if l.GetUnfit() != "" {
		return "no: " + l.GetUnfit()
	}
	return "yes"
}

// deadShowCmd is `quadrat dead show`.
type deadShowCmd struct {
	remote

	Seq uint64 `arg:"" help:"Sequence of the letter."`
}

// Help shows an example.
func (*deadShowCmd) Help() string { return "Example:\n\n    quadrat dead show 17 --format json" }

// Run shows a letter.
func (c *deadShowCmd) Run(ctx context.Context, t *terminal) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	l, err := api.DeadLetter(ctx, c.Seq)
	if err != nil {
		return err
	}
	if c.json() {
		return t.printJSON(l)
	}
	return t.table(func(w io.Writer) {
		fmt.Fprintf(w, "sequence\t%d\ncause\t%s\nwhen\t%s\nkind\t%s\nsubject\t%q\nbytes\t%d\n", l.GetSequence(), l.GetCause(),
			l.GetAt().AsTime().Format(time.RFC3339Nano), l.GetKind(), l.GetSubject(), l.GetBytes())
		if l.GetReportSequence() > 0 {
			fmt.Fprintf(w, "in REPORTS\t%d\n", l.GetReportSequence())
		}
		for _, g := range l.GetGroups() {
			fmt.Fprintf(w, "reports\t%d of kappa %q, revision %d, window %d: %s\n", g.GetReports(), g.GetKappa(), g.GetRevision(),
				g.GetWindow(), strings.Join(g.GetDevices(), " "))
		}
		fmt.Fprintf(w, "replay\t%s\n", fitness(l))
	})
}

// deadReplayCmd is `quadrat dead replay`.
type deadReplayCmd struct {
	remote

	Seq   []uint64 `arg:"" optional:"" help:"Sequences of letters."`
	Cause string   `help:"All letters of this cause."`
	All   bool     `help:"All letters."`
}

// Help shows an example.
func (*deadReplayCmd) Help() string {
	return `Example:

    quadrat dead replay 17 18
    quadrat dead replay --cause unknown-kappa

A letter that was let in is a dead letter no more; one that is refused again becomes a new one. A report that was counted
already is not counted again. It exits with 1 when letters had to stay.`
}

// Run replays letters.
func (c *deadReplayCmd) Run(ctx context.Context, t *terminal) error {
	ways := 0
	for _, given := range []bool{len(c.Seq) > 0, c.Cause != "", c.All} {
		if given {
			ways++
		}
	}
	if ways != 1 {
		return &usageError{"dead replay: give sequences, --cause or --all"}
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	reply, err := api.ReplayDead(ctx, &quadratv1.ReplayDeadRequest{Sequences: c.Seq, Cause: c.Cause})
	if err != nil {
		return err
	}
	if c.json() {
		if err := t.printJSON(reply); err != nil {
			return err
		}
	} else {
		none := ""
		if c.Cause != "" && reply.GetReplayed() == 0 && reply.GetKeptTotal() == 0 {
			none = fmt.Sprintf(": no letter of the cause %q is kept", c.Cause)
		}
		fmt.Fprintf(t.out, "%d replayed%s\n", reply.GetReplayed(), none)
		for _, k := range reply.GetKept() {
			fmt.Fprintf(t.out, "%d stays: %s\n", k.GetSequence(), k.GetReason())
		}
	}
	if reply.GetKeptTotal() > 0 {
		return fmt.Errorf("dead replay: %d letters stay", reply.GetKeptTotal())
	}
	return nil
}

// deadPurgeCmd is `quadrat dead purge`.
type deadPurgeCmd struct {
	remote

	Cause string `help:"Letters of this cause."`
	Until uint64 `help:"Only letters up to this sequence; 0 for no bound." default:"0"`
	All   bool   `help:"Letters of all causes."`
}

// Help shows an example.
func (*deadPurgeCmd) Help() string {
	return `Example:

    quadrat dead purge --cause malformed --until 17`
}

// Run forgets letters.
func (c *deadPurgeCmd) Run(ctx context.Context, t *terminal) error {
	if c.All == (c.Cause != "") {
		return &usageError{"dead purge: give --cause or --all"}
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	purged, err := api.PurgeDead(ctx, &quadratv1.PurgeDeadRequest{Cause: c.Cause, Until: c.Until})
	if err != nil {
		return err
	}
	if c.json() {
		return t.printJSON(&quadratv1.PurgeDeadResponse{Purged: purged})
	}
	_, err = fmt.Fprintf(t.out, "%d purged\n", purged)
	return err
}
