//go:build !(amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package verify

import "context"

// Where the library of a gateway's noise doesn't compile there are no gateways.
func gatewayLaws() (Check, error) {
	return Check{Layer: Certificate, Mechanism: "gateway", Checked: "no gateway runs on this processor", Verdict: Pass}, nil
}

func gatewayDraws(context.Context, Config) ([]Check, error) { return nil, nil }

func gatewayBounds(context.Context, Config) ([]Check, error) { return nil, nil }
