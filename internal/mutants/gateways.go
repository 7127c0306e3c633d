package main

// gateways are bugs in how gateways are let in and in what their releases are counted for.
func gateways() []mutant {
	const spread = "survey/clustervariance.go"
	return []mutant{
		{"fleet: a gateway claims a device that isn't its own", law, "fleet/registry.go", "row != nil && row.Gateway != by {", "row != nil && row.Gateway == by && by == e.id {", "fleet", "TestGatewaysClaimTheirOwnUnitsOnly|TestTheServerTellsOfForeignClaims"},
		{"releases: population correction with silent units", formula, spread, "hidden = hidden || c.Pooled && c.Responses < c.Size", "hidden = hidden || c.Pooled && c.Responses > c.Size", "survey", "TestPooledTotalIsUnbiased|TestPooledFallbacks"},
		{"releases: the noise of a sum left out of the variance", formula, "survey/cluster.go", "Mean: sum / float64(units), Noise: noiseVariance}", "Mean: sum / float64(units), Noise: 0 * noiseVariance}", "survey", "TestPooledClustersAgainstTotals"},
		{"releases: the spread that a sum hides stands for others", formula, spread, "if c.Responses > 1 && !c.Pooled {", "if c.Responses > 1 {", "survey", "TestPooledFallbacks"},
	}
}
