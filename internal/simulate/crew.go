//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package simulate

import (
	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/edge/gateway"
)

// newCrew is the voice of a real gateway.
func newCrew(g collector.Given) (collector.Voice, error) { return gateway.NewCrew(g) }
