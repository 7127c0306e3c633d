package main

// estimators are bugs in weights and variances.
func estimators() []mutant {
	const (
		estimate = "survey/estimate.go"
		sample   = "survey/sample.go"
		moments  = "survey/moments.go"
		sums     = "TestClosedFormsEqualSumsOverUnits"
		oracle   = "TestSamplingOracle"
	)
	return []mutant{
		{"variance: the population correction shrinks the noise", formula, estimate, "\t\tp.share += (a / size) * s.Domain.Noise\n", "", "survey", sums},
		{"variance: no population correction", formula, sample, "return rest * (m / (m - 1)) * a * a", "return (rest + 1 - rest) * (m / (m - 1)) * a * a", "survey", sums},
		{"variance: n where n-1 belongs", formula, sample, "return rest * (m / (m - 1)) * a * a", "return rest * (m / m) * a * a", "survey", sums},
		{"variance: the noise of a total forgotten", formula, estimate, "\t\tp.share += w * s.Domain.Noise\n", "", "survey", sums},
		{"weights: nonresponse ignored", formula, sample, "return float64(s.Population) / float64(s.Responses) }", "return float64(s.Population) / float64(s.Panel) }", "survey", sums},
		{"weights: a domain's zeros left out", formula, moments, "return m.M2 + d*outside*shift*shift", "return m.M2 + 0*d*outside*shift*shift", "survey", sums},
		{"moments: noise not added up", formula, moments, "\tm.Noise += noiseVariance\n", "\t_ = noiseVariance\n", "survey", sums},
		{"moments: what lies between two parts is lost", formula, moments, "m.M2 += o.M2 + delta*delta*(a*b/(a+b))", "m.M2 += o.M2", "survey", "TestMomentsMergeInAnyGrouping"},
		{"interval: a degree of freedom too many", formula, estimate, "degrees += s.Domain.Count - 1", "degrees += s.Domain.Count", "survey", sums + "|" + oracle},
	}
}

// engines are bugs in what is counted.
func engines() []mutant {
	const window = "engine/window.go"
	return []mutant{
		{"dedupe: a duplicate counts twice", counting, window, "if *word&bit != 0 {", "if *word&bit == 1<<63 {", "engine", "TestEndToEnd|TestRestartChangesNothing"},
		{"dedupe: forgotten at a restart", counting, "engine/decode.go", "w.heard = append(w.heard, r.word())", "w.heard = append(w.heard, 0*r.word())", "engine", "TestRestartChangesNothing|TestCrashBetweenCommitAndCheckpoint"},
		{"counting: who was not due is counted", counting, window, "slot+lap != statistic && slot+lap != statistic+statistics {", "slot+lap != statistic && slot+lap == statistic+statistics {", "engine", "TestEveryRefusalIsADeadLetter|TestEndToEnd"},
		{"counting: one statistic's noise for another", counting, window, "w.moments[at].Add(score, s.noise)", "w.moments[at].Add(score, p.statistics[0].noise)", "engine", "TestEndToEnd"},
	}
}
