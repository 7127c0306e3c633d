package script

import (
	"strings"
	"time"
)

// Stored is a question about reports that a kappa has stored:
//
//	SELECT   stat(arg) [AS name] {, …}
//	FROM     kappa.name
//	[ WHERE  predicate ] [ GROUP BY attribute {, …} ]
//	[ SAMPLE ALL | x PERCENT | MARGIN m [ PER CELL ] ] [ CONFIDENCE p ]
//	[ WINDOW duration ] [ SINCE moment ] [ UNTIL moment ]
//
// A moment is a text, '2026-11-20' or '2026-11-20T10:00:00Z', or a duration, which stands for so long ago. Treat it as read
// only.
type Stored struct {
	Select     []*Statistic // at least one
	Kappa      Ident        // its name or reference
	Where      *Predicate   // nil for everything
	GroupBy    []Ident
	Sample     *Sample   // nil when not written; of it only Size, Number, PerCell and Pos count
	Confidence *Number   // nil when not written
	Window     *Duration // nil for one window over the whole span
	Since      *Moment   // nil for the beginning
	Until      *Moment   // nil for the end
}

// Moment is a point of time, as written.
type Moment struct {
	Pos  Pos
	Time time.Time     // of a text
	Ago  time.Duration // of a duration; above 0
}

// At is the moment as seen at another one.
func (m Moment) At(now time.Time) time.Time {
	if m.Ago > 0 {
		return now.Add(-m.Ago)
	}
	return m.Time
}

// ParseStored reads and checks a question about stored reports. Its error is an [*Error] about the first thing that is wrong.
func ParseStored(text string) (*Stored, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	q := &Stored{}
	if err := p.stored(q); err != nil {
		return nil, err
	}
	if err := q.check(); err != nil {
		return nil, err
	}
	return q, nil
}

// storedClause is one clause of such a question, in the order in which they stand.
type storedClause struct {
	word string
	read func(*parser, *Stored) *Error
}

func storedClauses() []storedClause {
	return []storedClause{
		{"SELECT", func(p *parser, q *Stored) *Error {
			s := &Script{}
			err := p.selectList(s)
			q.Select = s.Select
			return err
		}},
		{"FROM", (*parser).fromKappa},
		{"WHERE", func(p *parser, q *Stored) *Error {
			s := &Script{}
			err := p.where(s)
			q.Where = s.Where
			return err
		}},
		{"GROUP", func(p *parser, q *Stored) *Error {
			s := &Script{}
			err := p.groupBy(s)
			q.GroupBy = s.GroupBy
			return err
		}},
		{"SAMPLE", func(p *parser, q *Stored) *Error {
			q.Sample = &Sample{Pos: p.tokens[p.at-1].pos}
			err := p.size(q.Sample)
			q.Confidence = q.Sample.Confidence // MARGIN m CONFIDENCE p
			return err
		}},
		{"CONFIDENCE", func(p *parser, q *Stored) (err *Error) {
			if q.Confidence != nil {
				return errorAt(p.tokens[p.at-1].pos, "keep one of them", "a second CONFIDENCE")
			}
			q.Confidence, err = p.number("a confidence, e.g. 0.95")
			return err
		}},
		{"WINDOW", func(p *parser, q *Stored) *Error {
			d, err := p.duration("a duration")
			q.Window = &d
			return err
		}},
		{"SINCE", func(p *parser, q *Stored) (err *Error) {
			q.Since, err = p.moment()
			return err
		}},
		{"UNTIL", func(p *parser, q *Stored) (err *Error) {
			q.Until, err = p.moment()
			return err
		}},
	}
}

const storedOrder = "the order is SELECT, FROM, WHERE, GROUP BY, SAMPLE, CONFIDENCE, WINDOW, SINCE, UNTIL"

