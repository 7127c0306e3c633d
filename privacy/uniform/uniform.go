// Package uniform draws exactly uniform integers from random words: several
// small ones from one word, by multiplication and a rare redraw.
//
// It stands below the categorical mechanisms, which need the number of an
// alternative or a random subset. Whether a word is drawn again depends on the
// word alone, never on a reading; after eight redraws the source is declared
// broken and there is no report.
//
//	err := uniform.Dice(src, sides[:], rolls[:])
package uniform

import (
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
)

// ProductMax bounds the product of the sides of the dice in one roll: a word is
// then drawn again less than once in 2¹² rolls.
const ProductMax = 1 << 52

// redraws bounds the search for an even word: a good source needs more than
// eight with probability below 2⁻⁹⁶.
const redraws = 8

// Dice rolls one die for each entry of sides: rolls[i] becomes uniform in
// 0…sides[i]-1, independent of the others, all from one word (Lemire 2019 for
// one die, Brackett-Rozinsky and Lemire 2024 for several). sides are at least 1,
// their product is at most ProductMax, and rolls is as long as sides: anything
// else gives privacy.ErrInput. A source that fails gives privacy.ErrEntropy.
func Dice(src privacy.Source, sides, rolls []uint32) error {
	if len(rolls) != len(sides) {
		return privacy.ErrInput
	}
	product := uint64(1)
	for _, n := range sides {
		hi, lo := bits.Mul64(product, uint64(n))
		if hi != 0 || lo == 0 || lo > ProductMax {
			return privacy.ErrInput
		}
		product = lo
	}
	for range redraws {
		word, err := src.Uint64()
		if err != nil {
			return err
		}
		if even(word, product, sides, rolls) {
			return nil
		}
	}
	return privacy.ErrEntropy
}

// even takes the digits of ⌊word·product/2⁶⁴⌋ in the mixed radix of the sides:
// that number is uniform, and with it its digits, once words whose remainder is
// below 2⁶⁴ mod product are left out.
func even(word, product uint64, sides, rolls []uint32) bool {
	rest := word
	for i, n := range sides {
		var high uint64
		high, rest = bits.Mul64(rest, uint64(n))
		rolls[i] = uint32(high)
	}
	return rest >= product || rest >= -product%product
}
