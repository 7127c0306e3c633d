package privacy

import (
	"math"
	"strconv"
)

// Micro is a fixed-point number: millionths of the unit of the reading. It is
// what a reading becomes on the device, so that no floating point stands
// between the sensor and the report. Range ±9.2·10¹² units.
type Micro int64

// places is the number of decimals that a Micro holds.
const places = 6

// ParseMicro reads a decimal such as "-3", "21.5" or "2.15e1" with integer
// arithmetic alone. Decimals past the sixth are rounded to the nearest
// millionth, halves away from zero. It fails with ErrNumber on anything else
// and on overflow; the error never contains the text.
func ParseMicro(text string) (Micro, error) {
	negative := false
	if text != "" && (text[0] == '-' || text[0] == '+') {
		negative = text[0] == '-'
		text = text[1:]
	}
	mantissa, exponent, err := splitExponent(text)
	if err != nil {
		return 0, err
	}
	var digits [maxDigits]byte
	n, point, err := scanDigits(mantissa, &digits)
	if err != nil {
		return 0, err
	}
	magnitude, err := scale(digits[:n], point+exponent)
	if err != nil {
		return 0, err
	}
	if negative {
		return -Micro(magnitude), nil
	}
	return Micro(magnitude), nil
}

// MicroOf returns the nearest Micro. It is for bounds that a server reads from
// a script; a device reads text with ParseMicro. It fails with ErrNumber when x
// is not finite or doesn't fit.
func MicroOf(x float64) (Micro, error) {
	scaled := math.Round(x * million)
	if math.IsNaN(scaled) || math.Abs(scaled) >= 1<<63 {
		return 0, ErrNumber
	}
	return Micro(scaled), nil
}

// Float64 returns the number in the unit of the reading.
func (m Micro) Float64() float64 { return float64(m) / million }

// String returns the shortest exact decimal.
func (m Micro) String() string {
	var buf [32]byte
	b := buf[:0]
	magnitude := uint64(m)
	if m < 0 {
		b = append(b, '-')
		magnitude = -magnitude
	}
	return string(appendDecimal(b, magnitude))
}

// maxDigits bounds the significant digits that are kept; a longer number is
// cut, not rounded, which can only matter beyond the millionths.
const maxDigits = 40

// splitExponent cuts "2.15e1" into mantissa and exponent.
func splitExponent(text string) (string, int, error) {
	for i := range len(text) {
		if text[i] != 'e' && text[i] != 'E' {
			continue
		}
		exponent := 0
		negative := false
		rest := text[i+1:]
		if rest != "" && (rest[0] == '-' || rest[0] == '+') {
			negative = rest[0] == '-'
			rest = rest[1:]
		}
		if rest == "" || len(rest) > 4 {
			return "", 0, ErrNumber
		}
		for j := range len(rest) {
			if rest[j] < '0' || rest[j] > '9' {
				return "", 0, ErrNumber
			}
			exponent = exponent*10 + int(rest[j]-'0')
		}
		if negative {
			exponent = -exponent
		}
		return text[:i], exponent, nil
	}
	return text, 0, nil
}

// scanDigits copies the significant digits and returns their number and the
// place of the decimal point counted from the first of them.
func scanDigits(text string, digits *[maxDigits]byte) (n, point int, err error) {
	seen, dotted := false, false
	for i := range len(text) {
		c := text[i]
		switch {
		case c == '.' && !dotted:
			dotted = true
			continue
		case c < '0' || c > '9':
			return 0, 0, ErrNumber
		}
		seen = true
		leading := n == 0 && c == '0'
		if !leading && n < maxDigits {
			digits[n] = c - '0'
			n++
		}
		switch {
		case dotted && leading:
			point--
		case !dotted && !leading:
			point++
		}
	}
	if !seen {
		return 0, 0, ErrNumber
	}
	return n, point, nil
}

// scale returns the digits as millionths: 0.d₁d₂… · 10^point, rounded to the
// nearest, halves up.
func scale(digits []byte, point int) (uint64, error) {
	if len(digits) == 0 {
		return 0, nil
	}
	wanted := point + places
	if wanted < 0 {
		return 0, nil
	}
	if wanted > 19 {
		return 0, ErrNumber
	}
	var value uint64
	for i := range wanted {
		d := byte(0)
		if i < len(digits) {
			d = digits[i]
		}
		if value > (math.MaxInt64-uint64(d))/10 {
			return 0, ErrNumber
		}
		value = value*10 + uint64(d)
	}
	if wanted < len(digits) && digits[wanted] >= 5 {
		value++
	}
	if value > math.MaxInt64 {
		return 0, ErrNumber
	}
	return value, nil
}

// appendDecimal appends so many millionths as the shortest exact decimal.
func appendDecimal(b []byte, micro uint64) []byte {
	b = strconv.AppendUint(b, micro/million, 10)
	fraction := micro % million
	if fraction == 0 {
		return b
	}
	b = append(b, '.')
	for unit := uint64(million / 10); fraction > 0; unit /= 10 {
		b = append(b, byte('0'+fraction/unit))
		fraction %= unit
	}
	return b
}
