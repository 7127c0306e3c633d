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
	prefix  [wordBytes]byte // the counter, as it is hashed
	block   [sha256.Size]byte
	used    int
	counter uint64
	chacha  rand.ChaCha8
	stream  Stream
}

// NewDerived returns the words of a label. The label is copied. Whoever derives
// often keeps a Key.
func NewDerived(secret *[SecretBytes]byte, label []byte) *Derived {
	return NewKey(secret).Derive(label)
}

// Key is a device's secret made ready for deriving: it has hashed the secret, so
// that nothing is allocated for a label, nor the secret hashed again. It is as
// secret as what it is made of, and not safe for concurrent use.
type Key struct{ derived Derived }

// NewKey takes a secret, which it doesn't keep but in the state of the hash.
func NewKey(secret *[SecretBytes]byte) *Key {
	return &Key{Derived{mac: hmac.New(sha256.New, secret[:])}}
}

// Derive returns the words of a label, which is copied. They are good until the
// next call.
func (k *Key) Derive(label []byte) *Derived {
	d := &k.derived
	d.stream.Discard()
	d.label = append(d.label[:0], label...)
	d.used, d.counter = sha256.Size, 0
	return d
}

// Uint64 returns the next word. It never fails.
func (d *Derived) Uint64() (uint64, error) {
	if d.used == sha256.Size {
		binary.LittleEndian.PutUint64(d.prefix[:], d.counter)
		d.mac.Reset()
		d.mac.Write(d.prefix[:])
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
