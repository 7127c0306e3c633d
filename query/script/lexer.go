package script

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// bytesMax bounds a script; a longer one is a mistake.
const bytesMax = 64 << 10

type kind uint8

const (
	end       kind = iota
	word           // a bare word: keyword or name
	quoted         // "name"
	literal        // 'text'
	number         // 12, 0.5, 1e3
	span           // a number with letters right behind it: 30s
	parameter      // $n
	symbol
)

// token is a piece of a script. Of a quoted one, text holds what it means; raw is what was written.
type token struct {
	kind kind
	text string
	raw  string
	pos  Pos
}

// lexer cuts a script into tokens.
type lexer struct {
	rest string
	pos  Pos
	out  []token
}

// lex gives the tokens of a script, the last of kind end.
func lex(source string) ([]token, *Error) {
	if len(source) > bytesMax {
		return nil, errorAt(Pos{1, 1}, "shorten it", "a script has at most %d bytes, found %d", bytesMax, len(source))
	}
	l := &lexer{rest: source, pos: Pos{1, 1}}
	for {
		if err := l.skip(); err != nil {
			return nil, err
		}
		if l.rest == "" {
			l.out = append(l.out, token{kind: end, pos: l.pos})
			return l.out, nil
		}
		if err := l.next(); err != nil {
			return nil, err
		}
	}
}

// skip passes over white space and comments.
func (l *lexer) skip() *Error {
	for l.rest != "" {
		r, size := utf8.DecodeRuneInString(l.rest)
		switch {
		case r == utf8.RuneError && size == 1:
			return errorAt(l.pos, "save the script as UTF-8", "a byte that is not valid UTF-8")
		case unicode.IsSpace(r) || r == '\ufeff':
			l.advance(size)
		case strings.HasPrefix(l.rest, "--"):
			length := strings.IndexByte(l.rest, '\n')
			if length < 0 {
				length = len(l.rest)
			}
			l.advance(length)
		default:
			return nil
		}
	}
	return nil
}

// advance moves over size bytes and counts lines and columns.
func (l *lexer) advance(size int) {
	for _, r := range l.rest[:size] {
		if r == '\n' {
			l.pos.Line++
			l.pos.Column = 1
			continue
		}
		l.pos.Column++
	}
	l.rest = l.rest[size:]
}

func (l *lexer) emit(k kind, size int, text string) {
	l.out = append(l.out, token{kind: k, text: text, raw: l.rest[:size], pos: l.pos})
	l.advance(size)
}

func (l *lexer) next() *Error {
	r, _ := utf8.DecodeRuneInString(l.rest)
	switch {
	case r == '\'' || r == '"':
		return l.quote(byte(r))
	case digit(r) || r == '.' && len(l.rest) > 1 && digit(rune(l.rest[1])):
		l.number()
		return nil
	case r == '$':
		size := 1 + wordLength(l.rest[1:])
		if size == 1 {
			return errorAt(l.pos, "write $n and give n when deploying", "expected a parameter's name after $")
		}
		l.emit(parameter, size, l.rest[1:size])
		return nil
	case wordStart(r):
		size := wordLength(l.rest)
		l.emit(word, size, l.rest[:size])
		return nil
	}
	return l.symbol(r)
}

// quote reads '…' or "…"; a doubled quote stands for one.
func (l *lexer) quote(mark byte) *Error {
	var text strings.Builder
	for i := 1; i < len(l.rest); i++ {
		c := l.rest[i]
		switch {
		case c == mark && i+1 < len(l.rest) && l.rest[i+1] == mark:
			text.WriteByte(mark)
			i++
		case c == mark:
			k := literal
			if mark == '"' {
				k = quoted
			}
			if !utf8.ValidString(text.String()) {
				return errorAt(l.pos, "save the script as UTF-8", "a byte that is not valid UTF-8")
			}
			l.emit(k, i+1, text.String())
			return nil
		case c < ' ' || c == 0x7f:
			return errorAt(l.pos, "close it with "+string(mark)+" on the same line",
				"expected a closing %c before the end of the line", mark)
		default:
			text.WriteByte(c)
		}
	}
	return errorAt(l.pos, "close it with "+string(mark), "expected a closing %c before the end of the script", mark)
}

// number reads digits, a point and an exponent; letters right behind make it a span.
func (l *lexer) number() {
	size := digits(l.rest)
	if size < len(l.rest) && l.rest[size] == '.' {
		size++
		size += digits(l.rest[size:])
	}
	size += exponent(l.rest[size:])
	k := number
	if letters := wordLength(l.rest[size:]); letters > 0 {
		k = span
		size += letters
	}
	l.emit(k, size, l.rest[:size])
}

// exponent is the length of e5, e-5 or E+5 at the head of text, 0 when there is none.
func exponent(text string) int {
	if text == "" || text[0] != 'e' && text[0] != 'E' {
		return 0
	}
	sign := 1
	if len(text) > 1 && (text[1] == '+' || text[1] == '-') {
		sign = 2
	}
	n := digits(text[sign:])
	if n == 0 || wordLength(text[sign+n:]) > 0 {
		return 0
	}
	return sign + n
}

// symbols are tried in order, longer ones first.
const symbols = "<> <= >= == != ( ) , . ; = < > + - * %"

func (l *lexer) symbol(r rune) *Error {
	for s := range strings.FieldsSeq(symbols) {
		if strings.HasPrefix(l.rest, s) {
			l.emit(symbol, len(s), s)
			return nil
		}
	}
	hint := ""
	switch {
	case strings.HasPrefix(l.rest, "//"), strings.HasPrefix(l.rest, "/*"), r == '#':
		hint = "a comment begins with --"
	case strings.ContainsRune("‘’“”„«»`´", r):
		hint = "write 'text' for text and \"name\" for a name, with straight quotes"
	case r == '≤' || r == '≥' || r == '≠':
		hint = "write <=, >= or <>"
	case r == '&' || r == '|':
		hint = "write AND or OR"
	case r == '−' || r == '–':
		hint = "write - for minus"
	}
	return errorAt(l.pos, hint, "unexpected character %q", r)
}

func digit(r rune) bool { return r >= '0' && r <= '9' }

func wordStart(r rune) bool { return r == '_' || unicode.IsLetter(r) }

func digits(text string) int {
	n := 0
	for n < len(text) && digit(rune(text[n])) {
		n++
	}
	return n
}

// wordLength is the length in bytes of the letters, digits, marks and underscores at the head of text.
func wordLength(text string) int {
	for i, r := range text {
		if !wordStart(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) || r == utf8.RuneError {
			return i
		}
	}
	return len(text)
}
