package main

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// queryCmd is `quadrat query`.
type queryCmd struct {
	remote

	Question string `arg:"" help:"The question itself, a file that holds it, or - for standard input."`
}

// Help shows an example.
func (*queryCmd) Help() string {
	return `Example:

    quadrat query 'SELECT mean(temperature) FROM kappa.indoor WINDOW 1h SINCE 1d'
    quadrat query 'SELECT mean(temperature), count(temperature > 26) FROM kappa.indoor GROUP BY region' --format json
    quadrat query 'SELECT mean(temperature) FROM kappa.indoor SAMPLE 1 PERCENT SINCE 30d'
    quadrat query 'SELECT mean(temperature) FROM kappa.indoor SAMPLE MARGIN 0.1'

Asks about reports that a kappa has stored, over other windows and in other cells than its own: attributes that it was grouped
or stratified by. Stored reports are randomised, so that nobody spends more privacy, however often one asks. Totals and
counts of longer windows are the mean over the kappa's own. SINCE and UNTIL take '2026-11-20', '2026-11-20T10:00:00Z', or 2h for
two hours ago. SAMPLE x PERCENT reads as many of the reports, SAMPLE MARGIN m until intervals are no longer than m to either
side; PER CELL says so of those of cells too.`
}

// Run asks and prints the answer.
func (c *queryCmd) Run(ctx context.Context, t *terminal) error {
	file := scriptFile{File: "(question)"}
	source := c.Question
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
	stop := t.progress("reading")
	answer, err := api.Query(ctx, source)
	stop()
	if err != nil {
		return file.explainFault(err, source)
	}
	if c.json() {
		return t.printJSON(answer)
	}
	return t.table(func(w io.Writer) {
		fmt.Fprintln(w, resultHeader)
		for _, r := range answer.GetResults() {
			fmt.Fprintln(w, resultRow(r))
		}
		fmt.Fprintf(w, "\n%d of %d reports of %d windows read in %.3f s\n",
			answer.GetRowsRead(), answer.GetRowsStored(), answer.GetWindows(), answer.GetSeconds())
		for _, note := range answer.GetNotes() {
			fmt.Fprintln(w, note)
		}
	})
}
