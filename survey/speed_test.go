package survey

import "testing"

func BenchmarkMean(b *testing.B) {
	strata := []Sample{stratum("a", 100, 1, 2, 3, 4, 5, 6), stratum("b", 50, 4, 5, 6, 9, 2)}
	for b.Loop() {
		if _, err := Mean(strata, 0.95); err != nil {
			b.Fatal(err)
		}
	}
}
