package stream

import (
	"math/rand/v2"
	"testing"
)

// The jumps against the plain algorithm, which draws a number for each item.
func BenchmarkReservoir(b *testing.B) {
	const n, k = 1_000_000, 1000
	b.Run("jumps", func(b *testing.B) {
		for b.Loop() {
			r, err := NewReservoir[int](rand.NewPCG(1, 1), k)
			if err != nil {
				b.Fatal(err)
			}
			for i := range n {
				r.Add(i)
			}
		}
	})
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			algorithmR(rand.New(rand.NewPCG(1, 1)), n, k)
		}
	})
}

func BenchmarkVarOpt(b *testing.B) {
	v, err := NewVarOpt[int](rand.NewPCG(1, 1), 1000)
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(2, 2))
	for b.Loop() {
		if err := v.Add(1, r.ExpFloat64()); err != nil {
			b.Fatal(err)
		}
	}
}
