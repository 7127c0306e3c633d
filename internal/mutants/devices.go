package main

// devices are bugs in what a device spends, keeps and sends.
func devices() []mutant {
	const (
		book  = "privacy/ledger/book.go"
		chain = "privacy/ledger/chain.go"
		rules = "privacy/ledger"
		agent = "edge/agent/report.go"
	)
	return []mutant{
		{"budget: compared with > instead of ≥", law, book, "if spent <= limit && asked <= limit-spent {", "if spent < limit {", rules, "TestBookAgreesWithTheLaw"},
		{"budget: a calendar period instead of a sliding one", law, book, "b.entries[last].start < b.entries[i].start+period {", "b.entries[last].start/period <= b.entries[i].start/period {", rules, "TestBookAgreesWithTheLaw"},
		{"budget: lifetime not counted", law, book, "\tb.spent.add(c.Epsilon)\n", "", rules, "TestLifetime"},
		{"budget: a plan's limit ignored", law, book, "return over(Refusal{Reason: PlanSpent}, c.PlanPerPeriod, own, c.Epsilon)", "return over(Refusal{Reason: PlanSpent}, c.PlanPerPeriod, own-own, c.Epsilon)", rules, "TestPlanLimitsItsKappaAlone|TestBookAgreesWithTheLaw"},
		{"budget: a window charged twice", law, book, "if known && b.charged(start, id) {", "if known && b.charged(start+1, id) {", rules, "TestOneChargePerWindow"},
		{"budget: forgotten charges are free", law, book, "\t\tb.forgotten = max(b.forgotten, e.start)\n", "", rules, "TestForgotten.*|TestBookAgreesWithTheLaw"},
		{"budget: very many cheap charges are kept", law, book, "return len(b.entries)-gone >= entriesMost", "return len(b.entries)-gone >= 2*entriesMost", rules, "TestCrowdedBookRefusesUntilChargesAreOld"},
		{"clock: set back and trusted", fault, book, "if start+int64(c.Window) < b.newestEnd-int64(Tolerance) {", "if start+int64(c.Window) < never {", rules, "TestClockBack"},
		{"ledger: another history accepted", fault, chain, "if r.Sequence != c.length || r.Previous != c.head {", "if r.Sequence != c.length {", rules, "TestTamperedFilesStop"},
		{"ledger: a record of zeros is an end anywhere", fault, chain, "for end >= RecordBytes && zeros(file[end-RecordBytes:end]) {", "for end > RecordBytes && !zeros(file[end-RecordBytes:end]) {", rules, "TestTamperedFilesStop|TestUnfinishedWriteIsCut|TestReplayRebuildsTheBook"},
		{"ledger: fsync removed", fault, "edge/ledger/file.go", "if err := f.log.Sync(); err != nil {", "if err := error(nil); err != nil {", "edge/ledger", "TestPowerCuts|TestFailedSyncIsReadAgain"},
		{"ledger: anchor not written", fault, "edge/ledger/file.go", "if err := h.put(a); err != nil {", "if err := error(nil); err != nil && h.put(a) != nil {", "edge/ledger", "TestUntrustedLedgerRefusesAll"},
		{"ledger: a restored backup accepted", fault, "edge/ledger/reconcile.go", "\t\treturn FaultRolledBack\n\tcase !f.here(got):\n\t\treturn FaultMachine\n\tcase got == want:", "\t\terr = h.put(want)\n\tcase !f.here(got):\n\t\treturn FaultMachine\n\tcase got == want:", "edge/ledger", "TestUntrustedLedgerRefusesAll"},
		{"ledger: a copied card accepted", fault, "edge/ledger/reconcile.go", "return f.config.adopt || a.machine == [markBytes]byte{} || a.machine == f.machine", "return f.config.adopt || a.machine == [markBytes]byte{} || len(a.machine) == len(f.machine)", "edge/ledger", "TestCopiedCard"},
		{"ledger: the witness is not asked", fault, "edge/ledger/open.go", "\tif f.config.Witness != nil {", "\tif f.config.Witness != nil && f.config.adopt {", "edge/ledger", "TestWitnessSeesARestoredFolder"},
		{"ledger: compaction forgets what was spent", law, "privacy/ledger/checkpoint.go", "p.Book.spent, p.Book.newestEnd, p.Book.widest, p.Book.forgotten = c.spent,", "p.Book.spent, p.Book.newestEnd, p.Book.widest, p.Book.forgotten = Spent{},", rules, "TestCompactedBookDecidesAlike|TestValueIsChargedOnce"},
		{"ledger: compaction drops the charges of the period", law, "privacy/ledger/checkpoint.go", "\t\tb.entries = append(b.entries, entry{start: start, micro: uint32(r.Charge.Epsilon), kappa: id})\n", "\t\tb.kappas[id].period += 0\n", rules, "TestCompactedBookDecidesAlike"},
		{"ledger: the new name isn't made durable", fault, "edge/ledger/compact.go", "if err := f.config.Folder.Sync(); err != nil {", "if err := error(nil); err != nil {", "edge/collector", "TestTorture.*"},
		{"ledger: the compacted log isn't synced", fault, "edge/ledger/secret.go", "\treturn f.Sync()\n", "\treturn nil\n", "edge/collector", "TestTorture.*"},
		{"ledger: an anchor swears to what isn't on disk", fault, "edge/ledger/reconcile.go", "\t\tif err := f.harden(content); err != nil {\n\t\t\treturn err\n\t\t}\n", "", "edge/collector", "TestTorture.*"},
		{"ledger: the newest anchor is overwritten", fault, "edge/ledger/anchor.go", "next := (h.slot + 1) % slots", "next := h.slot", "edge/collector", "TestTorture.*"},
		{"ledger: a later log than its anchor is cut back", fault, "edge/ledger/reconcile.go", "return err == nil && a.length+1 == f.chain.Length() && last.Previous == a.head", "return err == nil && a.length+1 == f.chain.Length() && last.Previous != a.head", "edge/collector", "TestTorture.*"},
		{"collector: a second answer for a window that was charged", law, "edge/agent/report.go", "if err := a.config.Ledger.Reserve(p.charge(window)); err != nil {", "if err := a.config.Ledger.Reserve(p.charge(window)); err != nil && Refusal(err) != RefusedCharged {", "edge/collector", "TestTorture.*"},
		{"collector: a ledger that failed is no reason to be silent", law, "edge/agent/report.go", "if err := a.config.Ledger.Reserve(p.charge(window)); err != nil {", "if err := a.config.Ledger.Reserve(p.charge(window)); err != nil && Refusal(err) != LedgerFailed {", "edge/collector", "TestTorture.*"},
		{"ledger: another device's accepted", fault, "edge/ledger/open.go", "if !strings.HasPrefix(first.Owner, ownerPrefix(device)) {", "if first.Owner == ownerPrefix(device) {", "edge/ledger", "TestUntrustedLedgerRefusesAll"},
		{"ledger: goes on after a failed sync", fault, "edge/ledger/file.go", "if err := f.log.Sync(); err != nil {\n\t\tf.stopped = true", "if err := f.log.Sync(); err != nil {\n\t\tf.stopped = false", "edge/ledger", "TestFailedSyncIsReadAgain"},
		{"agent: randomises what the ledger refused", law, agent, "err != nil {\n\t\treturn 0, Refusal(err), err\n\t}", "err != nil {\n\t\t_ = Refusal(err)\n\t}", "edge/agent", "TestOutcomes|TestTwoKappasShareTheLedger"},
		{"agent: randomises before it charges", law, agent, "\tif err := a.config.Ledger.Reserve(p.charge(window)); err != nil {\n\t\treturn 0, Refusal(err), err\n\t}\n\tvalue, err := s.randomise(x, a.config.Source)\n\tif err != nil {\n\t\treturn 0, EntropyFailed, err\n\t}\n", "\tvalue, err := s.randomise(x, a.config.Source)\n\tif err != nil {\n\t\treturn 0, EntropyFailed, err\n\t}\n\tif err := a.config.Ledger.Reserve(p.charge(window)); err != nil {\n\t\treturn 0, Refusal(err), err\n\t}\n", "edge/agent", "TestChargeComesFirst"},
		{"agent: reports a window again", law, agent, "\th.reported = (window + 1) * int64(r.plan.wire.WindowMs)\n", "\t_ = h\n", "edge/agent", "TestTwoKappasShareTheLedger"},
		{"agent: gives more than its policy when asked", law, agent, "case r.standing == ForbidsEpsilon:", "case r.standing == ForbidsEpsilon && due == r.plan.wire.Paused:", "edge/agent", "TestOutcomes"},
		{"agent: charges half of what it gives", law, "edge/agent/plan.go", "Epsilon:       p.price.Charge(),", "Epsilon:       (p.price.Charge() + 1) / 2,", "edge/agent", "TestNoServerRaisesTheLimits"},
		{"agent: without noise for any capability", law, "edge/agent/apply.go", "p.price.Charge() == 0 && !c.Open:", "p.price.Charge() == 0 && !c.Open && c.Name == p.wire.Ref:", "edge/agent", "TestNoServerRaisesTheLimits"},
		{"agent: silent when its reading is zero", law, agent, "if !ok {", "if !ok || x == 0 {", "edge/agent", "TestSilenceTellsNothingAboutTheReading"},
		{"agent: sends what it should hide", endToEnd, agent, "return value, Reported, nil", "return value - value + int64(s.input(x)), Reported, nil", "internal/verify", "TestEndToEnd"},
		{"agent: silent when its reading is at the lower bound", endToEnd, agent, "if !ok {", "if !ok || s.mechanism != nil && s.input(x) == 0 {", "internal/verify", "TestEndToEnd"},
		{"agent: a revision of the plan is forgotten", law, "edge/agent/due.go", "r.plan.wire.FromWindow <= window {", "r.plan.wire.FromWindow < window {", "edge/agent", "TestEveryDeviceReportsOnceALap"},
		{"spool: fsync removed", fault, "edge/spool/spool.go", "err = last.file.Sync()", "err = nil", "edge/spool", "TestPowerCuts"},
		{"panel: an arc is one device too long", design, "survey/panel/draw.go", "r.Last[i] = next - 1", "r.Last[i] = next", "survey/panel", "TestDrawHoldsExactlyTheSizes"},
		{"panel: due twice in a lap", design, "survey/panel/rotation.go", "uint64(windowIndex)%uint64(r.LapWindows) != uint64(window) {", "uint64(windowIndex)%uint64(r.LapWindows)/2 != uint64(window)/2 {", "survey/panel", "TestDueAtMostOncePerLapAndEveryStatisticInTurn"},
		{"panel: always the same statistic", design, "survey/panel/rotation.go", "return uint32((uint64(slot) + lap%slots) % slots), true", "return uint32((uint64(slot) + lap%slots - lap%slots) % slots), true", "survey/panel", "TestDueAtMostOncePerLapAndEveryStatisticInTurn"},
		{"panel: who rested is passed over", design, "survey/panel/rotation.go", "return sorted[(start+k)%len(sorted)]", "return sorted[(start+k+1)%len(sorted)]", "survey/panel", "TestNextVisitsEveryoneBeforeAnyoneTwice"},
	}
}
