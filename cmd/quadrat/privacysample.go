package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/duchi"
	"github.com/quadrat-dev/quadrat/privacy/grr"
	"github.com/quadrat-dev/quadrat/privacy/hybrid"
	"github.com/quadrat-dev/quadrat/privacy/laplace"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
	"github.com/quadrat-dev/quadrat/privacy/olh"
	"github.com/quadrat-dev/quadrat/privacy/oue"
	"github.com/quadrat-dev/quadrat/privacy/piecewise"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	"github.com/quadrat-dev/quadrat/privacy/subset"
	"github.com/quadrat-dev/quadrat/privacy/threeoutput"
	"github.com/quadrat-dev/quadrat/privacy/warner"
)

// privacySampleCmd is `quadrat privacy sample`.
type privacySampleCmd struct {
	Mechanism string  `help:"Which one: duchi, discrete-laplace, hybrid, piecewise, square-wave, three-output; warner; grr, memo, olh, oue, subset." required:"" placeholder:"NAME"`
	Epsilon   string  `help:"The ε of each report, up to 20." required:"" placeholder:"E"`
	Report    string  `help:"memo: the ε of one report; --epsilon is then that of all reports about one category. Without it half of that." placeholder:"E"`
	K         *uint32 `help:"Number of categories." placeholder:"K"`
	Lo        decimal `help:"Lower bound of a number." placeholder:"L"`
	Hi        decimal `help:"Upper bound of a number." placeholder:"H"`
	Value     decimal `help:"The true value: a number, 0 or 1, or a category from 0 to k-1." required:"" placeholder:"V"`
	N         uint64  `help:"How many reports." default:"1" placeholder:"N"`
	Seed      *uint64 `help:"Draw the same reports every time; whoever knows the seed knows the noise. Without it the system's randomness."`
	Format    string  `help:"table for plain lines, json for a JSON value a line." enum:"table,json" default:"table"`
}

// decimal is the text of a number, which, unlike other values of flags, may begin with a minus.
type decimal string

// Decode takes the next argument.
func (d *decimal) Decode(scan *kong.DecodeContext) error {
	text, ok := scan.Scan.Peek().Value.(string)
	if ok && len(text) > 1 && text[0] == '-' && strings.IndexByte(".0123456789", text[1]) >= 0 {
		scan.Scan.Pop()
		*d = decimal(text)
		return nil
	}
	return scan.Scan.PopValueInto("number", (*string)(d))
}

// Help tells the forms of the reports and shows examples.
func (*privacySampleCmd) Help() string {
	return `Example:

    quadrat privacy sample --mechanism hybrid --epsilon 1 --lo 10 --hi 40 --value 21.5 --n 1000
    quadrat privacy sample --mechanism subset --epsilon 1 --k 32 --value 7 --n 1000

One report a line, with --format json as a number, a list of numbers or a string. duchi, discrete-laplace, hybrid, piecewise, three-output: the unbiased score, in the unit of the bounds. square-wave:
the output on its grid, in the unit of the bounds. A value outside the bounds is clipped, as on a device. warner: 0 or 1.
grr: a category. memo: a category, each of another device, whose permanent answer is its first. subset: sorted categories with commas between. oue: a 0 or 1 for each category. olh: seed,hash; the public
pool of hash functions is told in privacy/olh/PROOF.md. No plan and no device can ask for discrete-laplace: the time of a
report depends on its noise, and hybrid errs less at every epsilon.`
}

// Run draws and prints.
func (c *privacySampleCmd) Run(ctx context.Context, t *terminal) error {
	var src privacy.Source = privacy.NewSecure(rand.Reader)
	if c.Seed != nil {
		src = privacy.NewSeeded(*c.Seed)
	}
	next, err := c.sampler(src)
	if err != nil {
		return err
	}
	if c.N == 0 {
		return &usageError{message: "--n 0: at least one report"}
	}
	if slices.Contains(mechanisms.OptIns(), c.Mechanism) {
		fmt.Fprintf(t.errs, "quadrat: no plan and no device can ask for %s: the time of a report depends on its noise\n", c.Mechanism)
	}
	if c.Format == formatJSON {
		next = c.json(next)
	}
	return printReports(ctx, t.out, next, c.N)
}

