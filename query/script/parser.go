package script

import "strings"

// Parse reads one script. Its error is an [*Error] about the first thing that is wrong. The tree is well formed but not
// yet checked: see [Check].
func Parse(text string) (*Script, error) {
	tokens, err := lex(text)
	if err == nil {
		p := &parser{tokens: tokens}
		var s *Script
		s, err = p.script()
		if err == nil {
			return s, nil
		}
	}
	return nil, err
}

// parser is a recursive descent over tokens; each method reads one rule of the grammar.
type parser struct {
	tokens []token
	at     int
	depth  int // of parentheses and NOT in a predicate
}

func (p *parser) peek() token { return p.tokens[p.at] }

// after is the token behind the current one.
func (p *parser) after() token { return p.tokens[min(p.at+1, len(p.tokens)-1)] }

func (p *parser) take() token {
	t := p.tokens[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

// is tells whether the token is the bare word, in any case.
func (t token) is(w string) bool { return t.kind == word && strings.EqualFold(t.text, w) }

// name tells whether the token can be a name.
func (t token) name() bool { return t.kind == quoted || t.kind == word && !isReserved(t.text) }

// found describes the token for a message.
func (t token) found() string {
	switch {
	case t.kind == end:
		return "the end of the script"
	case t.kind == word && isReserved(t.text):
		return strings.ToUpper(t.text)
	}
	return t.raw
}

func (p *parser) accept(w string) bool {
	if p.peek().is(w) {
		p.at++
		return true
	}
	return false
}

func (p *parser) acceptSymbol(s string) bool {
	if t := p.peek(); t.kind == symbol && t.text == s {
		p.at++
		return true
	}
	return false
}

// expected is the error that something else stands at the current token.
func (p *parser) expected(what, hint string) *Error {
	t := p.peek()
	return errorAt(t.pos, hint, "expected %s, found %s", what, t.found())
}

// keyword takes the word or fails.
func (p *parser) keyword(w string) *Error {
	if p.accept(w) {
		return nil
	}
	return p.expected(w, didYouMean(p.peek().text, "", w))
}

func (p *parser) expectSymbol(s, hint string) *Error {
	if p.acceptSymbol(s) {
		return nil
	}
	what := map[string]string{"(": "an opening parenthesis", ")": "a closing parenthesis", ",": "a comma"}[s]
	return p.expected(what, hint)
}

func (p *parser) script() (*Script, *Error) {
	s := &Script{}
	if p.accept("KAPPA") {
		if !p.peek().name() {
			return nil, p.expected("a name for the kappa", "write KAPPA name AS; a name that is a keyword stands in double quotes")
		}
		name, err := p.ident("a name for the kappa")
		if err != nil {
			return nil, err
		}
		s.Name = name
		if !p.accept("AS") {
			return nil, p.expected("AS", "write KAPPA "+name.String()+" AS")
		}
	}
	if !p.peek().is("SELECT") {
		return nil, p.expected("SELECT", didYouMean(p.peek().text,
			"a script begins with SELECT, or with KAPPA name AS SELECT", "SELECT", "KAPPA"))
	}
	if err := p.clauses(s); err != nil {
		return nil, err
	}
	p.acceptSymbol(";")
	if t := p.peek(); t.kind != end {
		return nil, errorAt(t.pos, "put one script at a time", "expected the end of the script, found %s", t.found())
	}
	if s.Window.Pos == (Pos{}) {
		return nil, p.expected("WINDOW", "add WINDOW and a duration, e.g. WINDOW 5m")
	}
	return s, nil
}

// clause is one clause of a script, in the order in which they stand.
type clause struct {
	word string
	read func(*parser, *Script) *Error
}

func clauses() []clause {
	return []clause{
		{"SELECT", (*parser).selectList},
		{"FROM", (*parser).from},
		{"WHERE", (*parser).where},
		{"GROUP", (*parser).groupBy},
		{"SAMPLE", (*parser).sample},
		{"WINDOW", (*parser).window},
		{"PRIVACY", (*parser).privacy},
	}
}

// clauses reads SELECT … PRIVACY up to the end of the script.
func (p *parser) clauses(s *Script) *Error {
	list := clauses()
	next := 0 // the earliest clause that may follow
	seen := make([]bool, len(list))
	for {
		t := p.peek()
		if t.kind == end || t.kind == symbol && t.text == ";" {
			return nil
		}
		i := clauseOf(list, t)
		switch {
		case i < 0:
			return p.stray(list, next)
		case seen[i]:
			return errorAt(t.pos, "keep one of them", "a second %s clause", list[i].word)
		case i < next:
			return errorAt(t.pos, "the order is SELECT, FROM, WHERE, GROUP BY, SAMPLE, WINDOW, PRIVACY",
				"%s stands too late", list[i].word)
		case i > 1 && !seen[1]:
			return p.expected("FROM", "name the capability, e.g. FROM sense.temperature")
		case i > 5 && !seen[5]:
			return p.expected("WINDOW", "add WINDOW and a duration, e.g. WINDOW 5m")
		}
		p.at++
		if err := list[i].read(p, s); err != nil {
			return err
		}
		seen[i], next = true, i+1
	}
}

func clauseOf(list []clause, t token) int {
	for i, c := range list {
		if t.is(c.word) {
			return i
		}
	}
	return -1
}

// stray is the error about a token that begins no clause.
func (p *parser) stray(list []clause, next int) *Error {
	var words []string
	for _, c := range list[min(next, len(list)):] {
		words = append(words, c.word)
	}
	switch {
	case next == 1:
		words = words[:1] // FROM
	case next <= 5:
		words = words[:6-next] // up to WINDOW, which every script has
	}
	t := p.peek()
	hint := didYouMean(t.text, "", words...)
	switch {
	case t.kind == symbol && t.text == ",":
		hint = "delete the comma"
	case hint == "" && next == 1 && isStatStart(p):
		hint = "put a comma between two statistics"
	case hint == "" && next == 1 && t.name():
		hint = "put AS before the name of a statistic"
	case hint == "" && t.name() && next == 4:
		hint = "put a comma between two attributes"
	}
	if len(words) == 0 {
		return p.expected("the end of the script", hint)
	}
	if next > 5 {
		words = append(words, "the end of the script")
	}
	return p.expected(anyOf(words...), hint)
}

func isStatStart(p *parser) bool {
	return p.peek().kind == word && p.after().kind == symbol && p.after().text == "("
}

func (p *parser) from(s *Script) *Error {
	first, err := p.ident("a capability, e.g. sense.temperature")
	if err != nil {
		return err
	}
	s.From = Capability{Pos: first.Pos, Parts: []string{first.Text}}
	for p.acceptSymbol(".") {
		part, err := p.ident("the next part of the capability")
		if err != nil {
			return err
		}
		s.From.Parts = append(s.From.Parts, part.Text)
	}
	if p.acceptSymbol(",") {
		p.at--
		return p.expected("one capability", "ask each capability in a script of its own")
	}
	return nil
}

func (p *parser) groupBy(s *Script) *Error {
	if err := p.keyword("BY"); err != nil {
		return err
	}
	var err *Error
	s.GroupBy, err = p.attributes()
	return err
}

// attributes reads one or more names with commas between them.
func (p *parser) attributes() ([]Ident, *Error) {
	var out []Ident
	for {
		name, err := p.ident("an attribute")
		if err != nil {
			return nil, err
		}
		out = append(out, name)
		if !p.acceptSymbol(",") {
			return out, nil
		}
	}
}

func (p *parser) ident(what string) (Ident, *Error) {
	t := p.peek()
	if !t.name() {
		hint := ""
		switch t.kind { //nolint:exhaustive // no hint for the rest
		case word:
			hint = "to use the word " + strings.ToLower(t.text) + " as a name, write it in double quotes"
		case literal:
			hint = "'…' is text; write a name bare or in double quotes"
		case number, span:
			hint = "a name begins with a letter; in double quotes it may begin with a digit"
		}
		return Ident{}, p.expected(what, hint)
	}
	if t.text == "" {
		return Ident{}, p.expected(what, "a name has at least one character")
	}
	if len(t.text) > nameBytesMax {
		return Ident{}, errorAt(t.pos, "choose a shorter one", "a name has at most %d bytes, found %d", nameBytesMax, len(t.text))
	}
	p.at++
	return Ident{Pos: t.pos, Text: t.text}, nil
}

// nameBytesMax bounds names and texts.
const nameBytesMax = 256
