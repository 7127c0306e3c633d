package sensor

import (
	"math/big"
	"strings"

	"github.com/quadrat-dev/quadrat/privacy"
)

// million is one unit in millionths.
const million = 1_000_000

// textMost bounds the text of a number.
const textMost = 48

func milli() *big.Rat { return big.NewRat(1, 1000) }

// rational reads a plain decimal exactly, with an exponent of at most two digits.
func rational(text string) (*big.Rat, error) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > textMost || numberEnd(text) != len(text) {
		return nil, ErrNumber
	}
	if e := strings.IndexAny(text, "eE"); e >= 0 && len(text)-e > len("e+99") {
		return nil, ErrNumber
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil, ErrNumber
	}
	return r, nil
}

// micro rounds to the nearest millionth, halves away from zero.
func micro(r *big.Rat) (privacy.Micro, error) {
	scaled := new(big.Rat).Mul(r, big.NewRat(million, 1))
	twice := new(big.Int).Lsh(new(big.Int).Abs(scaled.Num()), 1)
	twice.Add(twice, scaled.Denom())
	twice.Quo(twice, new(big.Int).Lsh(scaled.Denom(), 1))
	if r.Sign() < 0 {
		twice.Neg(twice)
	}
	if !twice.IsInt64() {
		return 0, ErrNumber
	}
	return privacy.Micro(twice.Int64()), nil
}

// scaled reads a number and multiplies it.
func scaled(text string, scale *big.Rat) (privacy.Micro, error) {
	r, err := rational(text)
	if err != nil {
		return 0, err
	}
	return micro(r.Mul(r, scale))
}

// firstNumber returns the first decimal number in a text, empty when there is none.
func firstNumber(text string) string {
	for i := range len(text) {
		if n := numberEnd(text[i:]); n > 0 {
			return text[i : i+n]
		}
	}
	return ""
}

// numberEnd returns how long the number at the beginning of a text is, 0 when there is none.
func numberEnd(text string) int {
	i := 0
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		i++
	}
	whole := digits(text[i:])
	i += whole
	fraction := 0
	if i < len(text) && text[i] == '.' {
		fraction = digits(text[i+1:])
		if whole+fraction > 0 {
			i += 1 + fraction
		}
	}
	if whole+fraction == 0 {
		return 0
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		j := i + 1
		if j < len(text) && (text[j] == '-' || text[j] == '+') {
			j++
		}
		if n := digits(text[j:]); n > 0 {
			return j + n
		}
	}
	return i
}

func digits(text string) int {
	i := 0
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	return i
}

// Parser reads the numbers of a sensor that sends them as text.
type Parser struct{ scale *big.Rat }

// Parser returns the parser of a spec, of which it needs the scale alone.
func (s Spec) Parser() (Parser, error) {
	scale, err := s.scale()
	return Parser{scale: scale}, err
}

// Read turns a decimal into millionths of its unit, exactly but for the last rounding. ErrNumber says that it is none, or doesn't
// fit.
func (p Parser) Read(text string) (privacy.Micro, error) { return scaled(text, p.scale) }
