package laplace

import (
	"errors"
	"math/big"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

// wordFor is the least word for which uniform(n) is x, and last the greatest: the
// product of a word and n has x in its high half, and its low half is no less
// than what 2⁶⁴ leaves over when n divides it.
func wordFor(n, x uint64) (first, last uint64) {
	whole := new(big.Int).Lsh(big.NewInt(1), 64)
	over := new(big.Int).Mod(whole, new(big.Int).SetUint64(n))
	low := new(big.Int).Mul(whole, new(big.Int).SetUint64(x))
	high := new(big.Int).Add(low, whole)
	low.Add(low, over).Add(low, new(big.Int).SetUint64(n-1)).Quo(low, new(big.Int).SetUint64(n))
	high.Sub(high, big.NewInt(1)).Quo(high, new(big.Int).SetUint64(n))
	return low.Uint64(), high.Uint64()
}

// TestUniformIsEven: each place has exactly ⌊2⁶⁴/n⌋ words, those from first to last, and
// the word before them is drawn again or belongs to the place before.
func TestUniformIsEven(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 5, 7, 64, 1_000_003, 1<<56 - 5, 65536 * million << spare, 3 << 59, 1<<61 - 1} {
		for _, x := range []uint64{0, 1, n / 3, n / 2, n - 2, n - 1} {
			if x >= n {
				continue
			}
			first, last := wordFor(n, x)
			words := new(big.Int).Quo(new(big.Int).Lsh(big.NewInt(1), 64), new(big.Int).SetUint64(n))
			if got := new(big.Int).SetUint64(last - first); words.Cmp(got.Add(got, big.NewInt(1))) != 0 {
				t.Fatalf("n = %d: place %d has %v words of %v", n, x, got, words)
			}
			for word, belongs := range map[uint64]bool{first: true, last: true, first - 1: false, last + 1: false} {
				// A word that is drawn again is followed by one for another place.
				other, _ := wordFor(n, (x+1)%n)
				got, err := uniform(&inTurn{words: []uint64{word, other}}, n)
				if err != nil || n > 1 && (got == x) != belongs {
					t.Fatalf("n = %d: word %d gives %d, %v; place %d has those from %d to %d", n, word, got, err, x, first, last)
				}
			}
		}
	}
}

// script makes words by which uniform(n) is x, pair by pair.
func script(pairs ...[2]uint64) []uint64 {
	out := make([]uint64, len(pairs))
	for i, p := range pairs {
		out[i], _ = wordFor(p[0], p[1])
	}
	return out
}

// TestCoinCountsItsTerms goes through all that a coin can see: the first term that
// fails decides by whether its number is odd, and no term past the last is looked at.
func TestCoinCountsItsTerms(t *testing.T) {
	const a, b = 2, 5
	for failing := uint64(1); failing <= termsMax+1; failing++ {
		var pairs [][2]uint64
		for k := uint64(1); k < failing; k++ {
			pairs = append(pairs, [2]uint64{b * k, k % a}) // below a
		}
		pairs = append(pairs, [2]uint64{b * failing, a}) // the least that isn't
		words := &inTurn{words: script(pairs...)}
		head, err := bernoulliExp(words, a, b)
		if failing > termsMax {
			if !errors.Is(err, privacy.ErrEntropy) || words.next != termsMax {
				t.Fatalf("a coin goes on after %d terms: %v", words.next, err)
			}
			continue
		}
		if err != nil || head != (failing%2 == 1) || words.next != int(failing) {
			t.Fatalf("term %d fails: %v after %d words, %v", failing, head, words.next, err)
		}
	}
}

// TestNoiseFollowsItsDecisions goes through offsets, whole scales and signs on a small
// grid: the noise is what the algorithm says.
func TestNoiseFollowsItsDecisions(t *testing.T) {
	for _, m := range []*Mechanism{{unit: 8, rate: 3}, {unit: 5, rate: 7}, {unit: 6, rate: 1}} {
		heads, tail := [][2]uint64{{1, 0}, {2, 0}, {3, 1}}, [][2]uint64{{1, 0}, {2, 1}} // of a coin of 1/e
		for offset := range m.unit {
			for whole := range uint64(6) {
				pairs := [][2]uint64{{m.unit, offset}, {m.unit, m.unit - 1}} // kept at the first term
				for range whole {
					pairs = append(pairs, heads...)
				}
				words := script(append(pairs, tail...)...)
				magnitude := int64((whole*m.unit + offset) / m.rate)
				for sign, want := range map[uint64]int64{0: magnitude, 1 << 63: -magnitude} {
					words := append(slices.Clip(words), sign)
					again := -1
					if sign != 0 && magnitude == 0 { // drawn again whole
						again = len(words)
						words = append(append(words, script(pairs...)...), script(append(heads, tail...)...)...)
						words = append(words, 0)
						want = int64(((whole+1)*m.unit + offset) / m.rate)
					}
					got, err := m.noise(&inTurn{words: words})
					if err != nil || got != want {
						t.Fatalf("%+v: offset %d, %d whole, sign %d: %d, want %d, %v (again from %d)", m, offset, whole, sign>>63, got, want, err, again)
					}
				}
			}
		}
	}
}

