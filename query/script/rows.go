package script

import (
	"math"
	"slices"
	"strings"
	"time"
)

// Statement is what a client of tables may ask. One field is set.
type Statement struct {
	Stored   *Stored // a question about stored reports, FROM kappa.name
	Rows     *Rows   // stored rows, FROM results.name and the like
	Constant *int64  // SELECT 1, with which clients ask whether anybody is there
}

// Rows asks for the stored rows of one kappa as they are:
//
//	SELECT   * | column [AS name] {, …}
//	FROM     [[quadrat.]schema.]kappa [[AS] alias]
//	[ WHERE  condition { AND condition } ]
//	[ ORDER BY window_start [ASC | DESC] ]
//	[ LIMIT  n ] [ OFFSET n ]
//
// Without a schema it is results. A condition compares window_start, which is called time, too, with a moment by =, <, <=, >, >= or
// BETWEEN, or another column with a text by =, or with several by IN. A moment
// is '2026-11-20' or '2026-11-20T10:00:00Z', in UTC unless it names its offset, bare, behind TIMESTAMP or DATE, or in
// CAST(… AS TIMESTAMP). Treat it as read only.
type Rows struct {
	Columns []Column // empty for all
	Schema  Ident    // which sort of rows
	Kappa   Ident    // its name or reference
	Same    []Same   // conditions on columns with texts
	SinceMs int64    // first window start asked for, in milliseconds since 1970; 0 when open
	UntilMs int64    // first one no longer asked for; math.MaxInt64 when open
	Order   Order    // of the rows, by the starts of their windows
	Offset  int64    // rows to pass over
	Limit   int64    // most rows; math.MaxInt64 for all
}

// Column is a column that is asked for, and the name that it shall have.
type Column struct{ Name, As Ident }

// Same is the condition that a column holds one of some texts.
type Same struct {
	Column Ident
	Texts  []string
}

// Order is an order of rows.
type Order int8

// Orders by the start of the window. Rows of one window keep the order in which they are stored.
const (
	AsStored   Order = 0
	Ascending  Order = 1
	Descending Order = -1
)

// A span of windows is asked for by the column of their starts, under either name.
const (
	ColumnWindowStart = "window_start"
	ColumnTime        = "time"
)

// startsWindows tells whether a column is that of the starts of windows.
func startsWindows(column Ident) bool {
	return strings.EqualFold(column.Text, ColumnWindowStart) || strings.EqualFold(column.Text, ColumnTime)
}

// Empty tells whether no window can match.
func (r *Rows) Empty() bool { return r.SinceMs >= r.UntilMs }

// Span is the windows as two moments, of which the zero time stands for an open side.
func (r *Rows) Span() (since, until time.Time) {
	if r.SinceMs > 0 {
		since = time.UnixMilli(r.SinceMs)
	}
	if r.UntilMs != math.MaxInt64 {
		until = time.UnixMilli(r.UntilMs)
	}
	return since, until
}

// Find is the position of a column among those that there are, whatever its case, or an [*Error] with its place.
func (r *Rows) Find(column Ident, among []string) (int, error) {
	if i := slices.IndexFunc(among, func(name string) bool { return strings.EqualFold(name, column.Text) }); i >= 0 {
		return i, nil
	}
	return 0, errorAt(column.Pos, didYouMean(column.Text, "it has "+strings.Join(among, ", "), among...), "%s.%s has no column %q",
		r.Schema.Text, r.Kappa.Text, column.Text)
}

// At is an error about a part of a statement.
func (i Ident) At(hint, format string, args ...any) *Error {
	return errorAt(i.Pos, hint, format, args...)
}

// ParseSQL reads what a client of tables asks. Its error is an [*Error] about the first thing that is wrong.
func ParseSQL(text string) (*Statement, error) {
	tokens, err := lex(text)
	if err != nil {
		return nil, err
	}
	if asksReports(tokens) {
		q, err := ParseStored(text)
		if err != nil {
			return nil, err
		}
		return &Statement{Stored: q}, nil
	}
	p := &parser{tokens: tokens}
	if err := p.keyword("SELECT"); err != nil {
		err.Hint = "this server is read only: " + rowsHint
		return nil, err
	}
	if p.peek().kind == number {
		n, err := p.constant()
		if err != nil {
			return nil, err
		}
		return &Statement{Constant: n}, nil
	}
	r := &Rows{UntilMs: math.MaxInt64, Limit: math.MaxInt64}
	if err := p.rows(r); err != nil {
		return nil, err
	}
	return &Statement{Rows: r}, nil
}

// asksReports tells whether what stands behind the first FROM is kappa.name.
func asksReports(tokens []token) bool {
	for i, t := range tokens[:len(tokens)-1] {
		if t.is("FROM") {
			next := tokens[i+1]
			return next.is("kappa") || next.kind == quoted && strings.EqualFold(next.text, "kappa")
		}
	}
	return false
}

// constant reads SELECT 1 behind SELECT.
func (p *parser) constant() (*int64, *Error) {
	n, err := p.whole("a whole number")
	if err != nil {
		return nil, err
	}
	return &n, p.ends()
}

// ends takes the end of a statement.
func (p *parser) ends() *Error {
	p.acceptSymbol(";")
	if p.peek().kind == end {
		return nil
	}
	return p.expected("the end", "put one statement at a time")
}

// narrow takes one condition on window_start into the span. Windows before 1970 there are none.
func (r *Rows) narrow(op string, at time.Time) {
	floor := at.UnixMilli()
	ceil := floor
	if at.After(time.UnixMilli(floor)) {
		ceil++
	}
	since, until := int64(0), int64(math.MaxInt64)
	switch op {
	case "=":
		since, until = ceil, floor+1
	case ">=":
		since = ceil
	case ">":
		since = floor + 1
	case "<":
		until = ceil
	case "<=":
		until = floor + 1
	}
	r.SinceMs, r.UntilMs = max(r.SinceMs, since), min(r.UntilMs, max(until, 0))
}
