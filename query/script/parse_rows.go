package script

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const rowsHint = "SELECT * FROM results.<kappa> or reports.<kappa>, or SELECT mean(…) FROM kappa.<kappa>"

// qualified is a name with those before it: schema, table or alias.
type qualified struct {
	before []Ident
	last   Ident // its text is "*" for all columns
}

// rows reads what follows SELECT, up to the end.
func (p *parser) rows(r *Rows) *Error {
	asked, err := p.columns(r)
	if err != nil {
		return err
	}
	if err := p.keyword("FROM"); err != nil {
		err.Hint = cmp.Or(err.Hint, "a column is a name; name the table with FROM, e.g. FROM results.indoor")
		return err
	}
	alias, err := p.table(r)
	if err != nil {
		return err
	}
	if p.accept("WHERE") {
		more, err := p.conditions(r)
		if err != nil {
			return err
		}
		asked = append(asked, more...)
	}
	if p.accept("ORDER") {
		by, err := p.order(r)
		if err != nil {
			return err
		}
		asked = append(asked, by)
	}
	if err := p.page(r); err != nil {
		return err
	}
	if p.peek().kind == word {
		return p.strayClause()
	}
	if err := p.ends(); err != nil {
		return err
	}
	return r.own(alias, asked)
}

// columns reads * or a list of columns. What they were qualified with is checked once the table is known.
func (p *parser) columns(r *Rows) (asked []qualified, err *Error) {
	for {
		name, err := p.qualified(true)
		if err != nil {
			return nil, err
		}
		asked = append(asked, name)
		column := Column{Name: name.last, As: name.last}
		if p.accept("AS") {
			if column.As, err = p.ident("a name for the column"); err != nil {
				return nil, err
			}
		}
		r.Columns = append(r.Columns, column)
		if p.acceptSymbol(",") {
			continue
		}
		if p.peek().is("FROM") || p.peek().kind == end {
			break
		}
		if p.peek().text == "(" {
			return nil, p.expected("a column", "functions are for stored reports: SELECT mean(temperature) FROM kappa.<kappa>")
		}
		return nil, p.expected("FROM", "put AS before another name of a column, and a comma between two columns")
	}
	star := slices.IndexFunc(r.Columns, func(c Column) bool { return c.Name.Text == "*" })
	if star >= 0 && len(r.Columns) > 1 {
		return nil, r.Columns[star].Name.At("write * alone, or name the columns", "* stands beside other columns")
	}
	if star >= 0 {
		r.Columns = nil
	}
	return asked, nil
}

// qualified reads name, alias.name, schema.table.name and the like, and * for the name where star is true.
func (p *parser) qualified(star bool) (qualified, *Error) {
	var q qualified
	for {
		if t := p.peek(); star && p.acceptSymbol("*") {
			q.last = Ident{Pos: t.pos, Text: "*"}
			return q, nil
		}
		name, err := p.columnName()
		if err != nil {
			return q, err
		}
		if !p.acceptSymbol(".") {
			q.last = name
			return q, nil
		}
		if q.before = append(q.before, name); len(q.before) > 3 {
			return q, name.At("write the column alone", "at most catalog, schema and table stand before a column")
		}
	}
}

// columnName reads a name, which may also be a word of the other language that is a column here.
func (p *parser) columnName() (Ident, *Error) {
	if t := p.peek(); t.is("EPSILON") || t.is("CONFIDENCE") {
		p.at++
		return Ident{Pos: t.pos, Text: strings.ToLower(t.text)}, nil
	}
	return p.ident("a column or *")
}

// table reads [[quadrat.]schema.]kappa and the alias behind it.
func (p *parser) table(r *Rows) (alias Ident, err *Error) {
	var parts []Ident
	for {
		part, err := p.ident("a table, e.g. results.indoor")
		if err != nil {
			return alias, err
		}
		if parts = append(parts, part); !p.acceptSymbol(".") {
			break
		}
	}
	switch {
	case len(parts) == 1: // as a client writes that knows a table by its name alone
		parts = []Ident{{Pos: parts[0].Pos, Text: "results"}, parts[0]}
	case len(parts) == 3 && strings.EqualFold(parts[0].Text, "quadrat"):
		parts = parts[1:]
	case len(parts) != 2:
		return alias, parts[0].At("write results.<kappa>, reports.<kappa> or strata.<kappa>", "expected a schema and a kappa")
	}
	r.Schema, r.Kappa = parts[0], parts[1]
	if t := p.peek(); p.accept("AS") || t.name() && !clauseOfRows(t) {
		return p.ident("another name for the table")
	}
	return alias, nil
}

// clauseOfRows tells whether a word begins a clause here or in other SQL, so that it is no alias.
func clauseOfRows(t token) bool {
	return t.kind == word && slices.ContainsFunc(
		[]string{"LIMIT", "OFFSET", "ORDER", "HAVING", "JOIN", "LEFT", "RIGHT", "INNER", "FULL", "CROSS", "UNION", "EXCEPT", "INTERSECT", "FETCH", "FOR"}, t.is)
}

// strayClause is the error about a clause that stored rows can't be asked with.
func (p *parser) strayClause() *Error {
	t := p.peek()
	hint := didYouMean(t.text, "the clauses are SELECT, FROM, WHERE, ORDER BY, LIMIT, OFFSET", "WHERE", "LIMIT", "OFFSET")
	switch {
	case t.is("GROUP") || t.is("HAVING"):
		hint = "stored reports can be grouped: SELECT mean(…) FROM kappa.<kappa> GROUP BY …"
	case t.is("ORDER"):
		hint = "ORDER BY stands before LIMIT and OFFSET"
	case t.is("OR"):
		hint = "conditions are joined by AND"
	}
	return p.expected("a clause of rows or the end", hint)
}

