package main

// estimators are bugs in weights and variances.
func estimators() []mutant {
	const (
		estimate = "survey/estimate.go"
		sample   = "survey/sample.go"
		moments  = "survey/moments.go"
		spread   = "survey/variance.go"
		tails    = "survey/tails.go"
		sums     = "TestClosedFormsEqualSumsOverUnits|TestFleetOracle" // the first draws its cases, the second has fixed ones
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
		{"interval: a degree of freedom too many", formula, estimate, "degrees += s.Domain.Count - 1", "degrees += s.Domain.Count", "survey", sums},
		{"squares: the noise isn't taken out", formula, spread, "s.value = s.factor*square - s.noise", "s.value = s.factor * square", "survey", "TestVarianceIsUnbiased"},
		{"squares: noise taken out as if each score were apart", formula, spread, "s.noise = s.factor * (noise - own)", "s.noise = s.factor * noise", "survey", "TestVarianceIsUnbiased"},
		{"squares: n where n-1 belongs", formula, spread, "s.factor = float64(s.count) / float64(s.count-1)", "s.factor = 1", "survey", "TestVarianceAsInR"},
		{"squares: the third power forgotten", formula, spread, "+4*shift*each.Tails.M3+", "+", "survey/inference", "TestVarianceFromRowsAndFromSums"},
		{"squares: the population correction shrinks the noise", formula, spread, "p.share += float64(each.Responses)", "p.share += 0 * float64(each.Responses)", "survey/inference", "TestVarianceFromRowsAndFromSums"},
		{"quantile: the scores of a bin and of all before it taken as independent", formula, "survey/support.go", " - part*(1-part)*own", " - 0*own", "survey", "TestPartNoiseIsThatOfTheScores"},
		{"quantile: the variance is that of the estimate, not of p", formula, "survey/curve.go", "under := max(0, c.p-part*f)", "under := max(0, c.value[b])", "survey", "TestEndsAreThoseOfRefusedPlaces"},
		{"quantile: gaps count as if they were held", formula, "survey/curve.go", "\t\t\tx += step * under(c.gap[i]+t*c.deviation[i], c.gap[i+1]+t*c.deviation[i+1])\n", "\t\t\tgone := step * under(c.gap[i]+t*c.deviation[i], c.gap[i+1]+t*c.deviation[i+1])\n\t\t\tx += gone\n\t\t\tif gone < step {\n\t\t\t\treturn x\n\t\t\t}\n", "survey", "TestEndsAreThoseOfRefusedPlaces"},
		{"quantile: the far end is read as the near one", formula, "survey/curve.go", "(1-c.p)*c.long(t) + c.p*to", "c.p*c.long(t) + (1-c.p)*to", "survey", "TestEndsAreThoseOfRefusedPlaces"},
		{"squares: powers of merged parts lose what lies between", formula, tails, "+ 4*delta*(pa*o.M3-pb*t.M3)", "", "survey", "TestTailsMergeExactly"},
		{"panes: what a device says twice taken as independent", formula, "survey/repeats.go", "\tto.variance += rest * c.scores\n", "\tto.variance += 0 * rest * c.scores\n", "survey", "TestRepeatsAreTwiceTheCovariance"},
		{"panes: no population correction of what a device says twice", formula, "survey/repeats.go", "rest := 1 - (c.reports", "rest := 1 - 0*(c.reports", "survey", "TestRepeatsAreTwiceTheCovariance"},
		{"panes: the devices of all panes counted as different", formula, "survey/repeats.go", "out.lost += float64(c.freedom - c.most)", "out.lost += 0 * float64(c.freedom-c.most)", "survey", "TestRepeatsAreTwiceTheCovariance"},
		{"panes: a stratum of few reports dropped", formula, "survey/panes.go", "\t\t\tj.strata[len(j.strata)-1].absorb(p.Strata[i])\n", "", "survey", "TestJoinPanesKeepsEverything"},
	}
}

