package privacy_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

// The words are those of HMAC-SHA256 over counter and label, block after block, and the label is copied.
func TestDerivedIsHMACInCounterMode(t *testing.T) {
	key := [privacy.SecretBytes]byte{1, 2, 3}
	label := []byte("purpose")
	source := privacy.NewDerived(&key, label)
	label[0] = 'X'
	for block := range uint64(3) {
		mac := hmac.New(sha256.New, key[:])
		mac.Write(binary.LittleEndian.AppendUint64(nil, block))
		mac.Write([]byte("purpose"))
		sum := mac.Sum(nil)
		for i := range 4 {
			if got, err := source.Uint64(); err != nil || got != binary.LittleEndian.Uint64(sum[8*i:]) {
				t.Fatalf("block %d, word %d: %x, %v", block, i, got, err)
			}
		}
	}
}

// A key derives what NewDerived does, whatever it derived before and however far that was read.
func TestKeyForgetsTheLabelBefore(t *testing.T) {
	secret := [privacy.SecretBytes]byte{4, 5}
	key := privacy.NewKey(&secret)
	for n, label := range []string{"a", "a label longer than those before", "", "a"} {
		got, want := key.Derive([]byte(label)), privacy.NewDerived(&secret, []byte(label))
		for word := range 3*n + 1 {
			x, errX := got.Uint64()
			y, errY := want.Uint64()
			if x != y || errX != nil || errY != nil {
				t.Fatalf("label %q, word %d: %x, want %x; %v, %v", label, word, x, y, errX, errY)
			}
		}
		x, errX := got.Expand()
		y, errY := want.Expand()
		if errX != nil || errY != nil || x.Uint64() != y.Uint64() {
			t.Fatalf("label %q: streams differ; %v, %v", label, errX, errY)
		}
	}
}
