package uniform

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

// TestDiceAreDigits compares the rolls with the digits of ⌊word·product/2⁶⁴⌋ by
// big integers, at the words where the redraw begins and ends.
func TestDiceAreDigits(t *testing.T) {
	for _, sides := range [][]uint32{{1}, {2}, {3}, {6, 6, 6}, {1, 5, 1}, {1020, 1021, 1022, 1023, 1024}, {167_000, 1024, 1023}} {
		product := uint64(1)
		for _, n := range sides {
			product *= uint64(n)
		}
		// Words of which the remainder is below this are drawn again.
		uneven := -product % product
		step := math.MaxUint64/product + 1
		for _, word := range []uint64{0, 1, uneven, product, step - 1, step, 2 * step, 1 << 63, math.MaxUint64} {
			whole := new(big.Int).Mul(new(big.Int).SetUint64(word), new(big.Int).SetUint64(product))
			number := new(big.Int).Rsh(whole, 64).Uint64()
			want := make([]uint32, len(sides))
			for i := len(sides) - 1; i >= 0; i-- {
				want[i] = uint32(number % uint64(sides[i]))
				number /= uint64(sides[i])
			}
			got := make([]uint32, len(sides))
			ok := even(word, product, sides, got)
			if ok != (word*product >= uneven) {
				t.Errorf("%v: word %x even: %v", sides, word, ok)
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%v: word %x rolls %v, want %v", sides, word, got, want)
			}
		}
	}
}

// TestEveryRollHasAsManyWords counts, in a world of 16-bit words, the words that
// are kept for each number: the argument of the package, exhaustively.
func TestEveryRollHasAsManyWords(t *testing.T) {
	const words = 1 << 16
	for _, product := range []int{2, 3, 6, 100, 255, 257, 1000, 4096} {
		counts := make([]int, product)
		for word := range words {
			if rest := word * product % words; rest >= words%product {
				counts[word*product/words]++
			}
		}
		for number, n := range counts {
			if n != words/product {
				t.Fatalf("product %d: number %d has %d words, want %d", product, number, n, words/product)
			}
		}
	}
}

func TestRefusals(t *testing.T) {
	src := privacy.NewSeeded(1)
	var rolls [3]uint32
	for _, sides := range [][]uint32{{0, 1, 1}, {1, 1}, {math.MaxUint32, math.MaxUint32, 2}, {1 << 20, 1 << 20, 1 << 13}} {
		if err := Dice(src, sides, rolls[:]); !errors.Is(err, privacy.ErrInput) {
			t.Errorf("%v: %v", sides, err)
		}
	}
	if err := Dice(privacy.NewSecure(nil), []uint32{6, 6, 6}, rolls[:]); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("no entropy: %v", err)
	}
}

func ExampleDice() {
	var rolls [2]uint32
	if err := Dice(privacy.NewSeeded(1), []uint32{6, 6}, rolls[:]); err != nil {
		panic(err)
	}
	fmt.Println(rolls[0] < 6, rolls[1] < 6)
	// Output: true true
}
