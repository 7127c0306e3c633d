package squarewave_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
)

func TestGolden(t *testing.T) { vectors.Check(t, squarewave.New) }

func ExampleTally_Shape() {
	e, err := privacy.NewEpsilon(2)
	if err != nil {
		panic(err)
	}
	m, err := squarewave.New(e)
	if err != nil {
		panic(err)
	}
	tally, err := m.NewTally(64)
	if err != nil {
		panic(err)
	}
	src := privacy.NewSeeded(1)
	for i := range uint32(20_000) {
		// Inputs spread evenly over the lower half.
		code, err := m.Randomise(i%(m.Levels()/2), src)
		if err != nil {
			panic(err)
		}
		if err := tally.Add(code, 1); err != nil {
			panic(err)
		}
	}
	shape, err := tally.Shape(squarewave.Penalised)
	fmt.Printf("%.1f %.1f %v\n", shape.Mean(), shape.Below(0.6), err)
	// Output: 0.2 1.0 <nil>
}
