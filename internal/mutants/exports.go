package main

// exports are bugs in what rows tell, and in what is estimated from them again.
func exports() []mutant {
	const window, hop, pkg = "internal/restate/window.go", "internal/restate/hop.go", "internal/restate"
	return []mutant{
		{"export: other cells lose their place in the design", formula, window, "\t\th.Responses += g.moments.Count\n", "\t\tif g.holds(domain) {\n\t\t\th.Responses += g.moments.Count\n\t\t}\n", pkg, "TestCellsKeepTheirPlace"},
		{"export: the noise of a gateway's mean taken for that of its sum", formula, window, "survey.Sum(r.Units, n*r.Score, n*n*r.Noise)", "survey.Sum(r.Units, n*r.Score, r.Noise)", pkg, "TestSumsOfGatewaysStandForTheirUnits"},
		{"export: the noise of a gateway's counts forgotten", formula, window, "Counts: counts, Noise: r.Noise}", "Counts: counts, Noise: 0 * r.Noise}", pkg, "TestCountsOfGatewaysStandForTheirUnits"},
		{"export: a gateway's spread taken for that of units", formula, window, "w.clusters[at].pooled = true", "w.clusters[at].pooled = false", pkg, "TestSumsOfGatewaysStandForTheirUnits"},
		{"export: who changed the cell is matched", formula, "internal/restate/change.go", "second.cell != first.cell || ", "", pkg, "TestChangeMatchesDevices"},
		{"export: panes that a total sums counted as one", formula, hop, "a.Estimate.Over(float64(w.hop.panes))", "a.Estimate.Over(1)", pkg, "TestHopIsTheStrataOfItsPanes"},
		{"export: a stratum that is silent in all panes passed over", formula, hop, "case len(w.hop.silent) > 0 && domain == AllCells:", "case len(w.hop.silent) > 99 && domain == AllCells:", pkg, "TestHopTellsSilence"},
		{"export: a device that answers in two panes taken for two", formula, hop, "\tif span <= newest.Turn {", "\tif span <= 99*newest.Turn {", pkg, "TestHopIsTheStrataOfItsPanes"},
		{"export: strata of a pane estimated as one", formula, "storage/reweight.go", "t.hops = panes != nil && ", "t.hops = panes == nil && ", "storage", "TestPanesKeepTheirStrata"},
		{"rows: a gateway's counts with the noise of one", formula, "engine/release.go", "row.NoiseVariance, row.UnitCounts = s.sumNoise,", "row.NoiseVariance, row.UnitCounts = s.sumNoise/2,", "engine", "TestReleasesAcrossRestarts/counts"},
	}
}
