package script

// depthMost bounds how deep conditions nest.
const depthMost = 50

// ParsePredicate reads a condition on attributes in the syntax of WHERE, without the word WHERE. Empty text gives nil,
// which every device matches; parameters are refused. Its error is an [*Error].
func ParsePredicate(text string) (*Predicate, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	if p.peek().kind == end {
		return nil, nil
	}
	out, err := p.predicate()
	if err != nil {
		return nil, err
	}
	if t := p.peek(); t.kind != end {
		return nil, p.expected("AND, OR or the end of the condition", didYouMean(t.text, "", "AND", "OR"))
	}
	for n := range out.numbers() {
		if n.Param != "" {
			return nil, errorAt(n.Pos, "write the number itself", "a parameter has no value here")
		}
	}
	return out, nil
}

func (p *parser) where(s *Script) *Error {
	var err *Error
	s.Where, err = p.predicate()
	return err
}

// predicate reads terms joined by OR.
func (p *parser) predicate() (*Predicate, *Error) { return p.joined("or", p.conjunction) }

func (p *parser) conjunction() (*Predicate, *Error) { return p.joined("and", p.negation) }

// joined reads one or more parts with the operator between them, and flattens parts of the same operator.
func (p *parser) joined(op string, part func() (*Predicate, *Error)) (*Predicate, *Error) {
	pos := p.peek().pos
	var args []*Predicate
	for {
		arg, err := part()
		if err != nil {
			return nil, err
		}
		if arg.Op == op {
			args = append(args, arg.Args...)
		} else {
			args = append(args, arg)
		}
		if !p.accept(op) {
			break
		}
	}
	if len(args) == 1 {
		return args[0], nil
	}
	return &Predicate{Pos: pos, Op: op, Args: args}, nil
}

func (p *parser) negation() (*Predicate, *Error) {
	pos := p.peek().pos
	if p.depth++; p.depth > depthMost {
		return nil, errorAt(pos, "simplify the condition", "conditions nest at most %d deep", depthMost)
	}
	defer func() { p.depth-- }()
	switch {
	case p.accept("NOT"):
		arg, err := p.negation()
		if err != nil {
			return nil, err
		}
		return &Predicate{Pos: pos, Op: opNot, Args: []*Predicate{arg}}, nil
	case p.acceptSymbol("("):
		inner, err := p.predicate()
		if err != nil {
			return nil, err
		}
		return inner, p.expectSymbol(")", "close the parenthesis, or join conditions with AND or OR")
	}
	return p.test()
}

// test reads one comparison, IN, LIKE or IS.
func (p *parser) test() (*Predicate, *Error) {
	t := p.peek()
	if t.kind == literal || t.kind == number || t.kind == parameter {
		return nil, p.expected("an attribute", "write the attribute first; a name in double quotes, text in single ones")
	}
	name, err := p.ident("an attribute")
	if err != nil {
		return nil, err
	}
	out := &Predicate{Pos: name.Pos, Attribute: name}
	if p.accept("IS") {
		out.Op = "null"
		if p.accept("NOT") {
			out.Op = opNotNull
		}
		if !p.accept("NULL") {
			return nil, p.expected("NULL", "IS goes with NULL only; compare with = or <>")
		}
		return out, nil
	}
	negated := p.accept("NOT")
	switch {
	case p.accept("IN"):
		out.Op = "in"
		out.Values, err = p.list()
	case p.accept("LIKE"):
		out.Op = "like"
		out.Values, err = p.pattern()
	case negated:
		return nil, p.expected("IN or LIKE", "NOT stands before a condition, or before IN or LIKE")
	default:
		if out.Op, err = p.comparison("compare with an operator, IN, LIKE or IS NULL"); err != nil {
			return nil, p.testError(err)
		}
		var v Literal
		v, err = p.literal(true)
		out.Values = []Literal{v}
	}
	if negated {
		out.Op = "not " + out.Op
	}
	return out, err
}

// testError widens the expectation of a comparison to what else a test may be.
func (p *parser) testError(err *Error) *Error {
	t := p.peek()
	if t.is("BETWEEN") {
		err.Hint = "write two comparisons with AND"
	}
	if t.kind == word && err.Hint == "compare with an operator, IN, LIKE or IS NULL" {
		err.Hint = didYouMean(t.text, err.Hint, "LIKE", "IN", "IS", "NOT")
	}
	return err
}

// list reads (value, …).
func (p *parser) list() ([]Literal, *Error) {
	if err := p.expectSymbol("(", "write IN ('a', 'b')"); err != nil {
		return nil, err
	}
	var out []Literal
	for {
		v, err := p.literal(false)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
		if !p.acceptSymbol(",") {
			return out, p.expectSymbol(")", "put a comma between two values and a parenthesis behind the last")
		}
	}
}

func (p *parser) pattern() ([]Literal, *Error) {
	t := p.peek()
	if t.kind != literal {
		return nil, p.expected("a pattern in single quotes", "write LIKE 'off%'; % stands for any text, _ for one character")
	}
	v, err := p.literal(false)
	return []Literal{v}, err
}

// literal reads 'text' or a number.
func (p *parser) literal(null bool) (Literal, *Error) {
	t := p.peek()
	if t.kind == literal {
		if len(t.text) > nameBytesMax {
			return Literal{}, errorAt(t.pos, "choose a shorter one", "a text has at most %d bytes, found %d", nameBytesMax, len(t.text))
		}
		p.at++
		return Literal{Pos: t.pos, Text: t.text}, nil
	}
	var hint string
	switch {
	case t.kind == quoted:
		hint = "write text in single quotes, '" + t.text + "'"
	case t.is("NULL") && null:
		hint = "write IS NULL or IS NOT NULL"
	case t.is("SELECT"):
		hint = "a condition takes values, not another query"
	case t.kind == word:
		hint = "write text in single quotes, '" + t.text + "'"
	default:
		n, err := p.number("'text' or a number")
		return Literal{Pos: t.pos, Number: n}, err
	}
	return Literal{}, p.expected("'text' or a number", hint)
}
