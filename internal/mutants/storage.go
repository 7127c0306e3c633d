package main

// storages are bugs in what lasts, and in what is read of it.
func storages() []mutant {
	const room = "storage"
	return []mutant{
		{"storage: a segment isn't synced", fault, "storage/filesystem.go", "\t\terr = file.Sync()\n", "\t\t_ = file.Sync\n", room, "TestCrashAtEveryStep|TestLifeAfterCrashes"},
		{"storage: a new name isn't made durable", fault, "storage/filesystem.go", "return counted.bytes, f.SyncDir(folder)", "return counted.bytes, nil", room, "TestLifeAfterCrashes"},
		{"storage: categories of a histogram are one result", law, "storage/scan.go", "\t\t\tk.bin = uint32(bins.Value(i))\n", "", room, "TestCategoriesAreResultsOfTheirOwn"},
		{"storage: the first window of a span is passed over", law, "storage/parquetread.go", "return least < s.until && most >= s.since", "return least < s.until && most > s.since", room, "TestWhatWasCommittedComesBack|TestOnlyRowGroupsOfTheSpanAreRead"},
		{"rows: designs of the batch before are taken for this one's", law, "engine/column/batch.go", "\tclear(r.windows)\n\tr.newest = nil\n", "", "engine/column", "TestDesignsEndWithTheBatch"},
		{"segments: reports take the design that their batch calls by that number", law, "storage/order.go", "renumbered[i] = at\n", "renumbered[i] = at * uint32(min(1, i))\n", room, "TestReportsAreWrittenAsRecordsAre"},
		{"segments: devices with one random number stand as they came", law, "storage/order.go", "if to > from+1 {", "if to > from+rowGroupRows {", room, "TestSortedAsCompared"},
		{"retention: a window is kept in part", law, "storage/retention.go", "return g != nil && seg.Date < g.Before", "return g != nil && seg.Date < g.Before && seg.Kind != KindStrata", room, "TestRetentionByAge"},
		{"retention: files go before the catalog says so", fault, "storage/retention.go", "\t\t*c, dropped = *next, outlived\n", "\t\t*c, dropped = *next, outlived\n\t\ts.retire(dropped)\n", room, "TestRetentionCrashes"},
		{"retention: today's rows go", law, "storage/retention.go", "if seg.Date < today {", "if seg.Date <= today {", room, "TestADateThatIsNotOverStays"},
		{"retention: what a replay would write again goes", law, "storage/retention.go", "if !next.expired(&seg) || seg.Last > permanent {", "if !next.expired(&seg) || seg.Last > permanent+seg.Last {", room, "TestRetentionWaitsForTheCheckpoint"},
		{"archive: a damaged copy is read", law, "storage/fetch.go", "hex.EncodeToString(hash.Sum(nil)) != seg.Archived {", "hex.EncodeToString(hash.Sum(nil)) != seg.Archived && seg.Archived == \"\" {", room, "TestNoRowOfADamagedObjectIsRead"},
		{"archive: a local file goes before its copy is confirmed", law, "storage/archive.go", "if seg.Archived != \"\" && seg.Last < c.position {", "if seg.Last < c.position {", room, "TestAnArchiveThatIsDownDelaysNothing"},
		{"archive: objects of merged segments are left behind", law, "storage/retention.go", "\t\tleave(next, &seg)\n", "", room, "TestObjectsGoWithTheirRows"},
		{"archive: an object goes while it is read", law, "storage/readers.go", "if began < epoch {", "if began > epoch {", room, "TestObjectsGoWithTheirRows"},
		{"archive: an upload is not noted before it begins", fault, "storage/archive.go", "return c.condemn(condemned{Object: seg.object()}) }, nil); err != nil {", "return c == nil }, nil); err != nil {", room, "TestLifeAfterCrashes"},
		{"export: the weights keep a column of each row group", law, "storage/reweight.go", "\tq.statistic = strings.Clone(q.statistic) // as a key", "\t// as a key", room, "TestExportStreams"},
		{"compaction: the last rows are lost", law, "storage/merge.go", "if m.picks.len() == gatherRows || len(m.sources) == 0 {", "if m.picks.len() == gatherRows {", room, "TestCompactionChangesNoAnswer"},
		{"compaction: a row is lost between two row groups", law, "storage/merge.go", "if src.row == int(src.rec.NumRows()) {", "if src.row >= int(src.rec.NumRows())-1 {", room, "TestCompactionChangesNoAnswer"},
		{"compaction: the old files go before the new one is named", fault, "storage/compact.go", "\t\treturn found == len(old)\n", "\t\ts.retire(old)\n\t\treturn found == len(old)\n", room, "TestLifeAfterCrashes"},
		{"compaction: beyond the engine's checkpoint", law, "storage/compact.go", "if seg.Last > permanent || seg.Remote {", "if seg.First > permanent+seg.Last || seg.Remote {", room, "TestNothingBeyondTheCheckpointIsCompacted"},
		{"compaction: files go while they are read", law, "storage/readers.go", "if began < d.epoch {", "if began > d.epoch {", room, "TestReadersThatBeganBeforeKeepTheirFiles"},
		{"compaction: rows of an older version are taken for ordered", law, "storage/parquetread.go", "return t.version >= k.sortedSince()", "return t.version >= 1 || t.version >= k.sortedSince()", room, "TestCompactedRowsAreInOrder|TestOldRowsAreSorted"},
		{"share: a late owner goes on", law, "storage/shared.go", "\t\t\treturn h.fence()\n\t\tcase *now == *next:", "\t\t\th.hold(now, revision)\n\t\tcase *now == *next:", room, "TestALateOwnerCommitsNothing"},
		{"share: an earlier lease takes it", law, "storage/shared.go", "if now.Epoch > h.Epoch {", "if now.Epoch > h.Epoch+1<<40 {", room, "TestALateOwnerCommitsNothing"},
		{"share: a catalog before its segments", fault, "storage/commit.go", "s.home.settle(s.life, staged)", "s.home.settle(s.life, staged[:0])", room, "TestAShareAnswersLikeAFolder"},
		{"share: a lost answer is a refusal", fault, "storage/shared.go", "\t\tcase now.Term == next.Term: // a head of this term", "\t\tcase now.Term == next.Term+1: // a head of this term", room, "TestFaultsOfTheNetworkLoseNothing"},
		{"share: names are given twice", law, "storage/head.go", "stem, term, number)", "stem, 0*term, number)", room, "TestNamesAreGivenOnce"},
		{"share: files go while they are read", law, "storage/tidy.go", "Add(-s.share.Delay)", "Add(0 * s.share.Delay)", room, "TestAReaderOfWhatIsMerged"},
		{"share: what waits for its commit goes", law, "storage/shared.go", " && !h.afoot[name] &&", " &&", room, "TestWhatWaitsForItsCommitStays"},
		{"share: leftovers stay for ever", law, "storage/shared.go", "term <= h.head.Term", "term > h.head.Term", room, "TestTakeoverAtEveryStep"},
		{"reader: a window is read in part", law, "storage/reader.go", "\t\t\tgone[of] = g\n", "\t\t\tgone[of] = sum\n", room, "TestNoWindowIsReadInPart"},
		{"cache: a damaged block is read", law, "storage/cache.go", "(len(f.block) != size || digestOf(f.block) != digest)", "len(f.block) != size", room, "TestDamagedObjectsOfAShare|TestTheCacheIsBounded"},
		{"compaction: every commit writes all again", law, "storage/compact.go", "return terms{least: 8, ratio: 1}", "return terms{least: 2, ratio: 1e9}", room, "TestCompactionIsWorthIt"},
	}
}
