package script

import "strings"

func upper(t token) string { return strings.ToUpper(t.text) }

func (p *parser) privacy(s *Script) *Error {
	privacy := &Privacy{Pos: p.tokens[p.at-1].pos}
	s.Privacy = privacy
	t := p.peek()
	for _, m := range []Model{None, Local, Gateway} {
		if p.accept(string(m)) {
			privacy.Model = m
			break
		}
	}
	if privacy.Model == "" {
		hint := didYouMean(t.text, "write PRIVACY LOCAL EPSILON 1, or PRIVACY NONE", "NONE", "LOCAL", "GATEWAY")
		if t.is("EPSILON") {
			hint = "write PRIVACY LOCAL EPSILON …"
		}
		return p.expected("NONE, LOCAL or GATEWAY", hint)
	}
	if privacy.Model != None {
		if err := p.budget(privacy); err != nil {
			return err
		}
	} else if t := p.peek(); t.is("EPSILON") || t.is("PER") {
		return errorAt(t.pos, "delete it, or write LOCAL for NONE", "%s says nothing where PRIVACY is NONE", upper(t))
	}
	return p.bounds(privacy)
}

// budget reads EPSILON e [PER duration | PER VALUE [REPORT e]].
func (p *parser) budget(privacy *Privacy) *Error {
	t := p.peek()
	if !p.accept("EPSILON") {
		hint := didYouMean(t.text, "write "+string(privacy.Model)+" EPSILON and a number, e.g. EPSILON 1", "EPSILON")
		return p.expected("EPSILON", hint)
	}
	var err *Error
	if privacy.Epsilon, err = p.number("a number for epsilon"); err != nil {
		return err
	}
	if p.accept("PER") {
		if value := p.peek(); p.accept("VALUE") {
			privacy.PerValue, privacy.PerValuePos = true, value.pos
			return p.report(privacy)
		} else if value.kind == word && near(value.text, "VALUE") != "" {
			return p.expected("a duration or VALUE behind PER", "did you mean VALUE?")
		}
		per, err := p.duration("a duration or VALUE behind PER")
		if err != nil {
			return err
		}
		privacy.Per = &per
	}
	return nil
}

// report reads [REPORT e], which only PER VALUE has.
func (p *parser) report(privacy *Privacy) *Error {
	if !p.accept("REPORT") {
		return nil
	}
	var err *Error
	privacy.Report, err = p.number("what one report may tell, a number for epsilon")
	return err
}

// bounds reads [BETWEEN lo AND hi], which ends a script.
func (p *parser) bounds(privacy *Privacy) *Error {
	if !p.accept("BETWEEN") {
		return p.privacyEnd(privacy)
	}
	var err *Error
	if privacy.Lo, err = p.number("the lower bound"); err != nil {
		return err
	}
	if !p.accept("AND") {
		hint := didYouMean(p.peek().text, "write BETWEEN lo AND hi", "AND")
		return p.expected("AND", hint)
	}
	if privacy.Hi, err = p.number("the upper bound"); err != nil {
		return err
	}
	if t := p.peek(); t.is("PER") {
		return errorAt(t.pos, "write EPSILON e PER d BETWEEN lo AND hi", "PER stands before BETWEEN")
	}
	return nil
}

func (p *parser) privacyEnd(privacy *Privacy) *Error {
	t := p.peek()
	switch {
	case t.kind == number:
		return p.expected("BETWEEN or the end of the script", "write BETWEEN before the bounds")
	case t.is("PER"):
		return errorAt(t.pos, "keep one of them", "a second PER")
	case t.is("REPORT"):
		return errorAt(t.pos, "write EPSILON 2 PER VALUE REPORT 1", "REPORT belongs to PER VALUE")
	case t.kind == word && near(t.text, "PER", "BETWEEN") != "":
		what := "BETWEEN or the end of the script"
		if privacy.Per == nil && privacy.Model != None {
			what = "PER, " + what
		}
		return p.expected(what, "did you mean "+near(t.text, "PER", "BETWEEN")+"?")
	}
	return nil
}
