package tabular

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a word of a condition.
type token struct {
	text   string
	quoted bool // a 'text'
	name   bool // may be a column
}

// split cuts a condition into words.
func split(text string) ([]token, error) {
	var tokens []token
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		first, _ := utf8.DecodeRuneInString(text)
		switch {
		case first == '\'' || first == '"':
			inner, rest, err := unquote(text[1:], byte(first))
			if err != nil {
				return nil, err
			}
			tokens = append(tokens, token{text: inner, quoted: first == '\'', name: first == '"'})
			text = rest
		case inWord(first) || first == '-' || first == '+':
			end := strings.IndexFunc(text[1:], func(r rune) bool { return !inWord(r) && !exponent(text, r) })
			if end < 0 {
				end = len(text) - 1
			}
			word := text[:end+1]
			tokens = append(tokens, token{text: word, name: unicode.IsLetter(first) || first == '_' || first == '.'})
			text = text[end+1:]
		default:
			size := 1
			for _, pair := range [...]string{"==", "!=", "<>", "<=", ">=", "&&", "||"} {
				if strings.HasPrefix(text, pair) {
					size = 2
				}
			}
			if !strings.ContainsAny(text[:1], "=!<>&|(),") {
				return nil, fmt.Errorf("condition: unexpected %q", first)
			}
			tokens = append(tokens, token{text: text[:size]})
			text = text[size:]
		}
	}
	return tokens, nil
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '.' }

// exponent says whether a sign may stand inside: a number like 1e-5 holds one.
func exponent(text string, r rune) bool {
	first, _ := utf8.DecodeRuneInString(text)
	return r == '-' && (unicode.IsDigit(first) || first == '-' || first == '+')
}

// unquote returns what stands before the closing quote, a doubled one standing for itself, and the rest.
func unquote(text string, quote byte) (inner, rest string, err error) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != quote {
			b.WriteByte(text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		return b.String(), text[i+1:], nil
	}
	return "", "", errors.New("condition: a quote isn't closed")
}
