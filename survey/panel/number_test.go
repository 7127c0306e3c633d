package panel

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"
)

// falseAlarm is the probability with which a correct program fails one statistical test.
const falseAlarm = 1e-6

// The first eight-byte vectors of the authors' reference implementation: key 00 01 … 0f, message 00 01 … (length − 1).
// Length 15 is the worked example of the paper's appendix A.
func TestNumberOfOfficialVectors(t *testing.T) {
	var salt Salt
	for i := range salt {
		salt[i] = byte(i)
	}
	vectors := []Number{
		0x726fdb47dd0e0e31, 0x74f839c593dc67fd, 0x0d6c8009d9a94f5a, 0x85676696d7fb7e2d,
		0xcf2794e0277187b7, 0x18765564cd99a68d, 0xcbc9466e58fee3ce, 0xab0200f58b01d137,
		0x93f5f5799a932462, 0x9e0082df0ba9e4b0, 0x7a5dbbc594ddb9f3, 0xf4b32f46226bada7,
		0x751e8fbc860ee5fb, 0x14ea5627c0843d90, 0xf723ca908e7af2ee, 0xa129ca6149be45e5,
	}
	message := make([]byte, 0, len(vectors))
	for length, want := range vectors {
		if got := NumberOf(salt, string(message)); got != want {
			t.Errorf("length %d: got %v, want %v", length, got, want)
		}
		message = append(message, byte(length))
	}
}

// names returns n device identities that differ in few bits.
func names(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "dev-" + string(rune('a'+i%26)) + Number(i).String()
	}
	return out
}

// chiSquare fails when the counts, of equal expectation, have a chi-square beyond its 1 − falseAlarm quantile.
func chiSquare(t *testing.T, what string, counts []int, total int) {
	t.Helper()
	expected, sum := float64(total)/float64(len(counts)), 0.0
	for _, c := range counts {
		d := float64(c) - expected
		sum += d * d / expected
	}
	limit := distuv.ChiSquared{K: float64(len(counts) - 1)}.Quantile(1 - falseAlarm)
	if sum > limit {
		t.Errorf("%s: chi-square %.1f above %.1f", what, sum, limit)
	}
}

func TestNumbersAreUniformAndIndependent(t *testing.T) {
	const devices = 200_000
	var one, two Salt
	two[15] = 1
	top, low := make([]int, 256), make([]int, 256)
	neighbours, salts := make([]int, 256), make([]int, 256)
	var before Number
	for i, name := range names(devices) {
		n, other := NumberOf(one, name), NumberOf(two, name)
		top[n>>56]++
		low[n&255]++
		salts[n>>60<<4|other>>60]++
		if i > 0 {
			neighbours[n>>60<<4|before>>60]++
		}
		before = n
	}
	chiSquare(t, "top byte", top, devices)
	chiSquare(t, "low byte", low, devices)
	chiSquare(t, "pairs of neighbouring names", neighbours, devices-1)
	chiSquare(t, "pairs of neighbouring salts", salts, devices)
}

func TestNumberOfDoesNotAllocate(t *testing.T) {
	var salt Salt
	r := Rotation{LapWindows: 2, Slots: 1, Last: []uint64{1 << 63, math.MaxUint64}}
	due := 0
	allocations := testing.AllocsPerRun(100, func() {
		if _, ok := r.Due(NumberOf(salt, "a-device-of-some-length"), 7); ok {
			due++
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}
