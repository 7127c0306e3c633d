package script

import (
	"slices"
	"strings"
)

// Statistics are the statistics of the language.
func statistics() []string {
	return []string{
		"mean", "total", wordRatio, wordVariance, wordQuantile, wordMedian, wordHistogram, wordFrequency, wordShape, wordProportion,
		wordCount,
	}
}

func summaries() []string { return []string{wordAvg, wordLast, "min", "max", "sum", wordCount} }

func comparisons() []string { return []string{"=", "<>", "<", "<=", ">", ">="} }

// distinctHint says why distinct values can't be counted under local privacy.
const distinctHint = "no: under local privacy the error of a distinct count grows with the number of devices, " +
	"whatever the mechanism (Chen, Ghazi, Kumar and Manurangsi, ITCS 2021); " +
	"ask proportion(…) or count(…) of a condition"

func (p *parser) selectList(s *Script) *Error {
	for {
		stat, err := p.statistic()
		if err != nil {
			return err
		}
		s.Select = append(s.Select, stat)
		if !p.acceptSymbol(",") {
			return nil
		}
		if p.peek().is("FROM") {
			return p.expected("a statistic", "delete the comma before FROM")
		}
	}
}

func (p *parser) statistic() (*Statistic, *Error) {
	t := p.peek()
	kind := strings.ToLower(t.text)
	if t.kind != word || !slices.Contains(statistics(), kind) {
		return nil, p.expected("a statistic", p.statisticHint())
	}
	p.at++
	s := &Statistic{Pos: t.pos, Kind: kind}
	if err := p.expectSymbol("(", "write "+kind+"(reading)"); err != nil {
		return nil, err
	}
	if t := p.peek(); t.is("DISTINCT") {
		return nil, errorAt(t.pos, distinctHint, "%s(DISTINCT …) can't be answered", kind)
	}
	if err := p.arguments(s); err != nil {
		return nil, err
	}
	if err := p.closing(s); err != nil {
		return nil, err
	}
	if p.accept("AS") {
		name, err := p.ident("a name for the statistic")
		if err != nil {
			return nil, err
		}
		s.As = name
	}
	return s, nil
}

func (p *parser) statisticHint() string {
	t := p.peek()
	list := anyOf(statistics()...)
	if t.kind == symbol && t.text == "*" {
		return "raw values never leave a device; ask for " + list
	}
	switch strings.ToLower(t.text) {
	case wordAvg, "average":
		return "write mean(…) for the mean over devices; avg(…) summarises one device's window"
	case "sum":
		return "write total(…) for the total over devices; sum(…) summarises one device's window"
	case "min", "max", "last", "first":
		return t.text + " summarises one device's window, as in mean(" + strings.ToLower(t.text) + "(reading))"
	case "stddev", "std", "stdev", "var":
		return "write variance(…)"
	case "percentile":
		return "write quantile(reading, 0.9)"
	case "share", "fraction", "percent":
		return "write proportion(reading > number)"
	}
	if t.name() && !isStatStart(p) && near(t.text, statistics()...) == "" {
		return "a reading stands inside a statistic, e.g. mean(" + t.text + ")"
	}
	return didYouMean(t.text, "one of "+list, statistics()...)
}

// arguments reads what stands between the parentheses of a statistic.
func (p *parser) arguments(s *Statistic) *Error {
	if t := p.peek(); t.kind == symbol && t.text == "*" {
		hint := "name a reading"
		if s.Kind == wordCount {
			hint = "count takes a condition; every result has the number of devices as population"
		}
		return p.expected("a reading", hint)
	}
	condition := s.Kind == wordProportion || s.Kind == wordCount
	if t := p.peek(); condition && (t.kind == number || t.kind == parameter || t.kind == symbol && t.text == "-") {
		return p.expected("a reading", "write the reading first, as in temperature > 26")
	}
	arg, err := p.argument()
	if err != nil {
		return err
	}
	s.Args = []Argument{arg}
	switch s.Kind {
	case wordProportion, wordCount:
		return p.condition(s)
	case wordRatio:
		if err := p.expectSymbol(",", "ratio takes two readings, ratio(a, b)"); err != nil {
			return err
		}
		second, err := p.argument()
		if err != nil {
			return err
		}
		s.Args = append(s.Args, second)
	case wordShape:
		if p.acceptSymbol(",") {
			s.Number, err = p.number("a number of bins")
		}
		return err
	case wordQuantile, wordHistogram:
		what, hint := "a share between 0 and 1", "quantile takes a reading and a share, quantile(x, 0.9)"
		if s.Kind == wordHistogram {
			what, hint = "a number of bins", "histogram takes a reading and a number of bins, histogram(x, 10)"
		}
		if err := p.expectSymbol(",", hint); err != nil {
			return err
		}
		s.Number, err = p.number(what)
		return err
	}
	return nil
}

func (p *parser) argument() (Argument, *Error) {
	t := p.peek()
	next := p.after()
	if t.kind != word || next.kind != symbol || next.text != "(" {
		reading, err := p.ident("a reading")
		return Argument{Pos: reading.Pos, Reading: reading}, err
	}
	name := strings.ToLower(t.text)
	if !slices.Contains(summaries(), name) {
		hint := didYouMean(t.text, "", summaries()...)
		if slices.Contains(statistics(), name) {
			hint = "a statistic takes a reading or a summary of it, not another statistic"
		}
		return Argument{}, p.expected("a summary: "+anyOf(summaries()...), hint)
	}
	p.at += 2
	reading, err := p.ident("a reading")
	if err != nil {
		return Argument{}, err
	}
	if err := p.expectSymbol(")", "a summary takes one reading"); err != nil {
		return Argument{}, err
	}
	return Argument{Pos: t.pos, Summary: name, Reading: reading}, nil
}

// condition reads the comparison of proportion and count.
func (p *parser) condition(s *Statistic) *Error {
	op, err := p.comparison(s.Kind + " takes a condition, " + s.Kind + "(" + s.Args[0].text() + " > number)")
	if err != nil {
		return err
	}
	s.Comparison = op
	s.Number, err = p.number("a number")
	return err
}

// comparison reads an operator; hint is for what is none at all.
func (p *parser) comparison(hint string) (string, *Error) {
	t := p.peek()
	if t.kind == symbol {
		switch {
		case slices.Contains(comparisons(), t.text):
			p.at++
			return t.text, nil
		case t.text == "==":
			hint = "write = with one sign"
		case t.text == "!=":
			hint = "write <> for not equal"
		}
	}
	if t.is("BETWEEN") {
		hint = "write two comparisons; BETWEEN belongs to PRIVACY"
	}
	return "", p.expected("a comparison: "+anyOf(comparisons()...), hint)
}

// closing reads the parenthesis behind a statistic's arguments.
func (p *parser) closing(s *Statistic) *Error {
	hint := "close " + s.Kind + "("
	t := p.peek()
	switch {
	case t.is("AND") || t.is("OR"):
		hint = "a statistic takes one comparison; conditions on attributes stand in WHERE"
	case t.kind == symbol && t.text == ",":
		hint = s.Kind + " takes fewer arguments"
	case t.kind == symbol && (slices.Contains(comparisons(), t.text) || t.text == "==" || t.text == "!="):
		hint = "a condition stands in proportion(…) or count(…)"
	case t.kind == symbol && (t.text == "+" || t.text == "-" || t.text == "*"):
		hint = "a statistic takes a reading as it is, without arithmetic"
	}
	return p.expectSymbol(")", hint)
}
