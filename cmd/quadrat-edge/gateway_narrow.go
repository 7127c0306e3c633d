//go:build !(amd64 || arm64 || loong64 || mips64 || mips64le || ppc64 || ppc64le || riscv64 || s390x)

package main

import (
	"context"

	"github.com/quadrat-dev/quadrat/edge/collector"
)

// open joins the parts; on such a board there is no gateway.
func open(p collector.Parts) (runner, error) { return collector.Open(p) }

// tryOut tries the parts, and says that there is no gateway on such a board.
func tryOut(ctx context.Context, c collector.Checks) []collector.Finding {
	found := collector.Check(ctx, c)
	if c.Config.Role == collector.RoleGateway {
		found = append(found, collector.Finding{Subject: "role", Text: collector.ErrGateway.Error()})
	}
	return found
}
