package oue_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/oue"
)

func TestGolden(t *testing.T) {
	vectors.CheckCategories(t, []uint32{2, 8, 65, 200}, oue.New)
}

func ExampleNew() {
	e, err := privacy.NewEpsilon(1)
	if err != nil {
		panic(err)
	}
	m, err := oue.New(e, 64)
	if err != nil {
		panic(err)
	}
	certificate, err := m.Certificate()
	fmt.Println(certificate.Holds(), m.Bytes(), err)
	// Output: true 8 <nil>
}
