package main

// gateways are bugs in how gateways are let in and in what their releases are counted for.
func gateways() []mutant {
	const spread = "survey/clustervariance.go"
	return []mutant{
		{"fleet: a gateway claims a device that isn't its own", law, "fleet/registry.go", "row != nil && row.Gateway != by {", "row != nil && row.Gateway == by && by == h.GetDevice() {", "fleet", "TestGatewaysClaimTheirOwnUnitsOnly|TestTheServerTellsOfForeignClaims"},
		{"gateway: a unit's number counts twice", distribution, "edge/gateway/release.go", "cells[i].contributions = append(cells[i].contributions, x)", "cells[i].contributions = append(cells[i].contributions, x, x)", "internal/verify", "TestGateways"},
		{"releases: population correction with silent units", formula, spread, "hidden = hidden || c.Pooled && c.Responses < c.Size", "hidden = hidden || c.Pooled && c.Responses > c.Size", "survey", "TestPooledTotalIsUnbiased|TestPooledFallbacks"},
		{"releases: the noise of a sum left out of the variance", formula, "survey/cluster.go", "Mean: sum / float64(units), Noise: noiseVariance}", "Mean: sum / float64(units), Noise: 0 * noiseVariance}", "survey", "TestPooledClustersAgainstTotals"},
		{"releases: a release counts twice", counting, "engine/release.go", "if w.hears(turn - first) {", "if w.hears(turn-first) && s.width == 0 {", "engine", "TestReleasesAreCountedOnceOrNotAtAll"},
		{"releases: a unit reports beside its gateway", counting, "engine/count.go", "case p.gateways && w.spokenFor(group, rank, i, v):", "case p.gateways && w.spokenFor(group, rank, i, v) && w.values != nil:", "engine", "TestReleasesAreCountedOnceOrNotAtAll"},
		{"releases: another gateway's cluster", counting, "engine/release.go", "of.gateway == 0 || of.gateway != r.gateway {", "of.gateway == 0 {", "engine", "TestReleasesAreCountedOnceOrNotAtAll"},
		{"releases: the noise is that of one unit", counting, "engine/release.go", "s.sumNoise = noise.Variance() * step * step", "s.sumNoise = noise.Variance() * step * step / 5", "engine", "TestReleasesAreCountedAsSums"},
		{"releases: the noise of many counts is that of one", formula, "survey/tally.go", "r.Noise*max(0, float64(to-from)+part*part-weight*weight/k)", "r.Noise", "survey", "TestReleasedAgainstLeastSquares"},
		{"releases: what a unit changes counts once for all categories", counting, "engine/clusterbinned.go", "const changedCounts = 2", "const changedCounts = 1", "engine", "TestReleasesOfCategories"},
		{"clusters: a category and those before it are taken for independent", formula, "survey/tally.go", "return max(0, (1-part)*before+part*after-part*(1-part)*alone)", "return max(0, (1-part)*before+part*after)", "survey", "TestPlacesAgainstScores"},
		{"exports: a sum weighs as one report", formula, "storage/reweight.go", "t.heard(c.clusters.Value(i), c.stands(i))", "t.heard(c.clusters.Value(i), min(1, c.stands(i)))", "storage", "TestClusterWeightsAreTheEstimates"},
		{"exports: population correction with silent units", formula, "internal/estimate/units.go", "\t\tultimate(t, times)\n", "\t\tultimate(t, times[:0])\n", "internal/estimate", "TestGatewayExport"},
		{"releases: the spread that a sum hides stands for others", formula, spread, "if c.Responses > 1 && !c.Pooled {", "if c.Responses > 1 {", "survey", "TestPooledFallbacks"},
	}
}
