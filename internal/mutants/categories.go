package main

// categories are bugs in the mechanisms over categories, and in the shares that are made of their reports.
func categories() []mutant {
	const (
		grr     = "privacy/grr/grr.go"
		oue     = "privacy/oue/oue.go"
		subset  = "privacy/subset/subset.go"
		layout  = "privacy/subset/layout.go"
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
		{"oue: ε spent twice", certificate, oue, "flip: threshold.Flip(e.Micro())", "flip: threshold.Flip(2 * e.Micro())", all, proofs + "oue"},
		{"oue: the true bit has two coins", distribution, oue, "word := others&^truth | truth&-(coin&1)", "word := others | truth&-(coin&1)", all, samples + "oue"},
		{"oue: lanes stop a bit too soon", enumeration, oue, "rest != 0 && undecided != 0;", "rest<<1 != 0 && undecided != 0;", "privacy/oue", "TestEveryBitOfTheThresholdCounts"},
		{"oue: bits beyond the categories are taken", law, oue, "return report[len(report)-1]>>used == 0", "return report[len(report)-1]>>used >= 0", "privacy/oue", matrix},
		{"subset: threshold of another size", certificate, subset, "threshold.Split(e.Micro(), size, categories-size)", "threshold.Split(e.Micro(), size+1, categories-size)", all, proofs + "subset"},
		{"subset: fill off by one", distribution, subset, "wanted := 1 - kept", "wanted := 1 - kept*0", all, samples + "subset"},
		{"subset: Floyd takes the number again", distribution, subset, "threshold.Choose(s.has(t), j+uint32(i), t)", "threshold.Choose(s.has(t), last+0*uint32(i), t)", "privacy/subset", "TestOthersAreUniform"},
		{"subset: not the best size", formula, "privacy/threshold/categories.go", "square := expLower(2*min(", "square := expLower(1*min(", "privacy/subset", "TestTable|TestSizeIsBest"},
		{"subset: room made one too far", distribution, layout, "int(category)-i*wordBits))", "int(category)+1-i*wordBits))", all, samples + "subset"},
		{"subset: a set has two forms", law, layout, "i > 0 && c <= found[i-1] {", "i > 0 && c == found[i-1] {", "privacy/subset", "TestDecoderIsStrict"},
		{"subset: too large a set is taken", law, layout, "if uint32(len(found)) != l.size {", "if uint32(len(found)) < l.size {", "privacy/subset", matrix + "|TestDecoderIsStrict"},
		{"olh: threshold of one hash too few", certificate, olh, "threshold.Split(e.Micro(), 1, hashes-1)", "threshold.Split(e.Micro(), 1, hashes)", all, proofs + "olh"},
		{"olh: a hash where there is none", distribution, olh, "none := threshold.Below(uint64(at), 1)", "none := threshold.Below(uint64(at), 0)", all, samples + "olh"},
		{"olh: a hash that is only nearly uniform", certificate, pool, "uint16(exponent % hashes)", "uint16(exponent * exponent % hashes)", "privacy/olh", "TestCollisionsAreConstant"},
		{"olh: categories that went round are lost", distribution, olh, "for _, at := range class[:turn] {", "for _, at := range class[:turn/2] {", all, samples + "olh"},
		{"uniform: uneven words are kept", enumeration, dice, "return rest >= product || rest >= -product%product\n}\n\n// RunLength", "return rest >= 0\n}\n\n// RunLength", "privacy/uniform", "TestDiceAreDigits"},
		{"shares: cells of a sum taken as independent", formula, "privacy/frequency/covariance.go", "apart := p.covariance(p.without, p.other, p.other)", "apart := 0 * p.covariance(p.without, p.other, p.other)", shares, "TestAllCellsTogether"},
		{"shares: the noise's variance forgotten", formula, "privacy/categorical.go", "return rate * (1 - rate) / (r.gap * r.gap)", "return share * (1 - share) * rate / rate", all, "TestScoresAverageToTheTruth"},
		{"shares: clipped before they are kept", formula, tally, "mean := r.Share(support, n)", "mean := math.Max(0, r.Share(support, n))", shares, "TestScoresAreThoseOfTheReports"},
		{"shares: two parts merged as one", formula, tally, "\tt.Reports += o.Reports\n", "", shares, "TestScoresAreThoseOfTheReports"},
		{"shares: display clipped and rescaled", formula, "privacy/frequency/consistent.go", "consistent[i] = max(0, share-give)", "consistent[i] = max(0, share) - 0*give", shares, "TestConsistentIsTheProjection"},
	}
}
