package grr_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/grr"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
)

func TestGolden(t *testing.T) {
	vectors.CheckCategories(t, "reports.txt", []uint32{2, 5, 256, 257, 65536}, grr.New)
}

func ExampleNew() {
	e, err := privacy.NewEpsilon(1)
	if err != nil {
		panic(err)
	}
	m, err := grr.New(e, 8)
	if err != nil {
		panic(err)
	}
	certificate, err := m.Certificate()
	fmt.Println(certificate.Holds(), m.Bytes(), err)
	// Output: true 1 <nil>
}
