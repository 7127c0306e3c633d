//go:build !(amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package simulate

import (
	"errors"

	"github.com/quadrat-dev/quadrat/edge/collector"
)

// newCrew refuses: the library that adds a gateway's noise needs 64 bits.
func newCrew(collector.Given) (collector.Voice, error) {
	return nil, errors.New("gateways need a machine of 64 bits")
}
