package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/client"
)

// scriptFile is a script in a file or on standard input.
type scriptFile struct {
	File  string             `arg:"" help:"File with the script, or - for standard input."`
	Param map[string]float64 `help:"Value of a $parameter of the script; may be given more than once." placeholder:"NAME=NUMBER" mapsep:"none"`
}

func (f *scriptFile) read(t *terminal) (string, error) {
	var raw []byte
	var err error
	if f.File == "-" {
		raw, err = io.ReadAll(t.in)
	} else {
		raw, err = os.ReadFile(f.File)
	}
	if err != nil {
		return "", fmt.Errorf("script: %w", err)
	}
	if !utf8.Valid(raw) {
		return "", fmt.Errorf("script: %s is no UTF-8 text", f.File)
	}
	return string(raw), nil
}

// scriptError is an error of a script with the line that it is in.
type scriptError struct {
	file   string
	source string
	detail *quadratv1.ScriptError
}

// Error shows place, message, the line with a caret below the column, and the hint.
func (e *scriptError) Error() string {
	d := e.detail
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: %s", e.file, d.GetLine(), d.GetColumn(), d.GetMessage())
	lines := strings.Split(e.source, "\n")
	if at := int(d.GetLine()); at >= 1 && at <= len(lines) {
		line := strings.TrimSuffix(lines[at-1], "\r")
		fmt.Fprintf(&b, "\n  %s\n  %s^", line, indent(line, int(d.GetColumn())-1))
	}
	if d.GetHint() != "" {
		fmt.Fprintf(&b, "\nhint: %s", d.GetHint())
	}
	return b.String()
}

// indent is as wide as the first n characters of a line; tabs stay tabs.
func indent(line string, n int) string {
	var b strings.Builder
	for _, r := range line {
		if n--; n < 0 {
			break
		}
		if r == '\t' {
			b.WriteRune('\t')
		} else {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// explainFault adds the line to an error that is about the script.
func (f *scriptFile) explainFault(err error, source string) error {
	var refused *client.Error
	if !errors.As(err, &refused) || refused.Script == nil {
		return err
	}
	file := f.File
	if file == "-" {
		file = "standard input"
	}
	return &scriptError{file: file, source: source, detail: refused.Script}
}

// putCmd is `quadrat put`.
type putCmd struct {
	remote
	scriptFile
}

// Help shows an example.
func (*putCmd) Help() string {
	return `Example:

    quadrat put question.sql
    quadrat put question.sql --param n=400

The same script again gives the same reference.`
}

// Run deploys the script and prints its reference.
func (c *putCmd) Run(ctx context.Context, t *terminal) error {
	source, api, err := c.open(t)
	if err != nil {
		return err
	}
	stop := t.progress("deploying")
	reply, err := api.Put(ctx, source, c.Param)
	stop()
	if err != nil {
		return c.explainFault(err, source)
	}
	if c.json() {
		return t.printJSON(reply)
	}
	word := "deployed"
	if !reply.GetCreated() {
		word = "already deployed"
	}
	fmt.Fprintf(t.out, "%s  %s\n", reply.GetRef(), word)
	return t.printPlan(reply.GetPlan())
}

func (c *putCmd) open(t *terminal) (string, *client.Client, error) {
	source, err := c.read(t)
	if err != nil {
		return "", nil, err
	}
	api, err := c.client()
	return source, api, err
}

// explainCmd is `quadrat explain`.
type explainCmd struct{ putCmd }

// Help shows an example.
func (*explainCmd) Help() string {
	return `Example:

    quadrat explain question.sql

Tells panel, margin and privacy before anything is deployed or spent.`
}

// Run prints the plan.
func (c *explainCmd) Run(ctx context.Context, t *terminal) error {
	source, api, err := c.open(t)
	if err != nil {
		return err
	}
	stop := t.progress("planning")
	plan, err := api.Explain(ctx, source, c.Param)
	stop()
	if err != nil {
		return c.explainFault(err, source)
	}
	if c.json() {
		return t.printJSON(&quadratv1.ExplainResponse{Plan: plan})
	}
	return t.printPlan(plan)
}
