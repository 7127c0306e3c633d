// Command reports times how long one randomised report takes in each mechanism, beside the Laplace noise of
// google/differential-privacy, in one process and in turns, and prints JSON: nanoseconds a report (median of the turns), and how
// many times as long Google's takes.
//
//	cd bench && go run ./reports
package main

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/google/differential-privacy/go/v3/noise"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

const (
	turns   = 9
	reports = 20_000 // of each mechanism in a turn
	epsilon = privacy.Epsilon(1_000_000)
)

// contestant makes reports one after the other.
type contestant struct {
	name   string
	report func(i int) error
	took   []time.Duration
}

// row is what is printed of a mechanism.
type row struct {
	Mechanism   string  `json:"mechanism"`
	Nanoseconds float64 `json:"nanoseconds"`
	Ratio       float64 `json:"laplace_over_this"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "reports:", err)
		os.Exit(1)
	}
}

func run() error {
	all, err := contestants()
	if err != nil {
		return err
	}
	for range turns {
		for i := range all {
			began := time.Now()
			for n := range reports {
				if err := all[i].report(n); err != nil {
					return fmt.Errorf("%s: %w", all[i].name, err)
				}
			}
			all[i].took = append(all[i].took, time.Since(began))
		}
	}
	reference := median(all[0].took)
	rows := make([]row, len(all))
	for i := range all {
		m := median(all[i].took)
		rows[i] = row{Mechanism: all[i].name, Nanoseconds: m / reports, Ratio: reference / m}
	}
	out := json.NewEncoder(os.Stdout)
	out.SetIndent("", " ")
	return out.Encode(rows)
}

// median is in nanoseconds.
func median(took []time.Duration) float64 {
	sorted := slices.Sorted(slices.Values(took))
	return float64(sorted[len(sorted)/2])
}

// contestants begins with Google's Laplace; both sides draw from the kernel.
func contestants() ([]contestant, error) {
	laplace := noise.Laplace()
	out := []contestant{{name: "google laplace", report: func(i int) error {
		_, err := laplace.AddNoiseFloat64(float64(i&1), 1, 1, 1, 0)
		return err
	}}}
	source := privacy.NewSecure(rand.Reader)
	for _, name := range mechanisms.Names() {
		m, err := mechanisms.ByName(name, epsilon)
		if err != nil {
			return nil, err
		}
		levels := int(m.Levels())
		out = append(out, contestant{name: name, report: func(i int) error {
			_, err := m.Randomise(uint32(i%(levels+1)), source)
			return err
		}})
	}
	for _, c := range []struct {
		name       string
		categories uint32
	}{{"grr", 64}, {"subset", 16}, {"subset", 64}, {"subset", 1024}, {"oue", 64}, {"oue", 1024}, {"olh", 5000}} {
		m, err := mechanisms.CategoricalByName(c.name, epsilon, c.categories)
		if err != nil {
			return nil, err
		}
		buffer := make([]byte, 0, m.Bytes())
		out = append(out, contestant{name: fmt.Sprintf("%s of %d", c.name, c.categories), report: func(i int) error {
			_, err := m.Randomise(uint32(i)%c.categories, source, buffer)
			return err
		}})
	}
	return out, nil
}
