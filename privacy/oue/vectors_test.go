package oue_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/oue"
)

func TestGolden(t *testing.T) {
	vectors.CheckCategories(t, "reports-v2.txt", []uint32{2, 8, 65, 200, 1024}, oue.New)
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

// TestFirstVersionIsRead reads the reports of the first version, which drew them
// by other steps from the same words: their form and meaning are those of today.
func TestFirstVersionIsRead(t *testing.T) {
	vectors.Read(t, "reports-v1.txt", oue.New)
}