// chances are those of a coin of e^(-a/b) by its terms: heads, tails, and no end.
func chances(a, b int64) (heads, tails, endless *big.Rat) {
	heads, tails = new(big.Rat), new(big.Rat)
	all := big.NewRat(1, 1) // the terms so far all succeed: γᵏ/k!
	for k := int64(1); k <= termsMax; k++ {
		next := new(big.Rat).Mul(all, big.NewRat(a, b*k))
		fails := new(big.Rat).Sub(all, next)
		if k%2 == 1 {
			heads.Add(heads, fails)
		} else {
			tails.Add(tails, fails)
		}
		all = next
	}
	return heads, tails, all
}

// TestLawIsTheDiscreteLaplace adds up the law of the noise from its decisions, as exact
// fractions, and holds it against e^(-|k|/t) between rational bounds: the two differ
// by what the series leaves out, less than 2⁻¹⁰⁰ of each probability.
func TestLawIsTheDiscreteLaplace(t *testing.T) {
	for _, m := range []*Mechanism{{unit: 8, rate: 2}, {unit: 10, rate: 3}, {unit: 5, rate: 10}, {unit: 16, rate: 1}} {
		one := int64(1)
		again, stop, _ := chances(one, one)
		law := map[int64]*big.Rat{}
		add := func(k int64, p *big.Rat) {
			if law[k] == nil {
				law[k] = new(big.Rat)
			}
			law[k].Add(law[k], p)
		}
		const wholes = 20
		for offset := range m.unit {
			kept, _, _ := chances(int64(offset), int64(m.unit))
			p := kept.Mul(kept, big.NewRat(1, 2*int64(m.unit))) // and a sign
			for whole := range uint64(wholes) {
				ends := new(big.Rat).Mul(p, stop)
				k := m.steps(whole, offset)
				add(k, ends)
				if k != 0 {
					add(-k, ends)
				}
				p = new(big.Rat).Mul(p, again)
			}
		}
		reached := m.steps(wholes, 0)
		slack := oneAndAPart(100)
		for k := -reached + 1; k < reached; k++ {
			micro := uint64(max(k, -k)) * m.rate * million / m.unit
			if micro > 16*million || law[k] == nil {
				continue
			}
			// law(0)/law(k) is e^(|k|·rate/unit), which is a whole number of millionths here.
			low := privacy.ExpLowerBound(privacy.Epsilon(micro))
			high := new(big.Rat).Mul(low, oneAndAPart(149))
			got := new(big.Rat).Quo(law[0], law[k])
			if got.Cmp(low.Quo(low, slack)) < 0 || got.Cmp(high.Mul(high, slack)) > 0 {
				t.Errorf("%+v: noise of %d: %s", m, k, got.FloatString(30))
			}
		}
		// The ratio of an offset's two neighbours, heads against the whole, is a probability.
		heads, tails, endless := chances(int64(m.unit)-1, int64(m.unit))
		if heads.Add(heads, tails).Add(heads, endless).Cmp(big.NewRat(1, 1)) != 0 {
			t.Errorf("%+v: a coin has chances of %s in all", m, heads)
		}
	}
}

// TestSilenceIsRare: what the certificate takes for the bounded loops is far less than
// it has left for them, and the bound of an endless coin holds for all that it shows.
func TestSilenceIsRare(t *testing.T) {
	m := build(t, 1_000_000, Levels)
	if got := m.silence(); got.Cmp(new(big.Rat).SetFrac(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 68))) > 0 {
		t.Errorf("silence %s", got.FloatString(30))
	}
	for a := int64(1); a <= 16; a++ {
		heads, tails, endless := chances(a, 16)
		for name, face := range map[string]*big.Rat{"heads": heads, "tails": tails} {
			// Given what a coin showed, it has had no end at most 3/termsMax! of the time.
			most := big.NewRat(3, 1)
			for n := int64(2); n <= termsMax; n++ {
				most.Quo(most, big.NewRat(n, 1))
			}
			if got := new(big.Rat).Quo(endless, face); got.Cmp(most) > 0 {
				t.Errorf("γ = %d/16, %s: %s", a, name, got.FloatString(50))
			}
		}
	}
}
