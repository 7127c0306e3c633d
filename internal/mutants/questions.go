package main

// questions are bugs in what is made of stored reports.
func questions() []mutant {
	const (
		answer = "query/reanalysis/answer.go"
		pkg    = "query/reanalysis"
	)
	return []mutant{
		{"stored: totals of windows are added up", formula, answer, "\t\treturn float64(windows)\n", "\t\treturn 1\n", pkg, "TestTotalsAreOfOneWindow"},
		{"stored: windows before the span", counting, "query/reanalysis/gather.go", "|| s.WindowStartMs < q.since ||", "||", pkg, "TestSpanAndCells"},
		{"stored: windows of the same devices taken together", design, "query/reanalysis/question.go", `== "fixed"`, `== "fix"`, pkg, "TestFixedPanelsAreNotTakenTogether"},
		{"stored: the noise forgotten", formula, "query/reanalysis/fold.go", "to.noise += noise[i]", "to.noise += 0 * noise[i]", "internal/server", "TestQueryOverOwnWindowsIsLive"},
		{"stored: WHERE leaves nothing out", counting, "query/reanalysis/gather.go", "\tif !at.in {\n", "\tif false && !at.in {\n", pkg, "TestSpanAndCells"},
	}
}
