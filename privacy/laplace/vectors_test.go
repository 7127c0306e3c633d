package laplace_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/laplace"
)

func TestGolden(t *testing.T) { vectors.Check(t, laplace.New) }

func ExampleNew() {
	e, err := privacy.NewEpsilon(1)
	if err != nil {
		panic(err)
	}
	m, err := laplace.New(e)
	if err != nil {
		panic(err)
	}
	certificate, err := m.Certificate()
	// On [-1, 1] the variance is 8/ε², on [0, 1] a quarter of that.
	fmt.Printf("%v %v %.4f\n", certificate.Holds(), err, m.NoiseVariance())
	// Output: true <nil> 2.0000
}
