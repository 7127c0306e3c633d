package laplace

import (
	"math/bits"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Every loop has a bound. One that is reached, by a good source less than once
// in 2⁷⁰ draws, is a broken source: nothing is sent. PROOF.md says what that
// costs.
const (
	attemptsMax = 128 // of a pair of offset and sign; at least 0.31 of them do
	termsMax    = 32  // of the series of e^-x; the next has probability 1/33!
	redrawsMax  = 64  // for an even spread; at most 1 in 8 words is uneven
	// wholeMax bounds the whole scales in the noise. It is no failure: noise that
	// large lies beyond the last code for every input.
	wholeMax = 64
)

// source gives uniform words: *privacy.Stream.
type source interface{ Uint64() uint64 }

// noise draws Z with P(Z = k) proportional to e^(-|k|·rate/unit) (Canonne,
// Kamath and Steinke 2020, algorithm 2). What is wholeMax scales away or farther
// may be drawn nearer, but not nearer than that.
func (m *Mechanism) noise(words source) (int64, error) {
	for range attemptsMax {
		offset, err := uniform(words, m.unit)
		if err != nil {
			return 0, err
		}
		keep, err := bernoulliExp(words, offset, m.unit)
		if err != nil {
			return 0, err
		}
		if !keep {
			continue
		}
		whole, err := wholeScales(words)
		if err != nil {
			return 0, err
		}
		word := words.Uint64()
		magnitude := m.steps(whole, offset)
		negative := word>>63 == 1
		switch {
		case negative && magnitude == 0:
			continue // or zero would have two ways to come
		case negative:
			return -magnitude, nil
		default:
			return magnitude, nil
		}
	}
	return 0, privacy.ErrEntropy
}

// steps returns ⌊(whole·unit + offset)/rate⌋.
func (m *Mechanism) steps(whole, offset uint64) int64 {
	high, low := bits.Mul64(whole, m.unit)
	low, carry := bits.Add64(low, offset, 0)
	// high ≤ 1 and rate ≥ 2²⁰-1, so that Div64 can't fault.
	quotient, _ := bits.Div64(high+carry, low, m.rate)
	return int64(quotient)
}

// wholeScales draws how often in a row a coin of probability 1/e comes up, at
// most wholeMax.
func wholeScales(words source) (uint64, error) {
	for whole := range uint64(wholeMax) {
		more, err := bernoulliExp(words, 1, 1)
		if err != nil {
			return 0, err
		}
		if !more {
			return whole, nil
		}
	}
	return wholeMax, nil
}

// bernoulliExp returns true with probability e^(-a/b), a ≤ b < 2⁵⁸ (Canonne,
// Kamath and Steinke 2020, algorithm 1): the first k at which a coin of
// probability a/(b·k) fails is odd with exactly that probability, by the
// alternating series.
func bernoulliExp(words source, a, b uint64) (bool, error) {
	for k := uint64(1); k <= termsMax; k++ {
		place, err := uniform(words, b*k)
		if err != nil {
			return false, err
		}
		if place >= a {
			return k%2 == 1, nil
		}
	}
	return false, privacy.ErrEntropy
}

// uniform returns each of 0…n-1 with the same probability, n ≤ 2⁶¹ (Lemire
// 2019).
func uniform(words source, n uint64) (uint64, error) {
	for range redrawsMax {
		word := words.Uint64()
		high, low := bits.Mul64(word, n)
		if low >= n || low >= -n%n {
			return high, nil
		}
	}
	return 0, privacy.ErrEntropy
}
