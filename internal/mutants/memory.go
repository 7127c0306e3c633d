package main

// memories are bugs in permanent answers: how they are made, what is remembered of them, and how they are charged.
func memories() []mutant {
	const (
		memo   = "privacy/memo/memo.go"
		book   = "privacy/ledger"
		keeper = "edge/ledger/secret.go"
		agent  = "edge/agent/memory.go"
		tests  = "privacy/memo"
	)
	return []mutant{
		{"memo: the value left out of the first round's input", distribution, memo, "m.label(room[:0], forPermanent, question, category))", "m.label(room[:0], forPermanent, question, 0*category))", tests, "TestAnswersAreDistributedAsStated"},
		{"memo: the value left out of the mark", law, memo, "m.label(room[:0], forTag, question, category)))", "m.label(room[:0], forTag, question, 0*category)))", tests, "TestMarksDiffer"},
		{"memo: second round skipped", distribution, memo, "return m.instant.Randomise(answer, key.Derive(label), buf)", "return append(buf, append(label[:0], byte(answer))...), nil", tests, "TestAnswersAreDistributedAsStated"},
		{"memo: one second round for all windows", distribution, memo, "AppendUint64(label, uint64(window))", "AppendUint64(label, uint64(0*window))", tests, "TestAnswersAreTheSameAfterARestart|TestAnswersAreDistributedAsStated"},
		{"memo: one report tells what all may", certificate, memo, "bound := privacy.ExpLowerBound(once)", "bound := privacy.ExpLowerBound(forever)", tests, "TestCertificates"},
		{"memo: shares from the first round alone", certificate, memo, "return mix(p1, p2, q2), mix(q1, p2, q2)", "return mix(p1, p1, q1), mix(q1, p2, q2)", tests, "TestCertificates"},
		{"memo: fresh permanent answer in each report", law, agent, "s.memo.Answer(key, s.question, charge.WindowStart.UnixMilli(), category, buffer[:0])", "s.memo.Randomise(category, a.config.Source, buffer[:0])", "edge/agent", "TestPermanentAnswersOutliveTheProcess"},
		{"memo: a new category that can't be paid for is answered", law, agent, "s.memo.Tag(key, s.question, category)); err != nil {", "s.memo.Tag(key, s.question, category)); err != nil && Refusal(err) == LedgerFailed {", "edge/agent", "TestNewRoomsAreJudgedByThePolicy"},
		{"memo: another summary is the same question", law, agent, "capability, w.Reading, w.Summary, kind,", "capability, w.Reading, w.Reading, kind,", "edge/agent", "TestTheSameQuestionSharesItsAnswers"},
		{"memo: every report is charged", law, "privacy/ledger/value.go", "if err := b.CheckValue(c, tag); err != nil || b.Remembers(tag) {", "if err := b.CheckValue(c, tag); err != nil {", "edge/agent", "TestTwoHundredReportsCostOnce"},
		{"memo: a mark isn't durable", fault, "edge/ledger/file.go", "next, record, err := f.chain.SealValue(c, tag)", "next, record, err := f.chain.Seal(c)", "edge/ledger", "TestValuesAreRememberedAfterARestart"},
		{"memo: compaction drops the marks", law, "privacy/ledger/checkpoint.go", "\t\tb.remember(r.Tag)\n", "", book, "TestSecretIsBoundForEver"},
		{"memo: compaction drops the secret's mark", law, "privacy/ledger/checkpoint.go", "if mark, bound := b.Secret(); bound {", "if mark, bound := b.Secret(); !bound {", book, "TestSecretIsBoundForEver"},
		{"memo: a lost secret is replaced by a new one", fault, keeper, "if errors.Is(err, fs.ErrNotExist) {\n\t\treturn nil, FaultSecret", "if errors.Is(err, fs.ErrNotExist) {\n\t\treturn nil, errNoSecret", "edge/ledger", "TestSecretThatIsNotTheLedgers"},
		{"memo: another secret taken for the ledger's", fault, keeper, "if !ok || memo.Mark(secret) != mark {", "if !ok || memo.Mark(secret) == [law.TagBytes]byte{} && mark != [law.TagBytes]byte{} {", "edge/ledger", "TestSecretThatIsNotTheLedgers"},
		{"memo: the secret is used before it is bound", fault, keeper, "\tif err := f.commit(next, record); err != nil {\n\t\treturn nil, err\n\t}\n", "\t_, _ = next, record\n", "edge/ledger", "TestSecretStays"},
		{"memo: the secret isn't synced", fault, keeper, "\treturn f.Sync()\n", "\treturn nil\n", "edge/collector", "TestTortureValues.*"},
		{"memo: the bound to date forgets the price of a category", formula, "internal/todate/todate.go", "return max(a.DevicePlan.GetEpsilonMicro(), a.GetEpsilonValueMicro())", "return a.DevicePlan.GetEpsilonMicro()", "engine", "TestPermanentAnswersInResults"},
	}
}
