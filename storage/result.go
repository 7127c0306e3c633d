package storage

import (
	"cmp"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// resultKey is what makes a result one: the store keeps the first that has it.
type resultKey struct {
	ref, statistic, cell string
	startMs, revision    int64
	bin                  uint32
}

func keyOf(m *quadratv1.Result) resultKey {
	return resultKey{
		ref: m.GetRef(), statistic: m.GetStatistic(), cell: column.Cell(m.GetCell()),
		startMs: m.GetWindowStart().AsTime().UnixMilli(), revision: int64(m.GetRevision()),
		bin: m.GetBin().GetIndex(),
	}
}

// compareResults is the order of results in a segment.
func compareResults(x, y *quadratv1.Result) int {
	a, b := keyOf(x), keyOf(y)
	return cmp.Or(cmp.Compare(a.startMs, b.startMs), cmp.Compare(a.statistic, b.statistic),
		cmp.Compare(a.cell, b.cell), cmp.Compare(a.bin, b.bin), cmp.Compare(a.revision, b.revision))
}

// checkResult says which law of a result's columns is broken.
func checkResult(m *quadratv1.Result) error {
	switch {
	case !validRef(m.GetRef()):
		return &Error{Code: Malformed, Detail: "a reference is not 1 to 64 characters of [A-Za-z0-9_-]"}
	case !m.GetWindowStart().IsValid() || !m.GetWindowEnd().IsValid() || m.GetWindowStart().AsTime().UnixMilli() < 0:
		return &Error{Code: Malformed, Detail: "a result has no window"}
	}
	return nil
}
