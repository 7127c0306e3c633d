package mechanisms_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// BenchmarkCategories makes reports and reads them.
func BenchmarkCategories(b *testing.B) {
	for _, c := range []struct {
		name string
		k    uint32
	}{{"grr", 64}, {"subset", 8}, {"subset", 64}, {"subset", 256}, {"subset", 1024}, {"oue", 64}, {"oue", 256}, {"oue", 1024}, {"olh", 5000}} {
		m, err := mechanisms.CategoricalByName(c.name, 1_000_000, c.k)
		if err != nil {
			b.Fatal(err)
		}
		src := privacy.NewSeeded(1)
		buf := make([]byte, 0, m.Bytes())
		b.Run(fmt.Sprintf("randomise/%s/k=%d", c.name, c.k), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				if _, err := m.Randomise(uint32(i)%c.k, src, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
		report, err := m.Randomise(1, src, nil)
		if err != nil {
			b.Fatal(err)
		}
		supported := make([]uint32, 0, c.k)
		b.Run(fmt.Sprintf("supported/%s/k=%d", c.name, c.k), func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := m.Supported(report, supported); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