// engines are bugs in what is counted.
func engines() []mutant {
	const count, checkpoint = "engine/count.go", "engine/checkpoint.go"
	return []mutant{
		{"dedupe: a duplicate counts twice", counting, count, "if bit&*word != 0 {", "if bit&*word == 1<<63 {", "engine", "TestPlainWindowsCountTheSame"},
		{"dedupe: a duplicate counts twice where there are several statistics", counting, count, "if *word&bit != 0 {", "if *word&bit == 1<<63 {", "engine", "TestEndToEnd|TestPlainWindowsCountTheSame"},
		{"counting: a plain window takes a code that no device sends", counting, count, "if code >= uint64(len(scores)) {", "if code > uint64(len(scores)) {", "engine", "TestPlainWindowsCountTheSame"},
		{"hopping: the oldest pane left out", counting, "engine/hop.go", "for index := w.index - w.plan.panes + 1;", "for index := w.index - w.plan.panes + 2;", "engine", "TestHoppingWindowsAreTheirPanes"},
		{"hopping: a late report revises its own window only", counting, "engine/change.go", "next < l.window.index+l.window.plan.panes", "next < l.window.index", "engine", "TestHoppingLateReportsReviseTheirWindows"},
		{"dedupe: forgotten at a restart", counting, "engine/decode.go", "w.heard = append(w.heard, r.word())", "w.heard = append(w.heard, 0*r.word())", "engine", "TestRestartChangesNothing|TestCrashBetweenCommitAndCheckpoint"},
		{"trim: told before the checkpoint is on disk", fault, checkpoint, "if err := do(ctx, \"checkpoint\",", "e.covered(sequence)\n\tif err := do(ctx, \"checkpoint\",", "engine", "TestTrimsOnlyWhatIsOnDisk"},
		{"trim: the message at the position goes too", law, "engine/trim.go", "jetstream.WithPurgeSequence(to)", "jetstream.WithPurgeSequence(to+1)", "engine", "TestTrimsBehindTheCheckpoint|TestTrimKeepsByAge"},
		{"checkpoint: on disk before the sink's commit", fault, checkpoint, "return e.config.Sink.Commit(sequence) }); err != nil {", "return replace(e.config.Files, e.config.Folder, encoded) }); err != nil {\n\t\treturn err\n\t}\n\tif err := do(ctx, \"commit\", func() error { return e.config.Sink.Commit(sequence) }); err != nil {", "internal/crash", "TestRounds/engine_killed"},
		{"checkpoint: renamed before it is synced", fault, checkpoint, "err = file.Sync()", "err = error(nil)", "internal/crash", "TestRounds/engine_killed"},
		{"marks: put again after a restart", fault, "engine/trim.go", "return markOf(m.Header), nil", "return 0 * markOf(m.Header), nil", "internal/crash", "TestRounds/engine_killed"},
		{"future: told by the clock of the replay", fault, "engine/engine.go", "if ms := storedMs(m.data); ms > 0 {", "if ms := storedMs(m.data); ms < 0 {", "internal/crash", "TestRounds/engine_killed"},
		{"dead letters: replayed past the intake's checks", law, "engine/deadletter/replay.go", "message, l.config.Devices); cause != \"\" {", "message, l.config.Devices); cause == subject {", "engine/deadletter", "TestReplayPassesTheIntake"},
		{"counting: a window has many numbers", counting, "engine/engine.go", "if index >= math.MaxInt64/p.windowMs ||", "if index >= math.MaxInt64 ||", "engine", "TestAWindowHasOneNumber"},
		{"dead letters: too large for NATS", fault, "engine/output.go", ".MaxPayload())-letterRoom)", ".MaxPayload())+letterRoom)", "engine", "TestALetterFitsItsMessage"},
		{"counting: a share refuses the first release of a kappa", counting, "engine/release.go", "e.find(r.kappa)", "e.kappas[string(r.kappa)], e.kappas[string(r.kappa)] != nil", "engine", "TestAShareLearnsOfAKappaFromAnyAnswer"},
		{"counting: who was not due is counted", counting, count, "rank >= due || statistic >= statistics || group >= groups:", "rank >= due || statistic >= statistics:", "engine", "TestEveryRefusalIsADeadLetter|TestOneStatisticOfEachDevice"},
		{"counting: a statistic that the plan hasn't got", counting, count, "rank >= due || statistic >= statistics || group >= groups:", "rank >= due || group >= groups:", "engine", "TestOneStatisticOfEachDevice"},
		{"counting: statistics don't take turns", counting, "engine/frame.go", "return int(index/p.lapWindows%int64(len(p.statistics))) * len(f.groups)", "return int(index%1) * len(p.statistics) * len(f.groups)", "engine", "TestFrameIsThatOfEachRow"},
		{"counting: a stranger is whoever stands in its line", counting, "engine/table.go", "if e := inLine(line, key); e.key == key {", "if e := inLine(line, key); e.key == key || e.seat != vacant {", "engine", "TestTableFindsItsKeysAlone"},
		{"counting: one statistic's noise for another", counting, count, "noise, _ := s.noiseOf(values[i])", "noise, _ := p.statistics[0].noiseOf(0 * values[i])", "engine", "TestEndToEnd"},
		{"counting: rows have the noise of another code", counting, count, "&designs[int(d.seat)*shades+shade]", "&designs[int(d.seat)*shades+0*shade]", "engine", "TestRowsTellTheNoiseOfTheirCodes"},
		{"frame: who doesn't know the mechanism is due", design, "engine/plan.go", "p.query.Mechanisms = append(p.query.Mechanisms, compiled.mechanism)", "p.query.Mechanisms = p.query.Mechanisms[:0]", "engine", "TestFrameHasOnlyWhomThePlanCanAsk"},
		{"plan: asks by a mechanism that not all know", law, "query/plan/question.go", "&& !slices.Contains(q.known, m.Name()) {", "&& slices.Contains(q.known, m.Name()) {", "query/service", "TestOldDevicesAreNotAskedByNewMechanisms"},
		{"plan: squares by a mechanism whose noise isn't known", formula, "query/plan/question.go", "out[i].mechanism, out[i].noise, out[i].law = u.squareName, ", "out[i].mechanism, out[i].noise, out[i].law = u.meanName, ", "query/service", "TestOldDevicesAreNotAskedByNewMechanisms"},
		{"fleet: a device is told a plan that it can't follow", law, "fleet/server.go", "Plans: h.followed(plans), Live", "Plans: plans, Live", "fleet", "TestRepliesFollowThePlanSet"},
		{"counting: powers forgotten at a restart", counting, "engine/decode.go", "M3: r.float(), M4: r.float()", "M3: r.float(), M4: 2 * r.float()", "engine", "TestVariance"},
	}
}
