package main

// clusters are bugs in what several engines do together.
func clusters() []mutant {
	const engine, member = "engine", "engine/member"
	return []mutant{
		{"share: what was handed on is handed on again", law, "engine/handover.go", "\t\tw.moments[i] = survey.Moments{}\n", "", engine, "TestMergedHandoversAreTheWindow"},
		{"share: counts of categories stay behind", law, "engine/handover.go", "slot.support, w.supports[i] = w.supports[i], survey.Support{}", "slot.support = w.supports[i]", engine, "TestMergedHandoversAreTheWindow"},
		{"share: it reads a partition of the next one", law, "engine/part.go", "for i := range each {", "for i := range each + 1 {", engine, "TestSharesGiveWhatOneEngineGives"},
		{"share: a new owner hands on what stands there already", law, "engine/chain.go", "if !c.spot.before(h.spot) {", "if c.spot == h.spot {", engine, "TestChainHoldsEachPlaceOnce"},
		{"share: a place in the chain is taken twice", law, "engine/chain.go", ", jetstream.WithExpectLastSequencePerSubject(c.sequence))", ")", engine, "TestChainHoldsEachPlaceOnce"},
		{"merger: a window is told before all shares have closed it", law, "engine/merge.go", "case w.closedBy == e.everybody():", "case w.closedBy != 0:", engine, "TestNoResultOfAPart"},
		{"share: all of a process wait for one room", law, "internal/memory/budget.go", "each := func(a *Account) *Account { return a.under(a.Limit() / int64(most)) }", "each := func(a *Account) *Account { return a }", "internal/memory", "TestEnginesHaveRoomOfTheirOwn"},
		{"share: windows are refused by how much memory a process has", law, "internal/memory/budget.go", "States: b.States.under(0)}", "States: b.States.under(b.States.Limit() / int64(most))}", "internal/memory", "TestEnginesHaveRoomOfTheirOwn"},
		{"share: what a part held stays on the process's account", law, member + "/member.go", "\tdefer end()\n\tstore,", "\t_ = end\n\tstore,", member, "TestPartsHaveRoomOfTheirOwn"},
		{"merger: rounds take no room", law, "engine/merge.go", "if !e.reserve(ctx, &m) {", "if e.config.Memory.Queue.Add(m.bytes()); ctx.Err() != nil {", engine, "TestTightMemoryOfPartsChangesNothing"},
		{"merger: what late reports add is lost", law, "engine/merge.go", "\tw.add(g)\n", "\tif g.closes {\n\t\tw.add(g)\n\t}\n", engine, "TestSharesGiveWhatOneEngineGives"},
		{"merger: single answers are not put together", law, "engine/handover.go", "\t\tw.heard[rank/64] |= 1 << (rank % 64)\n", "", engine, "TestSharesTellAllKinds"},
		{"checkpoint of a part: a former owner saves", law, "engine/member/checkpoints.go", "c.kv.Update(ctx, c.part, value, c.revision)", "c.kv.Put(ctx, c.part, value)", member, "TestCheckpointsFence"},
		{"lease: an owner that has lost it takes it back", law, "engine/member/lease.go", "case string(entry.Value()) != l.leases.node:", "case string(entry.Value()) == \"\":", member, "TestLeaseOfOne"},
		{"bucket: a replica is believed while there is no leader", law, "internal/follow/follow.go", "a.Cluster.Leader == \"\":", "a.Cluster.Leader == \"nobody\":", "internal/follow", "TestCatchAsksAgain"},
		{"consumer: one that died is waited for", law, "internal/follow/messages.go", "consumerAgain = 400 * time.Millisecond", "consumerAgain = time.Minute", "internal/follow", "TestReaderAsksForAnotherConsumer"},
		{"consumer: one that nobody has asked is waited for", law, "internal/follow/messages.go", "own.CachedInfo().NumWaiting == 0", "own.CachedInfo().NumWaiting < 0", "internal/follow", "TestReaderAsksADeafConsumerAgain"},
		{"part: results wait until a checkpoint can be made", law, "engine/output.go", "must := e.config.Part == nil ||", "must := true ||", engine, "TestResultsDontWaitForCheckpoints"},
		{"checkpoint: an owner takes its own head for another's", law, member + "/checkpoints.go", "case now.Epoch != next.Epoch:", "case now != next:", member, "TestAnOwnerKnowsItsOwnHead"},
		{"plans: a version is told before its kappa", law, "query/service/service.go", "return s.shared.told(s.version, now)", "return s.version", "query/service", "TestNoVersionIsToldBeforeItsKappa"},
		{"keeper: the horizon is told before the rows", law, "fleet/store.go", "\tif err := s.Flush(ctx); err != nil {\n\t\treturn err\n\t}\n\tif _, err := s.kv.Put(ctx, keyHorizon,", "\tif _, err := s.kv.Put(ctx, keyHorizon,", "fleet", "TestFollowerHasTheKeepersFrames"},
		{"keeper: a row begins at the horizon", law, "fleet/store.go", "s.registry.freeze(now.UnixMilli())", "s.registry.freeze(now.UnixMilli() - 1)", "fleet", "TestFollowerHasTheKeepersFrames"},
	}
}
