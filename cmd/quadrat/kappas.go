package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/quadrat-dev/quadrat/internal/demo"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

// listCmd is `quadrat list`.
type listCmd struct{ remote }

// Help shows an example.
func (*listCmd) Help() string { return "Example:\n\n    quadrat list --format json" }

// Run lists the kappas.
func (c *listCmd) Run(ctx context.Context, t *terminal) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	kappas, err := api.List(ctx)
	if err != nil {
		return err
	}
	if c.json() {
		return t.printJSON(&quadratv1.ListKappasResponse{Kappas: kappas})
	}
	return t.table(func(w io.Writer) {
		fmt.Fprintln(w, "REF\tNAME\tSTATE\tREVISION\tDEPLOYED")
		for _, k := range kappas {
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\n", k.GetRef(), k.GetName(), k.GetState(), k.GetRevision(),
				k.GetCreated().AsTime().Format(time.RFC3339))
		}
	})
}

// span is which windows a verb asks for.
type span struct {
	Since time.Time `help:"Only windows that start at or after this moment." placeholder:"2026-11-20T10:00:00Z"`
	Until time.Time `help:"Only windows that start before this moment." placeholder:"2026-11-20T11:00:00Z"`
}

// getCmd is `quadrat get`.
type getCmd struct {
	remote
	span

	Ref   string `arg:"" help:"Reference or name of the kappa."`
	Limit uint32 `help:"Most results; 0 leaves it to the server." default:"0"`
}

// Help shows an example.
func (*getCmd) Help() string {
	return `Example:

    quadrat get indoor
    quadrat get k7f3q2 --since 2026-11-20T10:00:00Z --format json

Without --since, --until and --limit it shows the newest window.`
}

// Run prints results.
func (c *getCmd) Run(ctx context.Context, t *terminal) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	results, err := api.Results(ctx, c.Ref, client.Span{Since: c.Since, Until: c.Until, Limit: c.Limit})
	if err != nil {
		return err
	}
	if c.json() {
		return t.printJSON(&quadratv1.GetResultsResponse{Results: results})
	}
	return t.table(func(w io.Writer) {
		fmt.Fprintln(w, resultHeader)
		for _, r := range results {
			fmt.Fprintln(w, resultRow(r))
		}
		if len(results) > 0 {
			last := results[len(results)-1]
			fmt.Fprintln(w)
			printPrivacy(w, last.GetPrivacy(), "through "+last.GetWindowEnd().AsTime().Format(time.RFC3339))
		}
	})
}

const resultHeader = "WINDOW\tREV\tSTATISTIC\tCELL\tESTIMATE\tLOW\tHIGH\tREPORTS\tPANEL\tRESPONSE\tCHANGE"

// resultRow is a result as a line of the table.
func resultRow(r *quadratv1.Result) string {
	number := func(v *float64) string {
		if v == nil {
			return "-"
		}
		return fmt.Sprintf("%.5g", *v)
	}
	estimate := number(r.Value) //nolint:protogetter // an absent one is shown as such
	if share := r.GetBin(); r.Value == nil && share != nil && share.Consistent != nil {
		estimate = demo.ShapeMark + number(share.Consistent) //nolint:protogetter // it is there
	}
	change := "-"
	if c := r.GetChange(); c != nil {
		change = fmt.Sprintf("%+.5g ± %.3g", c.GetValue(), (c.GetCiHigh()-c.GetCiLow())/2)
	}
	return fmt.Sprintf("%s\t%d\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%s", r.GetWindowStart().AsTime().Format(time.RFC3339), r.GetRevision(),
		demo.StatisticName(r), cellName(r.GetCell()), estimate, number(r.CiLow), number(r.CiHigh), //nolint:protogetter // absent ones are shown as such
		r.GetReports(), r.GetPanel(), responseRate(r.GetResponseRate()), change)
}

// responseRate shows a share in three digits; 1 is said only when all have answered.
func responseRate(rate float64) string {
	const almost = 0.999
	if rate > almost && rate < 1 {
		rate = almost
	}
	return fmt.Sprintf("%.3g", rate)
}

// watchCmd is `quadrat watch`.
type watchCmd struct {
	remote

	Ref   string    `arg:"" help:"Reference or name of the kappa."`
	Since time.Time `help:"Begin with windows that start at or after this moment." placeholder:"2026-11-20T10:00:00Z"`
	Count int       `help:"End after this many results; 0 for never." default:"0"`
}

// Help shows an example.
func (*watchCmd) Help() string {
	return `Example:

    quadrat watch indoor
    quadrat watch indoor --count 10 --format json

It comes back by itself when the connection breaks, and ends when the kappa is deleted.`
}

// enoughError ends a watch.
type enoughError struct{}

func (enoughError) Error() string { return "enough" }

// Run prints results as they are made.
func (c *watchCmd) Run(ctx context.Context, t *terminal) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	seen := 0
	err = api.Watch(ctx, c.Ref, c.Since, func(r *quadratv1.Result) error {
		if err := c.show(t, r); err != nil {
			return err
		}
		if seen++; seen == c.Count {
			return enoughError{}
		}
		return nil
	})
	if ctx.Err() != nil || errors.Is(err, enoughError{}) {
		return nil //nolint:nilerr // to be interrupted, or to have seen enough, is how a watch ends
	}
	return err
}

func (c *watchCmd) show(t *terminal, r *quadratv1.Result) error {
	if c.json() {
		return t.printJSON(r)
	}
	return t.table(func(w io.Writer) { fmt.Fprintln(w, resultRow(r)) })
}

// updateCmd is `quadrat update`.
type updateCmd struct {
	remote

	Ref    string             `arg:"" help:"Reference or name of the kappa."`
	Pause  bool               `help:"Let nobody report any more." xor:"pause"`
	Resume bool               `help:"Go on after a pause." xor:"pause"`
	Param  map[string]float64 `help:"New value of a $parameter." placeholder:"NAME=NUMBER" mapsep:"none"`
}

// Help shows an example.
func (*updateCmd) Help() string {
	return `Example:

    quadrat update indoor --pause
    quadrat update indoor --param n=500

A change is in force from the next window on.`
}

// Run sends the change.
func (c *updateCmd) Run(ctx context.Context, t *terminal) error {
	if !c.Pause && !c.Resume && len(c.Param) == 0 {
		return &usageError{"update: --pause, --resume or --param is needed"}
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	request := &quadratv1.UpdateKappaRequest{Ref: c.Ref, Params: c.Param}
	if c.Pause || c.Resume {
		request.Paused = &c.Pause
	}
	reply, err := api.Update(ctx, request)
	if err != nil {
		return err
	}
	if c.json() {
		return t.printJSON(reply)
	}
	fmt.Fprintf(t.out, "%s  %s, revision %d\n", reply.GetKappa().GetRef(), reply.GetKappa().GetState(), reply.GetKappa().GetRevision())
	return nil
}

// deleteCmd is `quadrat delete`.
type deleteCmd struct {
	remote

	Ref string `arg:"" help:"Reference or name of the kappa."`
}

// Help shows an example.
func (*deleteCmd) Help() string {
	return "Example:\n\n    quadrat delete indoor\n\nIts results stay until retention ends, under its reference."
}

// Run deletes the kappa.
func (c *deleteCmd) Run(ctx context.Context, t *terminal) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	if err := api.Delete(ctx, c.Ref); err != nil {
		return err
	}
	if c.json() {
		return t.printJSON(&quadratv1.DeleteKappaResponse{})
	}
	fmt.Fprintf(t.out, "%s  deleted\n", c.Ref)
	return nil
}
