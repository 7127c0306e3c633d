package hybrid_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/hybrid"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
)

func TestGolden(t *testing.T) { vectors.Check(t, hybrid.New) }

func ExampleNew() {
	e, err := privacy.NewEpsilon(1)
	if err != nil {
		panic(err)
	}
	m, err := hybrid.New(e)
	if err != nil {
		panic(err)
	}
	certificate, err := m.Certificate()
	fmt.Println(certificate.Holds(), err)
	// Output: true <nil>
}