// json makes a JSON value of each report: a number, a list of numbers, or for oue, whose digits are no number, a string.
func (c *privacySampleCmd) json(next sampler) sampler {
	before, after := "", ""
	switch c.Mechanism {
	case olh.Name, subset.Name:
		before, after = "[", "]"
	case oue.Name:
		before, after = `"`, `"`
	}
	return func(line []byte) ([]byte, error) {
		line, err := next(append(line, before...))
		return append(line, after...), err
	}
}

// linesBetweenLooks is how many reports are printed between two looks at whether somebody has had enough.
const linesBetweenLooks = 4096

func printReports(ctx context.Context, out io.Writer, next sampler, n uint64) error {
	w := bufio.NewWriter(out)
	var line []byte
	for i := range n {
		if i%linesBetweenLooks == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var err error
		if line, err = next(line[:0]); err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("write: %w", err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}

// sampler appends the next report as text.
type sampler func(line []byte) ([]byte, error)

// sampler returns the one that the flags ask for. Its own errors are faults of the call.
func (c *privacySampleCmd) sampler(src privacy.Source) (sampler, error) {
	e, err := privacy.ParseEpsilon(c.Epsilon)
	if err != nil {
		return nil, &usageError{message: "--epsilon " + c.Epsilon + ": must be a decimal number above 0 and at most 20"}
	}
	switch c.Mechanism {
	case duchi.Name, hybrid.Name, laplace.Name, piecewise.Name, squarewave.Name, threeoutput.Name:
		return c.score(e, src)
	case warner.Name:
		return c.bit(e, src)
	case grr.Name, memo.Name, olh.Name, oue.Name, subset.Name:
		return c.category(e, src)
	default:
		known := slices.Concat(mechanisms.Names(), mechanisms.OptIns(), mechanisms.CategoricalNames(), []string{memo.Name})
		slices.Sort(known)
		return nil, &usageError{message: "--mechanism " + c.Mechanism + ": unknown; one of " + strings.Join(known, " ")}
	}
}

// score samples what comes of a bounded number: the unbiased score, or the place on the grid of the square wave.
func (c *privacySampleCmd) score(e privacy.Epsilon, src privacy.Source) (sampler, error) {
	bounds, value, err := c.number()
	if err != nil {
		return nil, err
	}
	build := mechanisms.ByName
	if slices.Contains(mechanisms.OptIns(), c.Mechanism) {
		// Whoever audits a mechanism by name has opted in.
		build = mechanisms.OptIn
	}
	m, err := build(c.Mechanism, e)
	if err != nil {
		return nil, err
	}
	output := m.Score
	if wave, ok := m.(*squarewave.Mechanism); ok {
		output = wave.Position
	}
	input := bounds.Level(value, m.Levels())
	return func(line []byte) ([]byte, error) {
		code, err := m.Randomise(input, src)
		if err != nil {
			return nil, err
		}
		unit, err := output(code)
		if err != nil {
			return nil, err
		}
		return strconv.AppendFloat(line, bounds.Score(unit), 'f', -1, 64), nil
	}, nil
}

// number reads the flags of a mechanism for bounded numbers.
func (c *privacySampleCmd) number() (privacy.Bounds, privacy.Micro, error) {
	if c.K != nil || c.Lo == "" || c.Hi == "" {
		return privacy.Bounds{}, 0, c.wants("--lo and --hi, the bounds of a number, and no --k")
	}
	var parsed [3]privacy.Micro
	for i, flag := range []struct{ name, text string }{{"lo", string(c.Lo)}, {"hi", string(c.Hi)}, {"value", string(c.Value)}} {
		var err error
		if parsed[i], err = privacy.ParseMicro(flag.text); err != nil {
			return privacy.Bounds{}, 0, &usageError{message: "--" + flag.name + " " + flag.text + ": must be a decimal number"}
		}
	}
	bounds, err := privacy.NewBounds(parsed[0], parsed[1])
	if err != nil {
		return privacy.Bounds{}, 0, &usageError{message: "--lo must be below --hi"}
	}
	return bounds, parsed[2], nil
}

// bit samples randomised response.
func (c *privacySampleCmd) bit(e privacy.Epsilon, src privacy.Source) (sampler, error) {
	if c.K != nil || c.Lo != "" || c.Hi != "" {
		return nil, c.wants("neither --k nor bounds")
	}
	input, err := c.whole(2)
	if err != nil {
		return nil, err
	}
	m, err := mechanisms.ByName(c.Mechanism, e)
	if err != nil {
		return nil, err
	}
	return func(line []byte) ([]byte, error) {
		code, err := m.Randomise(input, src)
		if err != nil {
			return nil, err
		}
		return strconv.AppendUint(line, uint64(code), 10), nil
	}, nil
}

// category samples a report over categories.
func (c *privacySampleCmd) category(e privacy.Epsilon, src privacy.Source) (sampler, error) {
	if c.K == nil || c.Lo != "" || c.Hi != "" {
		return nil, c.wants("--k, the number of categories, and no bounds")
	}
	price, err := c.price(e)
	if err != nil {
		return nil, err
	}
	m, err := mechanisms.CategoricalAt(c.Mechanism, price, *c.K)
	if errors.Is(err, privacy.ErrCategories) {
		return nil, &usageError{message: fmt.Sprintf("--k %d: too few or too many categories for %s", *c.K, c.Mechanism)}
	}
	if err != nil {
		return nil, err
	}
	input, err := c.whole(*c.K)
	if err != nil {
		return nil, err
	}
	write := writerOf(m)
	var report []byte
	return func(line []byte) ([]byte, error) {
		var err error
		if report, err = m.Randomise(input, src, report[:0]); err != nil {
			return nil, err
		}
		return write(line, report)
	}, nil
}

// price reads --report, which only permanent answers have.
func (c *privacySampleCmd) price(e privacy.Epsilon) (mechanisms.Price, error) {
	if c.Mechanism != memo.Name {
		if c.Report != "" {
			return mechanisms.Price{}, c.wants("no --report, which only memo has")
		}
		return mechanisms.Price{Report: e}, nil
	}
	price := mechanisms.Price{Report: e / 2, Value: e}
	if c.Report != "" {
		var err error
		if price.Report, err = privacy.ParseEpsilon(c.Report); err != nil {
			return price, &usageError{message: "--report " + c.Report + ": must be a decimal number above 0 and at most 20"}
		}
	}
	if price.Report == 0 || price.Report > price.Value {
		return price, &usageError{message: "--report must be above 0 and at most --epsilon"}
	}
	return price, nil
}

// writerOf returns how a mechanism's reports are written as text.
func writerOf(m privacy.Categorical) func(line, report []byte) ([]byte, error) {
	if hashed, ok := m.(*olh.Mechanism); ok {
		return func(line, report []byte) ([]byte, error) {
			seed, hash, err := hashed.Split(report)
			line = append(strconv.AppendUint(line, uint64(seed), 10), ',')
			return strconv.AppendUint(line, uint64(hash), 10), err
		}
	}
	var supported []uint32
	return func(line, report []byte) ([]byte, error) {
		var err error
		if supported, err = m.Supported(report, supported[:0]); err != nil {
			return nil, err
		}
		if m.Name() == oue.Name {
			from := len(line)
			line = append(line, strings.Repeat("0", int(m.Categories()))...)
			for _, category := range supported {
				line[from+int(category)] = '1'
			}
			return line, nil
		}
		for i, category := range supported {
			if i > 0 {
				line = append(line, ',')
			}
			line = strconv.AppendUint(line, uint64(category), 10)
		}
		return line, nil
	}
}

// whole reads --value as one of 0…n-1.
func (c *privacySampleCmd) whole(n uint32) (uint32, error) {
	value, err := strconv.ParseUint(string(c.Value), 10, 32)
	if err != nil || value >= uint64(n) {
		return 0, &usageError{message: fmt.Sprintf("--value %s: must be a whole number from 0 to %d", c.Value, n-1)}
	}
	return uint32(value), nil
}

func (c *privacySampleCmd) wants(what string) error {
	return &usageError{message: "--mechanism " + c.Mechanism + " takes " + what}
}
