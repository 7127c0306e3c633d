package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// queryCmd is `quadrat query`.
type queryCmd struct {
	remote

	Question string `arg:"" help:"The question itself, a file that holds it, or - for standard input."`
	Early    bool   `help:"Print early answers, too, as they come: with --format json one to a line. On a terminal they are shown anyway."`
}

// Help shows an example.
func (*queryCmd) Help() string {
	return `Example:

    quadrat query 'SELECT mean(temperature) FROM kappa.indoor WINDOW 1h SINCE 1d'
    quadrat query 'SELECT mean(temperature), count(temperature > 26) FROM kappa.indoor GROUP BY region' --format json
    quadrat query 'SELECT mean(temperature) FROM kappa.indoor SAMPLE 1 PERCENT SINCE 30d'
    quadrat query 'SELECT mean(temperature) FROM kappa.indoor SAMPLE MARGIN 0.1'
    quadrat query 'SELECT mean(temperature) FROM kappa.indoor WINDOW 1d' --early --format json

Asks about reports that a kappa has stored, over other windows and in other cells than its own: attributes that it was grouped
or stratified by. Reports of a histogram or a quantile answer any quantile. Stored reports are randomised, so that nobody spends more privacy, however often one asks. Totals and
counts of longer windows are the mean over the kappa's own. SINCE and UNTIL take '2026-11-20', '2026-11-20T10:00:00Z', or 2h for
two hours ago. SAMPLE x PERCENT reads as many of the reports, SAMPLE MARGIN m until intervals are no longer than m to either
side; PER CELL says so of those of cells too.

Without SAMPLE early answers come from a growing part of the reports, and the exact one replaces them. The early intervals of one
result hold all at once with the confidence, so that you may stop (Ctrl-C) when you have seen enough.`
}

// Run asks and prints the answer.
func (c *queryCmd) Run(ctx context.Context, t *terminal) error {
	file := scriptFile{File: "(question)"}
	source := c.Question
	if strings.TrimSpace(source) == "" {
		return &usageError{"query: the question is empty: give one, a file, or - for standard input"}
	}
	if !strings.ContainsAny(strings.TrimSpace(source), " \n") {
		file.File = source
		var err error
		if source, err = file.read(t); err != nil {
			return err
		}
	}
	api, err := c.client()
	if err != nil {
		return err
	}
	if c.Early || t.redraws && !c.json() {
		err = api.WatchQuery(ctx, source, c.show(t))
		if err == nil || ctx.Err() != nil {
			return nil //nolint:nilerr // to have seen enough is a way to end
		}
		return file.explainFault(err, source)
	}
	stop := t.progress("reading")
	answer, err := api.Query(ctx, source)
	stop()
	if err != nil {
		return file.explainFault(err, source)
	}
	return c.show(t)(answer)
}

// show prints answers; on a terminal each takes the place of the one before.
func (c *queryCmd) show(t *terminal) func(*quadratv1.QueryResponse) error {
	lines := 0 // of the answer before
	return func(answer *quadratv1.QueryResponse) error {
		if c.json() {
			return t.printJSON(answer)
		}
		var text bytes.Buffer
		shown := *t
		shown.out = &text
		err := shown.table(func(w io.Writer) {
			fmt.Fprintln(w, resultHeader)
			for _, r := range answer.GetResults() {
				fmt.Fprintln(w, resultRow(r))
			}
			word := ""
			if answer.GetEarly() {
				word = fmt.Sprintf("early, from %.3g %% of the reports of each window at least: ", 100*answer.GetShare())
			}
			fmt.Fprintf(w, "\n%s%d of %d reports of %d windows read in %.3f s\n",
				word, answer.GetRowsRead(), answer.GetRowsStored(), answer.GetWindows(), answer.GetSeconds())
			for _, note := range answer.GetNotes() {
				fmt.Fprintln(w, note)
			}
		})
		if err != nil {
			return err
		}
		if !t.redraws {
			_, err = t.out.Write(text.Bytes())
			return err
		}
		if lines > 0 {
			fmt.Fprintf(t.out, "\x1b[%dA\x1b[J", lines) // up, and clear what is below
		}
		if !answer.GetEarly() {
			_, err = t.out.Write(text.Bytes())
			return err
		}
		var screen []byte
		screen, lines = upToLines(text.Bytes(), redrawLines)
		_, err = fmt.Fprintf(t.out, "\x1b[?7l%s\x1b[?7h", screen) // long lines are cut, so that each is one
		return err
	}
}

// redrawLines is how many lines of an early answer are shown on a terminal, of which the smallest have 24: what has scrolled away can't be
// drawn anew.
const redrawLines = 22

// upToLines is a text, of which the last line and the first ones stay when there are more than so many.
func upToLines(text []byte, most int) (cut []byte, lines int) {
	all := bytes.SplitAfter(bytes.TrimSuffix(text, []byte("\n")), []byte("\n"))
	if len(all) > most {
		all = append(all[:most-1:most-1], all[len(all)-1])
	}
	return append(bytes.Join(all, nil), '\n'), len(all)
}