// order reads what follows ORDER.
func (p *parser) order(r *Rows) (by qualified, err *Error) {
	const hint = "rows can be ordered by window_start alone; sort them by more where they are read"
	if err := p.keyword("BY"); err != nil {
		return by, err
	}
	at := p.peek()
	if by, err = p.qualified(false); err != nil {
		err.Hint = hint
		return by, err
	}
	if !startsWindows(by.last) {
		return by, errorAt(at.pos, hint, "expected window_start, found %s", by.last.Text)
	}
	r.Order = Ascending
	if p.accept("DESC") {
		r.Order = Descending
	} else {
		p.accept("ASC")
	}
	if p.peek().text == "," {
		return by, p.expected("LIMIT, OFFSET or the end", hint)
	}
	return by, nil
}

// page reads LIMIT and OFFSET, in either order.
func (p *parser) page(r *Rows) (err *Error) {
	for err == nil {
		switch {
		case p.accept("LIMIT"):
			r.Limit, err = p.whole("a whole number of rows")
		case p.accept("OFFSET"):
			r.Offset, err = p.whole("a whole number of rows")
		default:
			return nil
		}
	}
	return err
}

func (p *parser) whole(what string) (int64, *Error) {
	n, err := strconv.ParseInt(p.peek().text, 10, 64)
	if err != nil || p.peek().kind != number {
		return 0, p.expected(what, "")
	}
	p.at++
	return n, nil
}

// own refuses columns of other tables.
func (r *Rows) own(alias Ident, asked []qualified) *Error {
	for _, q := range asked {
		if len(q.before) == 0 {
			continue
		}
		nearest := q.before[len(q.before)-1]
		if !strings.EqualFold(nearest.Text, cmp.Or(alias.Text, r.Kappa.Text)) {
			return nearest.At("write the column alone", "%s is not the table that is asked", nearest.Text)
		}
	}
	return nil
}

// conditions reads condition AND condition ….
func (p *parser) conditions(r *Rows) (asked []qualified, err *Error) {
	for {
		column, err := p.qualified(false)
		if err != nil {
			return nil, err
		}
		asked = append(asked, column)
		if startsWindows(column.last) {
			err = p.conditionOnTime(r)
		} else {
			err = p.conditionOnText(r, column.last)
		}
		if err != nil || !p.accept("AND") {
			return asked, err
		}
	}
}

func (p *parser) conditionOnTime(r *Rows) *Error {
	if p.accept("BETWEEN") {
		first, err := p.timestamp()
		if err != nil {
			return err
		}
		if err := p.keyword("AND"); err != nil {
			return err
		}
		last, err := p.timestamp()
		if err != nil {
			return err
		}
		r.narrow(">=", first)
		r.narrow("<=", last)
		return nil
	}
	op := p.peek()
	if op.kind != symbol || !slices.Contains([]string{"=", "<", "<=", ">", ">="}, op.text) {
		return p.expected("=, <, <=, >, >= or BETWEEN", "")
	}
	p.at++
	at, err := p.timestamp()
	if err == nil {
		r.narrow(op.text, at)
	}
	return err
}

func (p *parser) conditionOnText(r *Rows, column Ident) *Error {
	same := Same{Column: column}
	switch {
	case p.acceptSymbol("="):
		if err := p.text(&same); err != nil {
			return err
		}
	case p.accept("IN"):
		if err := p.expectSymbol("(", ""); err != nil {
			return err
		}
		for more := true; more; more = p.acceptSymbol(",") {
			if err := p.text(&same); err != nil {
				return err
			}
		}
		if err := p.expectSymbol(")", ""); err != nil {
			return err
		}
	default:
		return p.expected("= or IN", "a column other than window_start can only be compared with texts, by = or IN")
	}
	r.Same = append(r.Same, same)
	return nil
}

// text reads one of the texts of a condition.
func (p *parser) text(s *Same) *Error {
	t := p.peek()
	if t.kind != literal {
		return p.expected("a text", "write it in single quotes, '…'")
	}
	p.at++
	s.Texts = append(s.Texts, t.text)
	return nil
}

// timestamp reads a moment, bare, behind TIMESTAMP or DATE, or in CAST(… AS TIMESTAMP).
func (p *parser) timestamp() (at time.Time, err *Error) {
	if !p.accept("CAST") {
		_ = p.accept("TIMESTAMP") || p.accept("DATE")
		return p.instant()
	}
	if err := p.expectSymbol("(", ""); err != nil {
		return at, err
	}
	if at, err = p.instant(); err != nil {
		return at, err
	}
	if err := p.keyword("AS"); err != nil {
		return at, err
	}
	if !p.accept("TIMESTAMP") {
		return at, p.expected("TIMESTAMP", "")
	}
	return at, p.expectSymbol(")", "")
}

func (p *parser) instant() (time.Time, *Error) {
	if t := p.peek(); t.kind == literal {
		for _, layout := range []string{
			time.DateOnly, time.RFC3339Nano, "2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
		} {
			if at, err := time.Parse(layout, t.text); err == nil {
				p.at++
				return at, nil
			}
		}
	}
	return time.Time{}, p.expected("a moment", "write '2026-11-20' or '2026-11-20T10:00:00Z'")
}