// stored reads the clauses up to the end.
func (p *parser) stored(q *Stored) *Error {
	if !p.peek().is("SELECT") {
		return p.expected("SELECT", didYouMean(p.peek().text, "a question about stored reports begins with SELECT", "SELECT"))
	}
	list := storedClauses()
	words := make([]string, len(list))
	for i, c := range list {
		words[i] = c.word
	}
	next := 0 // the earliest clause that may follow
	for {
		t := p.peek()
		if t.kind == end || p.acceptSymbol(";") && p.peek().kind == end {
			break
		}
		i := storedClauseOf(list, t)
		switch {
		case i < 0 && next == 1 && isStatStart(p):
			return p.expected("FROM", "put a comma between two statistics")
		case i < 0 && next == 1:
			return p.expected("FROM", didYouMean(t.text, "name the kappa, e.g. FROM kappa.indoor", "FROM"))
		case i < 0:
			return p.expected(anyOf(append(words[min(next, len(words)):len(words):len(words)], "the end")...), didYouMean(t.text, "", words...))
		case i < next:
			return errorAt(t.pos, storedOrder, "%s stands too late, or twice", list[i].word)
		case i > 1 && next < 2:
			return p.expected("FROM", "name the kappa, e.g. FROM kappa.indoor")
		}
		p.at++
		if err := list[i].read(p, q); err != nil {
			return err
		}
		next = i + 1
	}
	if next < 2 {
		return p.expected("FROM", "name the kappa, e.g. FROM kappa.indoor")
	}
	return nil
}

func storedClauseOf(list []storedClause, t token) int {
	for i, c := range list {
		if t.is(c.word) {
			return i
		}
	}
	return -1
}

// fromKappa reads kappa.name.
func (p *parser) fromKappa(q *Stored) *Error {
	first, err := p.ident("kappa. and a name, e.g. kappa.indoor")
	if err != nil {
		return err
	}
	if !strings.EqualFold(first.Text, "kappa") || !p.acceptSymbol(".") {
		return errorAt(first.Pos, "stored reports belong to a kappa: write FROM kappa."+first.Text, "expected kappa. and a name, found %s", first.Text)
	}
	q.Kappa, err = p.ident("the kappa's name or reference")
	return err
}

// moment reads '2026-11-20', '2026-11-20T10:00:00Z' or a duration.
func (p *parser) moment() (*Moment, *Error) {
	const what, hint = "a moment", "write '2026-11-20', '2026-11-20T10:00:00Z', or 2h for two hours ago"
	t := p.peek()
	switch t.kind { //nolint:exhaustive // the others are no moments
	case span:
		d, err := p.duration(what)
		return &Moment{Pos: t.pos, Ago: d.Value}, err
	case literal:
		for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
			if at, err := time.Parse(layout, t.text); err == nil {
				p.at++
				return &Moment{Pos: t.pos, Time: at.UTC()}, nil
			}
		}
	}
	return nil, p.expected(what, hint)
}

// check holds the rules of meaning.
func (q *Stored) check() *Error {
	if len(q.Select) > statisticsMax {
		return errorAt(q.Select[statisticsMax].Pos, "ask a second question", "a question has at most %d statistics", statisticsMax)
	}
	seen := map[string]bool{}
	for _, stat := range q.Select {
		if seen[stat.Name()] {
			return errorAt(stat.Pos, "give one of them another name with AS", "two statistics have the name %s", stat.Name())
		}
		seen[stat.Name()] = true
		if err := checkStatistic(stat); err != nil {
			return err
		}
	}
	for n := range (&Script{Select: q.Select, Where: q.Where}).numbers() {
		if !n.Bound {
			return errorAt(n.Pos, "write the number itself", "a question about stored reports has no parameters, found $%s", n.Param)
		}
	}
	if len(q.GroupBy) > attributesMax {
		return errorAt(q.GroupBy[attributesMax].Pos, "", "at most %d attributes make the cells", attributesMax)
	}
	if c := q.Confidence; c != nil && !(c.Bound && c.Value > 0 && c.Value < 1) {
		return errorAt(c.Pos, "write 0.95 for 95 percent", "expected a confidence between 0 and 1")
	}
	if s := q.Sample; s != nil {
		switch n := s.Number; {
		case s.Size == Devices:
			return errorAt(s.Pos, "write SAMPLE x PERCENT or SAMPLE MARGIN m", "the devices of stored reports have been drawn already")
		case s.PerCell && len(q.GroupBy) == 0:
			return errorAt(s.PerCellPos, "add GROUP BY, or leave PER CELL out", "PER CELL needs cells")
		case n != nil && !(n.Bound && n.Value > 0 && (s.Size != Percent || n.Value <= 100)):
			return errorAt(n.Pos, "", "expected a number above 0, of percent at most 100")
		}
	}
	return nil
}
