package storage

import (
	"cmp"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/engine/column"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// place is where rows of one kind go: a kappa and a UTC date.
type place struct{ ref, date string }

// bucket is rows that wait for one place.
type bucket struct {
	kappa   string // name of the kappa
	reports []column.Report
	results []*quadratv1.Result
	strata  []Stratum
}

// part names rows that become one segment.
type part struct {
	kind Kind
	place
}

// parts is the non-empty parts of all buckets, in a fixed order.
func parts(buckets map[place]*bucket) []part {
	var out []part
	for p, b := range buckets {
		for _, k := range kinds() {
			if b.rows(k) > 0 {
				out = append(out, part{kind: k, place: p})
			}
		}
	}
	slices.SortFunc(out, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.ref, b.ref), cmp.Compare(a.date, b.date))
	})
	return out
}

func (b *bucket) rows(k Kind) int {
	switch k {
	case KindReports:
		return len(b.reports)
	case KindResults:
		return len(b.results)
	case KindStrata:
		return len(b.strata)
	}
	return 0
}

// forget drops the rows of a kind, after they have become a segment.
func (b *bucket) forget(k Kind) {
	switch k {
	case KindReports:
		b.reports = nil
	case KindResults:
		b.results = nil
	case KindStrata:
		b.strata = nil
	}
}

// records calls yield with the rows of a kind, sorted, as records of its schema.
func (b *bucket) records(t tableSpec, alloc memory.Allocator, yield func(arrow.Record) error) error {
	record := b.source(t, alloc)
	for from, n := 0, b.rows(t.kind); from < n; from += rowGroupRows {
		rec := record(from, min(n, from+rowGroupRows))
		err := yield(rec)
		rec.Release()
		if err != nil {
			return err
		}
	}
	return nil
}

// source sorts the rows of a kind and is how to make a record of a run of them.
func (b *bucket) source(t tableSpec, alloc memory.Allocator) func(from, to int) arrow.Record {
	switch t.kind {
	case KindReports:
		slices.SortStableFunc(b.reports, compareReports)
		return func(from, to int) arrow.Record {
			rows := column.NewReports(alloc, t.kappa, t.ref)
			defer rows.Release()
			for i := from; i < to; i++ {
				rows.Append(&b.reports[i])
			}
			return rows.NewRecord()
		}
	case KindStrata:
		slices.SortStableFunc(b.strata, compareStrata)
		return func(from, to int) arrow.Record { return stratumRecord(b.strata[from:to], t, alloc) }
	}
	slices.SortStableFunc(b.results, compareResults)
	return func(from, to int) arrow.Record { return column.NewResults(alloc, b.results[from:to]) }
}

func compareReports(x, y column.Report) int {
	return cmp.Or(cmp.Compare(x.WindowStartMs, y.WindowStartMs), cmp.Compare(x.Statistic, y.Statistic),
		cmp.Compare(x.Stratum, y.Stratum), cmp.Compare(x.Device, y.Device), cmp.Compare(x.Sequence, y.Sequence))
}

func compareStrata(x, y Stratum) int {
	return cmp.Or(cmp.Compare(x.WindowStartMs, y.WindowStartMs), cmp.Compare(x.Statistic, y.Statistic), cmp.Compare(x.Stratum, y.Stratum))
}

func stratumRecord(strata []Stratum, t tableSpec, alloc memory.Allocator) arrow.Record {
	b := array.NewRecordBuilder(alloc, Schema(KindStrata, t.kappa, t.ref))
	defer b.Release()
	for _, s := range strata {
		b.Field(0).(*array.TimestampBuilder).Append(arrow.Timestamp(s.WindowStartMs))
		b.Field(1).(*array.TimestampBuilder).Append(arrow.Timestamp(s.WindowEndMs))
		b.Field(2).(*array.StringBuilder).Append(s.Statistic)
		b.Field(3).(*array.StringBuilder).Append(s.Stratum)
		b.Field(4).(*array.Int64Builder).Append(s.Population)
		b.Field(5).(*array.Int64Builder).Append(s.Panel)
	}
	return b.NewRecord()
}
