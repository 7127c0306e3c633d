package duchi_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/duchi"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
)

func TestGolden(t *testing.T) { vectors.Check(t, duchi.New) }

func ExampleNew() {
	e, err := privacy.NewEpsilon(1)
	if err != nil {
		panic(err)
	}
	m, err := duchi.New(e)
	if err != nil {
		panic(err)
	}
	certificate, err := m.Certificate()
	fmt.Println(certificate.Holds(), err)
	// Output: true <nil>
}
