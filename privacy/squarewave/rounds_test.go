package squarewave

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
)

// plain is a round of expectation maximisation by the whole matrix.
func plain(e *rounds, share []float64) (logLikelihood float64) {
	bins := len(share)
	gain := make([]float64, bins)
	for i, n := range e.counts {
		p := 0.0
		for j, w := range e.matrix[i*bins : (i+1)*bins] {
			p += w * share[j]
		}
		if n == 0 {
			continue
		}
		logLikelihood += n * math.Log(p)
		for j, w := range e.matrix[i*bins : (i+1)*bins] {
			gain[j] += n / p * w
		}
	}
	for j := range share {
		share[j] *= gain[j]
	}
	normalise(share)
	return logLikelihood
}

// TestRoundsAreThoseOfTheMatrix compares rounds by bands with rounds by the whole matrix, where windows are narrower than a bin
// and where they are wider than all of them.
func TestRoundsAreThoseOfTheMatrix(t *testing.T) {
	for _, e := range []privacy.Epsilon{10_000, 500_000, 1_000_000, 4_000_000, 12_000_000, 20_000_000} {
		for _, bins := range []int{2, 3, 16, 100, 256, 1024} {
			m, err := New(e)
			if err != nil {
				t.Fatal(err)
			}
			tally, err := m.NewTally(bins)
			if err != nil {
				t.Fatal(err)
			}
			for i := range tally.counts {
				tally.counts[i] = float64(i * 7 % 5)
			}
			r := newRounds(tally)
			share := make([]float64, bins)
			for j := range share {
				share[j] = float64(1 + j*11%17)
			}
			normalise(share)
			want := slices.Clone(share)
			for range 20 {
				a, b := r.round(share), plain(r, want)
				if math.Abs(a-b) > 1e-9*math.Abs(b) {
					t.Fatalf("ε=%v, %d bins: log-likelihood %v, want %v", e, bins, a, b)
				}
			}
			for j := range share {
				if math.Abs(share[j]-want[j]) > 1e-9 {
					t.Fatalf("ε=%v, %d bins: share %d is %v, want %v", e, bins, j, share[j], want[j])
				}
			}
		}
	}
}

// BenchmarkShape reconstructs a shape of 10,000 reports.
func BenchmarkShape(b *testing.B) {
	for _, bins := range []int{32, 128, 256} {
		m, err := New(1_000_000)
		if err != nil {
			b.Fatal(err)
		}
		tally, err := m.NewTally(bins)
		if err != nil {
			b.Fatal(err)
		}
		src := privacy.NewSeeded(1)
		for i := range uint32(10_000) {
			code, err := m.Randomise(i*6%Levels, src)
			if err != nil || tally.Add(code, 1) != nil {
				b.Fatal(err)
			}
		}
		for name, how := range map[string]Method{"smoothed": Smoothed, "penalised": Penalised} {
			b.Run(fmt.Sprint(name, "/", bins), func(b *testing.B) {
				for b.Loop() {
					if _, err := tally.Shape(how); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
