package engine

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestPackedArrays writes values of all lengths in varying company and reads them again, whole and cut at every byte.
func TestPackedArrays(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for round := range 400 {
		var plain []uint64
		var signed []int64
		var b, z []byte
		most := 1 + round%64
		for range r.IntN(40) {
			v := r.Uint64() >> (64 - bits.Len64(r.Uint64()>>(64-most)))
			plain, signed = append(plain, v), append(signed, int64(v)*(1-2*r.Int64N(2)))
			b, z = protowire.AppendVarint(b, v), protowire.AppendVarint(z, protowire.EncodeZigZag(signed[len(signed)-1]))
		}
		if got, ok := appendVarints(nil, b); !ok || !slices.Equal(got, plain) {
			t.Fatalf("%v of %v, %v", got, plain, ok)
		}
		if got, ok := appendSigned(nil, z); !ok || !slices.Equal(got, signed) {
			t.Fatalf("%v of %v, %v", got, signed, ok)
		}
		for end := range b {
			whole := end == 0 || b[end-1] < 0x80
			if _, ok := appendVarints(nil, b[:end]); ok != whole {
				t.Fatalf("%x: read %v", b[:end], ok)
			}
		}
	}
	for _, bad := range [][]byte{slices.Repeat([]byte{0xff}, 12), append(slices.Repeat([]byte{0x80}, 10), 1, 1, 1, 1, 1, 1, 1, 1)} {
		if _, ok := appendVarints(nil, bad); ok {
			t.Errorf("%x is no varint", bad)
		}
		if _, ok := appendSigned(nil, append([]byte{1, 2}, bad...)); ok {
			t.Errorf("%x is no varint", bad)
		}
	}
}
