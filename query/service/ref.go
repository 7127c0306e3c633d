package service

import (
	"fmt"
	"io"
)

// refLetters are the letters and digits that are not taken for each other.
const refLetters = "23456789abcdefghjkmnpqrstuvwxyz"

// refLength is how many of them follow the k.
const refLength = 5

// newRef draws a reference like k7f3q2. Bytes that would favour some letters are drawn again.
func newRef(entropy io.Reader) (string, error) {
	fair := byte(256 / len(refLetters) * len(refLetters))
	ref, b := []byte{'k'}, make([]byte, 1)
	for len(ref) <= refLength {
		if _, err := io.ReadFull(entropy, b); err != nil {
			return "", fmt.Errorf("reference: %w", err)
		}
		if b[0] < fair {
			ref = append(ref, refLetters[int(b[0])%len(refLetters)])
		}
	}
	return string(ref), nil
}
