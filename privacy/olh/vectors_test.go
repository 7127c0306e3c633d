package olh_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/olh"
)

func TestGolden(t *testing.T) {
	vectors.CheckCategories(t, "reports.txt", []uint32{2, 5, 74, 1025, 5000}, olh.New)
}

func ExampleNew() {
	e, err := privacy.NewEpsilon(1)
	if err != nil {
		panic(err)
	}
	m, err := olh.New(e, 5000)
	if err != nil {
		panic(err)
	}
	certificate, err := m.Certificate()
	fmt.Println(certificate.Holds(), m.Bytes(), err)
	// Output: true 2 <nil>
}
