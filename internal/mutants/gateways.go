package main

// gateways are bugs in how gateways are let in and in what their releases are counted for.
func gateways() []mutant {
	return []mutant{
		{"fleet: a gateway claims a device that isn't its own", law, "fleet/registry.go", "row != nil && row.Gateway != by {", "row != nil && row.Gateway == by && by == e.id {", "fleet", "TestGatewaysClaimTheirOwnUnitsOnly|TestTheServerTellsOfForeignClaims"},
	}
}
