package privacy

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"math/rand/v2"
)

// SecretBytes is the length of a device's secret.
const SecretBytes = 32

// Derived gives words that a device's secret and a label determine: the same
// label gives the same words after every restart, and whoever lacks the secret
// can't tell them from fresh ones (HMAC-SHA256 in counter mode as a pseudorandom
// function). It is for answers that must be the same when they are given again,
// as package memo gives; what it feeds is as private as that function is strong.
//
// A label must never be used for two purposes, and must name the input that is
// randomised: two inputs with one label would share their noise, and their
// difference would show. A Derived is not safe for concurrent use.
type Derived struct {
	mac     hash.Hash
	label   []byte
	block   [sha256.Size]byte
	used    int
	counter uint64
	chacha  rand.ChaCha8
	stream  Stream
}

// NewDerived returns the words of a label. The label is copied.
func NewDerived(secret *[SecretBytes]byte, label []byte) *Derived {
	return &Derived{mac: hmac.New(sha256.New, secret[:]), label: append([]byte(nil), label...), used: sha256.Size}
}

// Uint64 returns the next word. It never fails.
func (d *Derived) Uint64() (uint64, error) {
	if d.used == sha256.Size {
		var counter [wordBytes]byte
		binary.LittleEndian.PutUint64(counter[:], d.counter)
		d.mac.Reset()
		d.mac.Write(counter[:])
		d.mac.Write(d.label)
		d.mac.Sum(d.block[:0])
		d.used = 0
		d.counter++
	}
	word := binary.LittleEndian.Uint64(d.block[d.used:])
	d.used += wordBytes
	return word, nil
}

// Expand takes the next four words as the key. It never fails.
func (d *Derived) Expand() (*Stream, error) {
	d.stream.Discard()
	var key [keyWords * wordBytes]byte
	for at := 0; at < len(key); at += wordBytes {
		word, err := d.Uint64()
		if err != nil {
			return nil, err
		}
		binary.LittleEndian.PutUint64(key[at:], word)
	}
	d.chacha.Seed(key)
	d.stream = Stream{words: &d.chacha}
	return &d.stream, nil
}

func (*Derived) sealed() {}
