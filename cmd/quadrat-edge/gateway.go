//go:build amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x

package main

import (
	"context"

	"github.com/quadrat-dev/quadrat/edge/collector"
	"github.com/quadrat-dev/quadrat/edge/gateway"
)

// open joins the parts of the role.
func open(p collector.Parts) (runner, error) {
	if p.Config.Role == collector.RoleGateway {
		return gateway.Open(gateway.Parts{Collector: p})
	}
	return collector.Open(p)
}

// tryOut tries the parts of the role.
func tryOut(ctx context.Context, c collector.Checks) []collector.Finding {
	if c.Config.Role == collector.RoleGateway {
		return gateway.Check(ctx, c)
	}
	return collector.Check(ctx, c)
}
