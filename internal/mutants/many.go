package main

// crowds are bugs that show once there are many kappas.
func crowds() []mutant {
	const service = "query/service"
	return []mutant{
		{"hello: a piece of many plans passes for all of them", law, "fleet/server.go", "Plans: h.followed(plans[:told]), More: true,", "Plans: h.followed(plans[:told]),", "fleet", "TestManyPlansComeInPieces"},
		{"hello: kappas live whose plans come later", law, "fleet/server.go", "slices.DeleteFunc(slices.Clone(live), func(ref string) bool { return later[ref] })", "live", "fleet", "TestManyPlansComeInPieces"},
		{"redraw: a fleet that changed passes for still", law, "query/service/looks.go", "f.settled && f.changes == changes &&", "f.settled &&", service, "TestFitHoldsUntilTheFleetChanges"},
		{"redraw: a change that takes effect later is forgotten", law, "query/service/looks.go", "f.settled || now.Sub(f.since) >= settleAfter", "true", service, "TestFitHoldsUntilTheFleetChanges"},
		{"known: every kappa is asked about a spread", law, "query/service/known.go", "refs[max(0, len(refs)-askedMost):]", "refs", service, "TestManyKappasDontSlowADeployment"},
		{"missed windows: room is made behind all of them", law, "engine/engine.go", "closed%missedWindows == 0 {", "closed%missedWindows == missedWindows {", "engine", "TestMissedWindowsStayWithinMemory"},
		{"storage: a part that could not be written is forgotten", fault, "storage/commit.go", "i < written && errs[i] == nil {", "i < written {", "storage", "TestPartsOfManyKappas"},
		{"storage: a folder that was removed is never made again", fault, "storage/home.go", "\t\tf.forget(path)\n", "\t\t_ = path\n", "storage", "TestPartsOfManyKappas"},
	}
}
