package main

// questions are bugs in what is made of stored reports.
func questions() []mutant {
	const (
		answer = "query/reanalysis/answer.go"
		pkg    = "query/reanalysis"
	)
	return []mutant{
		{"stored: the last plan alone says who answers again", law, "query/reanalysis/repeats.go", "return q.terms[first : last+1]", "return q.terms[max(first, last) : last+1]", "query/reanalysis", "TestPlansChangeWithinAWindow"},
		{"early: an interval of one look", formula, "query/reanalysis/sample.go", "return earlyLevel(q.confidence, share, g.part(a.stored, windows))", "return q.confidence", "query/reanalysis", "TestEarlyAnswersHoldTogether"},
		{"stored: powers of a single report lost", formula, "query/reanalysis/said.go", "s.tails.Merge(s.moments, o.tails, o.moments)", "s.tails = o.tails", "internal/server", "TestQueryOfEveryStatisticIsLive/devices"},
		{"stored: permanent noise averaged away", formula, "query/reanalysis/units.go", "c.Domain.Noise *= float64(u.windows)", "c.Domain.Noise *= 1", pkg, "TestPermanentNoiseIsBounded"},
		{"stored: totals of windows are added up", formula, answer, "\t\treturn float64(windows)\n", "\t\treturn 1\n", pkg, "TestTotalsAreOfOneWindow"},
		{"stored: windows before the span", counting, "query/reanalysis/gather.go", "|| s.WindowStartMs < q.since ||", "||", pkg, "TestSpanAndCells"},
		{"stored: windows of the same devices taken as independent", design, "query/reanalysis/repeats.go", "turn > 0 && span >= turn\n", "turn > 0 && span >= turn<<40\n", pkg, "TestFixedPanelsAreOneSample"},
		{"stored: a cluster counts in each lap anew", design, "query/reanalysis/units.go", "if !known || !q.repeats(a, windows) {", "if !known || q != nil {", pkg, "TestClustersAnswerAgain"},
		{"stored: silent windows of a unit forgotten", design, "query/reanalysis/units.go", "u.windows > 0 && u.windows < out.windows {", "u.windows < 0 {", pkg, "TestSilentWindowsCount"},
		{"stored: a gateway's noise is each unit's", formula, "query/reanalysis/members.go", "n*n*b.noiseOf(i)", "n*b.noiseOf(i)", "internal/server", "TestQueryOfEveryStatisticIsLive/gateways"},
		{"stored: the noise forgotten", formula, "query/reanalysis/fold.go", "to.noise += b.noiseOf(i)", "to.noise += 0 * b.noiseOf(i)", "internal/server", "TestQueryOverOwnWindowsIsLive"},
		{"stored: a part without its reports below", counting, "query/reanalysis/fold.go", "randoms[i] < below)", "randoms[i] < 2*below)", pkg, "TestPercentIsThoseBelow"},
		{"stored: reports read twice as looks grow", counting, "query/reanalysis/sample.go", "return s.read[start], next[start]", "return 0, next[start]", pkg, "TestMarginThatIsOutOfReach"},
		{"stored: looks that aren't paid for", formula, answer, "if level := g.level(q, a, windows); err == nil {", "if level := q.confidence; err == nil {", pkg, "TestLooksArePaidFor"},
		{"stored: a stratum of one report", design, "query/reanalysis/sample.go", "max(shares[i], s.floors[i])\n\t\tfor", "shares[i]\n\t\tfor", pkg, "TestSmallStrataRaiseTheShare"},
		{"stored: a part of a window beside all of it", design, "query/reanalysis/sample.go", "s.whole[g.windows[at]] = true", "s.whole[g.windows[at]] = false", pkg, "TestFilesOfNoOrderAreReadWhole"},
		{"stored: the rate of a part told as that of all", formula, "query/reanalysis/sample.go", "float64(s.responses)/share", "float64(s.responses)", pkg, "TestPercentCovers"},
		{"tabular: pages that reach into two windows left out", counting, "internal/tabular/cut.go", "for next > 0 && pages", "for next < 0 && pages", "internal/tabular", "TestCutLeavesNothingOut"},
		{"truth: a window that hops is its first pane", formula, "internal/simulate/truth.go", "for next := first + 1; next <= last; next++ {", "for next := first + 1; next <= first; next++ {", "internal/server", "TestTruthOfHoppingWindows"},
		{"stored: WHERE leaves nothing out", counting, "query/reanalysis/gather.go", "\tif !at.in {\n", "\tif false && !at.in {\n", pkg, "TestSpanAndCells"},
	}
}

// tables are bugs in what SQL clients are given.
func tables() []mutant {
	const (
		pkg   = "query/flight"
		tests = "internal/server"
	)
	return []mutant{
		{"tables: any password is a token", law, "query/service/grpc.go", `return ok && s.authorized("Bearer "+password)`, `return ok && password != ""`, tests, "TestTablesNeedTheToken"},
		{"tables: a window at the end of a span", counting, "query/script/rows.go", "\tcase \"<\":\n\t\tuntil = ceil\n", "\tcase \"<\":\n\t\tuntil = ceil + 1\n", "query/script", "TestSpanOfWindowStart"},
		{"tables: OFFSET begins anew in each record", counting, "query/flight/cut.go", "skip -= passed", "skip -= 0 * passed", pkg, "TestRowsOfAStatement"},
		{"tables: no LIMIT runs over", counting, "query/flight/cut.go", "run.from + min(run.to-run.from, left)", "min(run.to, run.from+left)", pkg, "TestRowsOfAStatement"},
		{"tables: results in every revision", counting, "internal/server/tables.go", "s.Since, s.Until, true)", "s.Since, s.Until, false)", tests, "TestTablesTakeTheNewestRevision"},
		{"tables: the notes of an answer left out", counting, "query/flight/statement.go", "append(result.Warnings, reply.GetNotes()...)", "append(result.Warnings, reply.GetNotes()[:0]...)", pkg, "TestAnswersComeInMessages"},
		{"tables: a handle of another version", law, "query/flight/handle.go", " || handle[0] != handleVersion", "", pkg, "TestHandleIsAPromise"},
		{"tables: a day goes out before its last rows came", counting, "query/flight/sort.go", ".starts/dayMs < int64(startsOf(record)[0])/dayMs", ".starts/dayMs <= int64(startsOf(record)[0])/dayMs", pkg, "TestRowsInOrder"},
		{"tables: ORDER BY holds whatever comes", counting, "query/flight/sort.go", "p.bytes+16*int64(len(p.places)) > p.bytesMost", "p.bytes < 0", pkg, "TestOrderIsBounded"},
		{"tables: milliseconds told as nanoseconds", counting, "query/flight/shown.go", "math.MaxInt64/factor) * factor)", "math.MaxInt64/factor))", pkg, "TestColumnsAreOfTypesOfSQL"},
		{"tables: a name alone is that of reports", law, "query/script/parse_rows.go", `Text: "results"}, parts[0]`, `Text: "reports"}, parts[0]`, "query/script", "TestParseRows"},
	}
}
