package storage

import (
	"cmp"
	"iter"
	"maps"
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
	kappa   string          // name of the kappa
	batches []*column.Batch // in the order of the stream
	reports int             // rows in batches
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
		return b.reports
	case KindResults:
		return len(b.results)
	case KindStrata:
		return len(b.strata)
	case KindShuffled: // never in a store
	}
	return 0
}

// bytes is about what the rows of a kind take in memory.
func (b *bucket) bytes(k Kind) int64 {
	switch k {
	case KindReports:
		n := int64(0)
		for _, batch := range b.batches {
			n += batch.Bytes()
		}
		return n
	case KindResults:
		return int64(len(b.results)) * resultBytes
	case KindStrata:
		return int64(len(b.strata)) * stratumBytes
	case KindShuffled: // never in a store
	}
	return 0
}

// forget drops the rows of a kind, after they have become a segment.
func (b *bucket) forget(k Kind) {
	switch k {
	case KindReports:
		b.batches, b.reports = nil, 0
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
	case KindReports, KindShuffled: // reports have a writer of their own, and shuffled ones are never in a store
	case KindStrata:
		slices.SortStableFunc(b.strata, compareStrata)
		return func(from, to int) arrow.Record { return column.NewStrata(alloc, t.kappa, t.ref, b.strata[from:to]) }
	case KindResults:
	}
	slices.SortStableFunc(b.results, compareResults)
	return func(from, to int) arrow.Record { return column.NewResults(alloc, b.results[from:to]) }
}

// byDate gives the rows of a batch by the date of their window; usually it is one, and then the batch itself.
func byDate(b *column.Batch) iter.Seq2[string, *column.Batch] {
	return func(yield func(string, *column.Batch) bool) {
		if b.Len() == 0 {
			return
		}
		first, one := b.Designs[b.Design[0]].WindowStartMs/dayLengthMs, true
		for i := range b.Designs {
			one = one && b.Designs[i].WindowStartMs/dayLengthMs == first
		}
		if one {
			yield(day(first*dayLengthMs), b)
			return
		}
		places := map[int64][]int{}
		for i, d := range b.Design {
			at := b.Designs[d].WindowStartMs / dayLengthMs
			places[at] = append(places[at], i)
		}
		for _, at := range slices.Sorted(maps.Keys(places)) {
			if !yield(day(at*dayLengthMs), b.Pick(places[at])) {
				return
			}
		}
	}
}

func compareStrata(x, y column.Stratum) int {
	return cmp.Or(cmp.Compare(x.WindowStartMs, y.WindowStartMs), cmp.Compare(x.Statistic, y.Statistic), cmp.Compare(x.Stratum, y.Stratum))
}
