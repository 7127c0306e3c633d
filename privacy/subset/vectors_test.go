package subset_test

import (
	"fmt"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/internal/vectors"
	"github.com/quadrat-dev/quadrat/privacy/subset"
)

func TestGolden(t *testing.T) {
	vectors.CheckCategories(t, "reports-v2.txt", []uint32{2, 5, 64, 257, 1024}, subset.New)
}

func ExampleNew() {
	e, err := privacy.NewEpsilon(1)
	if err != nil {
		panic(err)
	}
	m, err := subset.New(e, 32)
	if err != nil {
		panic(err)
	}
	certificate, err := m.Certificate()
	fmt.Println(certificate.Holds(), m.Bytes(), err)
	// Output: true 4 <nil>
}

// TestFirstVersionIsRead reads the reports of the first version, which drew them
// by other steps from the same words: their form and meaning are those of today.
func TestFirstVersionIsRead(t *testing.T) {
	vectors.Read(t, "reports-v1.txt", subset.New)
}
