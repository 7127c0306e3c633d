package threeoutput_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/threeoutput"
)

func TestGolden(t *testing.T) { vectors.Check(t, threeoutput.New) }

func ExampleNew() {
	e, err := privacy.NewEpsilon(1)
	if err != nil {
		panic(err)
	}
	m, err := threeoutput.New(e)
	if err != nil {
		panic(err)
	}
	certificate, err := m.Certificate()
	fmt.Println(certificate.Holds(), err)
	// Output: true <nil>
}
