package sets

import (
	"encoding/binary"
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Words gives uniform words that can't run out: *privacy.Stream.
type Words interface {
	Uint64() uint64
}

// Scatter fills an empty set with those of the numbers 0…n-1 that the coarse
// comparison chooses, each on its own, 0 < n ≤ 1024. It returns how many are in
// the set and how many the comparison left open: their uniform number and the
// threshold agree in all bits that were compared. The open ones are all in the
// set or all outside, as the plan says.
//
// Word i of a round has the next lower bit of the numbers 64i…64i+63.
func (s *Set) Scatter(words *privacy.Stream, n uint32, c Coarse) (size, open uint32) {
	var below, undecided, drawn lanes
	used := (n + wordBits - 1) / wordBits % (lanesMax + 1)
	for i := range undecided[:used] {
		undecided[i] = ^uint64(0)
	}
	undecided[used-1] >>= (wordBits - n%wordBits) % wordBits
	threshold := c.Threshold
	for range c.Rounds {
		words.Fill(drawn[:used])
		compare(&below, &undecided, &drawn, threshold)
		threshold <<= 1
	}
	for i := range used {
		lane := below[i] | undecided[i]&-uint64(c.Up)
		size += uint32(bits.OnesCount64(lane))
		open += uint32(bits.OnesCount64(undecided[i]))
		binary.LittleEndian.PutUint64(s[i*byteBits:], lane)
	}
	return size, open
}

// lanes are a bit for each of 1024 numbers.
type lanes [lanesMax]uint64

// compare compares one more bit of every number with the highest one of the
// threshold: where that is 1, open numbers with a 0 fall below; where it is 0,
// open numbers with a 1 rise above.
func compare(below, undecided, drawn *lanes, threshold uint64) {
	if threshold>>(wordBits-1) == 1 {
		for i, word := range drawn {
			below[i] |= undecided[i] &^ word
			undecided[i] &= word
		}
		return
	}
	for i, word := range drawn {
		undecided[i] &^= word
	}
}

// Below returns how many of n uniform numbers of 64 bits are below the
// threshold: a binomial variable, exactly. It compares bit by bit from the
// highest down, and need not know which number is which, but only how many bits
// of those left open are 1. It draws about 2n bits.
func Below(words Words, n uint32, threshold uint64) uint32 {
	var pool bitPool
	below := uint32(0)
	// Beyond the last 1 of the threshold no number can fall below any more.
	for rest := threshold; rest != 0 && n != 0; rest <<= 1 {
		ones := pool.count(words, n)
		if rest>>(wordBits-1) == 1 {
			below += n - ones
			n = ones
		} else {
			n -= ones
		}
	}
	return below
}

// bitPool holds the bits of a word that are not used up.
type bitPool struct {
	word uint64
	left uint32
}

// count returns how many of n fresh bits are 1.
func (p *bitPool) count(words Words, n uint32) uint32 {
	ones := 0
	for ; n >= wordBits; n -= wordBits {
		ones += bits.OnesCount64(words.Uint64())
	}
	if p.left < n {
		p.word, p.left = words.Uint64(), wordBits
	}
	ones += bits.OnesCount64(p.word & (1<<n - 1))
	p.word >>= n
	p.left -= n
	return uint32(ones)
}

// wordsMax bounds the words of one search. Each gives six tries or more, of which
// more than half are numbers below n; after n·(ln n + c) of those some number was
// not tried with probability at most e^-c. A good source needs more words, for
// n = 1024, with probability below 2⁻⁶⁰.
const wordsMax = 1 << 15

// Reach adds numbers that aren't in the set, or takes out such as are, each as
// likely as any other, until the set of numbers below n has the wanted size. It
// fails with privacy.ErrEntropy when the source is broken.
func (s *Set) Reach(words Words, n, size, wanted uint32) error {
	d := diceFor(n)
	if wanted > size {
		// Numbers from n on count as members, so that trying them changes nothing.
		s.pad(n, d.width, 1)
		beyond := 1<<d.width - n
		if err := s.add(words, d, size+beyond, wanted+beyond); err != nil {
			return err
		}
		s.pad(n, d.width, 0)
		return nil
	}
	return s.remove(words, d, size, wanted)
}

// add adds to a set of that size until it has the wanted one.
func (s *Set) add(words Words, d dice, size, wanted uint32) error {
	for range wordsMax {
		missing := wanted - size
		if missing == 0 {
			return nil
		}
		if missing < d.tries {
			size += s.flip(words.Uint64(), d, missing, 1)
			continue
		}
		// Even if every try hits they aren't too many, so that they need no counting.
		for range missing / d.tries {
			word := words.Uint64()
			for range d.tries {
				number := uint32(word) & d.mask
				s[number/byteBits%uint32(len(s))] |= 1 << (number % byteBits)
				word >>= d.width % wordBits
			}
		}
		size = s.Size()
	}
	return privacy.ErrEntropy
}

// remove takes out of a set of that size until it has the wanted one.
func (s *Set) remove(words Words, d dice, size, wanted uint32) error {
	for range wordsMax {
		if size == wanted {
			return nil
		}
		size -= s.flip(words.Uint64(), d, size-wanted, 0)
	}
	return privacy.ErrEntropy
}

// dice says how a word is read as numbers: tries of them, of width bits each.
type dice struct{ width, tries, mask uint32 }

// diceFor takes as few bits as hold every number below n, at least 1.
func diceFor(n uint32) dice {
	width := uint32(max(1, bits.Len32(n-1))) % wordBits
	return dice{width: width, tries: wordBits / width, mask: 1<<width - 1}
}

// pad puts the numbers from n up to 2^width into the set or takes them out.
func (s *Set) pad(n, width uint32, bit byte) {
	for i := n / byteBits; i < (1<<width+byteBits-1)/byteBits; i++ {
		// The bits of this byte below n stay; a shift by 8 leaves 0.
		stay := byte(1)<<max(0, min(byteBits, int(n)-int(i)*byteBits)) - 1
		s[i%uint32(len(s))] = s[i%uint32(len(s))]&stay | ^stay&-bit
	}
}

// flip reads a word as numbers and makes one after the other a member if adding
// is 1 and no member if it is 0, until none is missing. It returns how many that
// changed. Whether a try hits is a coin that no processor guesses: it is no branch.
func (s *Set) flip(word uint64, d dice, missing uint32, adding byte) (changed uint32) {
	for i := uint32(0); i < d.tries && changed < missing; i++ {
		number := uint32(word) & d.mask
		at := &s[number/byteBits%uint32(len(s))]
		fits := (*at>>(number%byteBits) ^ adding) & 1
		*at ^= fits << (number % byteBits)
		changed += uint32(fits)
		word >>= d.width % wordBits
	}
	return changed
}

// Another returns a number below n that isn't in the set, each as likely as any
// other; there must be one. It fails as Reach does.
func (s *Set) Another(words Words, n uint32) (uint32, error) {
	d := diceFor(n)
	for range wordsMax {
		word := words.Uint64()
		for range d.tries {
			if number := uint32(word) & d.mask; number < n && s.Has(number) == 0 {
				return number, nil
			}
			word >>= d.width % wordBits
		}
	}
	return 0, privacy.ErrEntropy
}
