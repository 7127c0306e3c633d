package main

// categories are bugs in the mechanisms over categories, and in the shares that are made of their reports.
func categories() []mutant {
	const (
		grr     = "privacy/grr/grr.go"
		oue     = "privacy/oue/oue.go"
		subset  = "privacy/subset/subset.go"
		layout  = "privacy/subset/layout.go"
		sets    = "privacy/internal/sets/draw.go"
		olh     = "privacy/olh/olh.go"
		pool    = "privacy/olh/pool.go"
		dice    = "privacy/uniform/uniform.go"
		tally   = "privacy/frequency/tally.go"
		proofs  = "TestEveryCategoricalCertificateHolds/"
		samples = "TestReportsFollowTheExactDistribution/"
		matrix  = "TestStructureIsTheMatrix"
		shares  = "privacy/frequency"
	)
	return []mutant{
		{"grr: threshold of one category too few", certificate, grr, "threshold.Split(e.Micro(), 1, categories-1)", "threshold.Split(e.Micro(), 1, categories)", all, proofs + "grr"},
		{"grr: the truth is among the lies", enumeration, grr, "other := roll + 1 - threshold.Below(uint64(roll), uint64(category))", "other := roll", "privacy/grr", "TestCodeHasTheStatedProbabilities"},
		{"grr: truth and lie swapped", distribution, grr, "threshold.Below(coin, m.keep), category, other)", "threshold.Below(coin, m.keep), other, category)", all, samples + "grr"},
		{"oue: ε spent twice", certificate, oue, "flip := threshold.Flip(e.Micro())", "flip := threshold.Flip(2 * e.Micro())", all, proofs + "oue"},
		{"oue: the true bit has two coins", distribution, oue, "s.Put(category, coin)", "s.Put(category, coin|s.Has(category))", all, samples + "oue"},
		{"oue: the last bit of the threshold is not compared", enumeration, sets, "rest != 0 && n != 0;", "rest<<1 != 0 && n != 0;", "privacy/internal/sets", "TestEveryBitOfTheThresholdCounts"},
		{"oue: open numbers are compared from the first bit again", distribution, oue, "m.flip<<m.coarse.Rounds", "m.flip", "privacy/oue", "TestDrawIsPlain"},
		{"oue: a surplus is never taken out", distribution, oue, "size+below-open*m.coarse.Up", "size+below", "privacy/oue", "TestDrawIsPlain"},
		{"oue: bits beyond the categories are taken", law, oue, "return report[len(report)-1]>>used == 0", "return report[len(report)-1]>>used >= 0", "privacy/oue", matrix},
		{"subset: threshold of another size", certificate, subset, "threshold.Split(e.Micro(), size, categories-size)", "threshold.Split(e.Micro(), size+1, categories-size)", all, proofs + "subset"},
		{"subset: fill off by one", distribution, subset, "s.Put(last, 1-kept)", "s.Put(last, 1)", all, samples + "subset"},
		{"subset: one of the others is above all numbers", distribution, sets, "number < n && s.Has", "number <= n && s.Has", "privacy/subset", "TestOthersAreUniform"},
		{"sets: what was there to be skipped stays", distribution, sets, "s.pad(n, d.width, 0)", "s.pad(n, d.width, 1)", "privacy/internal/sets", "TestSetsAreUniform"},
		{"sets: an open number is decided", enumeration, sets, "undecided[i] &= word", "undecided[i] &= word | 1", "privacy/internal/sets", "TestScatterComparesTheFirstBits"},
		{"subset: not the best size", formula, "privacy/threshold/categories.go", "square := expLower(2*min(", "square := expLower(1*min(", "privacy/subset", "TestTable|TestSizeIsBest"},
		{"subset: the last category is never among the others", distribution, subset, "s.Put(m.categories-1, s.Has(category))", "s.Put(m.categories-1, 0*s.Has(category))", all, samples + "subset"},
		{"subset: a set has two forms", law, layout, "i > 0 && c <= found[i-1] {", "i > 0 && c == found[i-1] {", "privacy/subset", "TestDecoderIsStrict"},
		{"subset: too large a set is taken", law, layout, "if uint32(len(found)) != l.size {", "if uint32(len(found)) < l.size {", "privacy/subset", matrix + "|TestDecoderIsStrict"},
		{"olh: threshold of one hash too few", certificate, olh, "threshold.Split(e.Micro(), 1, hashes-1)", "threshold.Split(e.Micro(), 1, hashes)", all, proofs + "olh"},
		{"olh: a hash where there is none", distribution, olh, "none := threshold.Below(uint64(at), 1)", "none := threshold.Below(uint64(at), 0)", all, samples + "olh"},
		{"olh: a hash that is only nearly uniform", certificate, pool, "uint16(exponent % hashes)", "uint16(exponent * exponent % hashes)", "privacy/olh", "TestCollisionsAreConstant"},
		{"olh: categories that went round are lost", distribution, olh, "for _, at := range class[:turn] {", "for _, at := range class[:turn/2] {", all, samples + "olh"},
		{"uniform: uneven words are kept", enumeration, dice, "return rest >= product || rest >= -product%product\n}", "return rest >= 0\n}", "privacy/uniform", "TestDiceAreDigits"},
		{"shares: cells of a sum taken as independent", formula, "privacy/frequency/covariance.go", "apart := p.covariance(p.without, p.other, p.other)", "apart := 0 * p.covariance(p.without, p.other, p.other)", shares, "TestAllCellsTogether"},
		{"shares: the noise's variance forgotten", formula, "privacy/categorical.go", "return rate * (1 - rate) / (r.gap * r.gap)", "return share * (1 - share) * rate / rate", all, "TestScoresAverageToTheTruth"},
		{"shares: clipped before they are kept", formula, tally, "mean := r.Share(support, n)", "mean := math.Max(0, r.Share(support, n))", shares, "TestScoresAreThoseOfTheReports"},
		{"report: the worst mechanism that fits", formula, "privacy/mechanisms/report.go", "total.Cmp(least) < 0", "total.Cmp(least) > 0", all, "TestForReportIsTheBestThatTravels"},
		{"report: one that is too long is cut", law, "privacy/mechanisms/report.go", "m.Bytes() > ReportBytes", "m.Bytes() > 8*ReportBytes", all, "TestForReportRefuses"},
		{"shares: the noise of a rare category as estimated", formula, "survey/proportion.go", "scored{scale: 1, slope: slope}", "scored{scale: 1, slope: 0 * slope}", "survey", "TestShareIsWilsons"},
		{"shape: strata weigh alike", formula, "internal/categories/binning.go", "weight := float64(strata[h].Population) / float64(max(1, strata[h].Responses))", "weight := 1.0 + 0*float64(h)", "engine", "TestDistribution"},
		{"shape: a code in the next bin", formula, "privacy/squarewave/shape.go", "return int(uint64(code) * uint64(bins) / uint64(m.Codes())), nil", "return int(uint64(code) * uint64(bins) / uint64(m.Levels()+2*m.Window())), nil", "privacy/squarewave", "TestTallyOf"},
		{"shape: windows that end too soon", formula, "privacy/squarewave/rounds.go", "for j := b.flatEnd; j < b.end; j++ {\n\t\tp +=", "for j := b.flatEnd; j+1 < b.end; j++ {\n\t\tp +=", "privacy/squarewave", "TestRoundsAreThoseOfTheMatrix"},
		{"shape: rounds that end too soon", formula, "privacy/squarewave/shape.go", "settled = 1e-3", "settled = 1e-1", "privacy/squarewave", "TestNoWorseThanTheReference"},
		{"shape: smoothed twice a round", formula, "privacy/squarewave/shape.go", "\t\t\te.smooth(s.Share)\n", "\t\t\te.smooth(s.Share)\n\t\t\te.smooth(s.Share)\n", "privacy/squarewave", "TestNoWorseThanTheReference"},
		{"shape: second differences in place of third", formula, "privacy/squarewave/spline.go", "[...]float64{-1, 3, -3, 1}", "[...]float64{1, -2, 1}", "privacy/squarewave", "TestNoWorseThanTheReference"},
		{"shape: strengths weighed by height alone", formula, "privacy/squarewave/penalised.go", "h.height + (before-curvature)/2", "h.height + 0*(before-curvature)", "privacy/squarewave", "TestEvidenceIsTheIntegral"},
		{"shape: shares that needn't sum to one", formula, "privacy/squarewave/penalised.go", "f.output[i] - mean[c]*chance", "f.output[i] - 0*mean[c]*chance", "privacy/squarewave", "TestSlopesAreThoseOfTheLikelihood"},
		{"shape: reports of unlike weight count as of like", formula, "internal/categories/binning.go", "scale := sum / squares", "scale := float64(reports) / sum * squares / squares", "engine", "TestDistribution"},
		{"shape: shown as an estimate", law, "engine/shape.go", "out[v].Bin.Consistent = new(shares[v])", "out[v].Bin.Consistent, out[v].Value = new(shares[v]), new(shares[v])", "engine", "TestDistribution"},
		{"reports: a category read off by one", law, "engine/binning.go", "row.Coded, row.Code, row.Size, row.Other = true, said, 1, b.Pure.Other", "row.Coded, row.Code, row.Size, row.Other = true, said+1, 1, b.Pure.Other", "engine", "TestStoredReportsTellTheirCategories"},
		{"shares: two parts merged as one", formula, tally, "\tt.Reports += o.Reports\n", "", shares, "TestScoresAreThoseOfTheReports"},
		{"shares: display clipped and rescaled", formula, "privacy/frequency/consistent.go", "consistent[i] = max(0, share-give)", "consistent[i] = max(0, share) - 0*give", shares, "TestConsistentIsTheProjection"},
	}
}
