package mechanisms_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// sources are the two kinds of randomness that reports are timed with.
func sources() map[string]privacy.Source {
	return map[string]privacy.Source{"seeded": privacy.NewSeeded(1), "secure": privacy.NewSecure(rand.Reader)}
}

// BenchmarkNumbers makes reports about bits and bounded numbers, laplace included.
func BenchmarkNumbers(b *testing.B) {
	for _, name := range append(mechanisms.Names(), mechanisms.OptIns()...) {
		m, err := mechanisms.ByName(name, 1_000_000)
		if err != nil {
			m, err = mechanisms.OptIn(name, 1_000_000)
		}
		if err != nil {
			b.Fatal(err)
		}
		for kind, src := range sources() {
			b.Run(name+"/"+kind, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := m.Randomise(1, src); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkCategories makes reports and reads them.
func BenchmarkCategories(b *testing.B) {
	for _, c := range []struct {
		name string
		k    uint32
	}{
		{"grr", 64},
		{"grr", 1024},
		{"subset", 8},
		{"subset", 64},
		{"subset", 256},
		{"subset", 1024},
		{"oue", 64},
		{"oue", 256},
		{"oue", 1024},
		{"olh", 1024},
		{"olh", 5000},
	} {
		for _, e := range []privacy.Epsilon{250_000, 500_000, 1_000_000, 2_000_000, 4_000_000} {
			m, err := mechanisms.CategoricalByName(c.name, e, c.k)
			if err != nil {
				b.Fatal(err)
			}
			categories(b, fmt.Sprintf("%s/k=%d/e=%s", c.name, c.k, e), m)
		}
	}
}

func categories(b *testing.B, name string, m privacy.Categorical) {
	buf := make([]byte, 0, m.Bytes())
	for kind, src := range sources() {
		b.Run("randomise/"+name+"/"+kind, func(b *testing.B) {
			b.ReportAllocs()
			category := uint32(0)
			for b.Loop() {
				if _, err := m.Randomise(category, src, buf); err != nil {
					b.Fatal(err)
				}
				category = (category + 1) % m.Categories()
			}
		})
	}
	report, err := m.Randomise(1, privacy.NewSeeded(1), nil)
	if err != nil {
		b.Fatal(err)
	}
	supported := make([]uint32, 0, m.Categories())
	b.Run("supported/"+name, func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := m.Supported(report, supported); err != nil {
				b.Fatal(err)
			}
		}
	})
}
