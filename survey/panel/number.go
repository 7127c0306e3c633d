package panel

import (
	"encoding/binary"
	"math/bits"
)

// Salt is the public salt of one kappa, 16 bytes. Two kappas with different salts sample independently of each other,
// because their devices' numbers are independent. It is not a secret: panels are public schedules, and no privacy
// claim rests on them.
type Salt [16]byte

// Number is a device's permanent random number for one kappa: the point Number / 2^64 of the circle [0, 1).
type Number uint64

// NumberOf returns the permanent random number of a device: SipHash-2-4 (Aumasson and Bernstein 2012) of the bytes of
// its identity, keyed by the salt. It depends on nothing else and doesn't allocate; it is safe to call concurrently.
func NumberOf(salt Salt, device string) Number {
	s := newSip(salt)
	for len(device) >= 8 {
		s.compress(word(device))
		device = device[8:]
	}
	return Number(s.finish(device))
}

// sip is the state of SipHash-2-4: four words and the count of whole blocks so far.
type sip struct {
	v0, v1, v2, v3 uint64
	blocks         uint64
}

func newSip(salt Salt) sip {
	k0 := binary.LittleEndian.Uint64(salt[:8])
	k1 := binary.LittleEndian.Uint64(salt[8:])
	return sip{
		v0: k0 ^ 0x736f6d6570736575,
		v1: k1 ^ 0x646f72616e646f6d,
		v2: k0 ^ 0x6c7967656e657261,
		v3: k1 ^ 0x7465646279746573,
	}
}

// compress absorbs one block of eight bytes: two rounds.
func (s *sip) compress(m uint64) {
	s.v3 ^= m
	s.round()
	s.round()
	s.v0 ^= m
	s.blocks++
}

// finish absorbs the last, partial block (up to seven bytes, and the message's length mod 256 in the top byte) and
// returns the hash after four more rounds.
func (s *sip) finish(rest string) uint64 {
	m := (s.blocks*8 + uint64(len(rest))) << 56
	for i := range len(rest) {
		m |= uint64(rest[i]) << (8 * i)
	}
	s.compress(m)
	s.v2 ^= 0xff
	s.round()
	s.round()
	s.round()
	s.round()
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3
}

func (s *sip) round() {
	s.v0 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 13) ^ s.v0
	s.v0 = bits.RotateLeft64(s.v0, 32)
	s.v2 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 16) ^ s.v2
	s.v0 += s.v3
	s.v3 = bits.RotateLeft64(s.v3, 21) ^ s.v0
	s.v2 += s.v1
	s.v1 = bits.RotateLeft64(s.v1, 17) ^ s.v2
	s.v2 = bits.RotateLeft64(s.v2, 32)
}

// word reads the first eight bytes of a string of at least eight as a little-endian number.
func word(b string) uint64 {
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}
