package storage

import (
	"cmp"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
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
	strata  []column.Stratum
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
	case KindShuffled: // never in a store
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
	case KindShuffled: // never in a store
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
		order := orderOf(t.ref, b.reports)
		return func(from, to int) arrow.Record {
			rows := column.NewReports(alloc, t.kappa, t.ref)
			defer rows.Release()
			for _, o := range order[from:to] {
				rows.Append(&b.reports[o.row])
			}
			return rows.NewRecord()
		}
	case KindShuffled: // never in a store
	case KindStrata:
		slices.SortStableFunc(b.strata, compareStrata)
		return func(from, to int) arrow.Record { return column.NewStrata(alloc, t.kappa, t.ref, b.strata[from:to]) }
	case KindResults:
	}
	slices.SortStableFunc(b.results, compareResults)
	return func(from, to int) arrow.Record { return column.NewResults(alloc, b.results[from:to]) }
}

// ordered is the place of a report in the order of its segment.
type ordered struct {
	startMs int64
	random  float64
	row     int // in the bucket; rows come in the order of the stream
}

// orderOf is the order of reports by window and, inside it, at random: small keys are sorted, not rows.
func orderOf(ref string, rows []column.Report) []ordered {
	out := make([]ordered, len(rows))
	var shuffle column.Shuffle
	for i := range rows {
		r := &rows[i]
		if i == 0 || r.WindowStartMs != rows[i-1].WindowStartMs {
			shuffle = column.ShuffleOf(ref, r.WindowStartMs)
		}
		out[i] = ordered{startMs: r.WindowStartMs, random: shuffle.Of(r.Device), row: i}
	}
	slices.SortFunc(out, func(x, y ordered) int {
		switch {
		case x.startMs != y.startMs:
			return cmp.Compare(x.startMs, y.startMs)
		case x.random != y.random:
			return cmp.Compare(x.random, y.random)
		case rows[x.row].Device != rows[y.row].Device:
			return cmp.Compare(rows[x.row].Device, rows[y.row].Device)
		}
		return cmp.Compare(x.row, y.row)
	})
	return out
}

func compareStrata(x, y column.Stratum) int {
	return cmp.Or(cmp.Compare(x.WindowStartMs, y.WindowStartMs), cmp.Compare(x.Statistic, y.Statistic), cmp.Compare(x.Stratum, y.Stratum))
}
