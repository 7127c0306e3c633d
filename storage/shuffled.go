package storage

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// KindShuffled is reports for readers who shall not see which of them is whose: an export only, never in a store.
const KindShuffled Kind = "shuffled"

// shuffledColumns are the columns of a report that tell nothing of which device gave it, beyond stratum and cell, or when within its
// window. What is left out: identity, cluster, position, plan, weights that differ between devices, and the order by devices.
func shuffledColumns() []int {
	return []int{
		column.ReportWindowStart, column.ReportWindowEnd, column.ReportStatistic, column.ReportStratum, column.ReportCell,
		column.ReportStratumPopulation, column.ReportScore, column.ReportNoiseVariance, column.ReportMechanism, column.ReportEpsilon,
		column.ReportAnswer, column.ReportAnswerCategories, column.ReportAnswerSize, column.ReportAnswerInclude,
		column.ReportAnswerCode, column.ReportAnswerOther, column.ReportAnswerSeeds, column.ReportAnswerRoot,
	}
}

// batchColumns say which batch a row belongs to.
const batchColumns = 5

// shuffledSchema gives the columns of a shuffled export.
func shuffledSchema(kappa, ref string) *arrow.Schema {
	all, fields := column.ReportFields(), []arrow.Field(nil)
	for _, c := range shuffledColumns() {
		fields = append(fields, all[c])
	}
	meta := arrow.NewMetadata([]string{column.MetaKappa, column.MetaRef}, []string{kappa, ref})
	return arrow.NewSchema(fields, &meta)
}

// shuffledRowsMax bounds what a shuffled export holds in memory.
const shuffledRowsMax = 20_000_000

// Shuffle gives the reports among records without what tells whose they are: batch after batch, sorted by window, statistic, stratum
// and cell, and each batch in an order of its own that is drawn from random, all orders alike. It holds all rows in memory, of which
// there may be twenty million; more is Malformed. Rows that stand for a gateway's units are left out: they are sums, no reports.
// random is read once, 32 bytes: crypto/rand.Reader.
func Shuffle(records Records, kappa, ref string, random io.Reader) (Records, error) {
	var seed [32]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, fmt.Errorf("shuffle: %w", err)
	}
	held := &shuffled{}
	defer held.release()
	for rec, err := range records {
		if err != nil {
			return nil, err
		}
		if err := held.add(rec); err != nil {
			return nil, err
		}
	}
	order := rand.New(rand.NewChaCha8(seed))
	order.Shuffle(len(held.rows), func(i, j int) { held.rows[i], held.rows[j] = held.rows[j], held.rows[i] })
	// A stable sort by batch of rows in an even order leaves each batch in an even order.
	slices.SortStableFunc(held.rows, func(a, b spot) int { return held.compare(a, b) })
	return held.written(shuffledSchema(kappa, ref))
}

// spot is a row of one of the records.
type spot struct{ record, at int }

// shuffled holds records and the rows that are to be written.
type shuffled struct {
	records []arrow.Record
	rows    []spot
}

func (s *shuffled) release() {
	for _, rec := range s.records {
		rec.Release()
	}
}

func (s *shuffled) add(rec arrow.Record) error {
	columns := make([]arrow.Array, 0, len(shuffledColumns()))
	all := column.ReportFields()
	for _, c := range shuffledColumns() {
		at := rec.Schema().FieldIndices(all[c].Name)
		if len(at) != 1 {
			return &Error{Code: Malformed, Detail: "reports have no column " + all[c].Name}
		}
		columns = append(columns, rec.Column(at[0]))
	}
	units := rec.Schema().FieldIndices(all[column.ReportUnits].Name)
	for i := range int(rec.NumRows()) {
		if len(units) == 1 && !rec.Column(units[0]).IsNull(i) {
			continue
		}
		s.rows = append(s.rows, spot{record: len(s.records), at: i})
	}
	if len(s.rows) > shuffledRowsMax {
		return &Error{Code: Malformed, Detail: "more than twenty million reports to shuffle; give a span with --since and --until"}
	}
	s.records = append(s.records, array.NewRecord(shuffledSchema("", ""), columns, rec.NumRows()))
	return nil
}

// compare orders rows by their batches.
func (s *shuffled) compare(a, b spot) int {
	x, y := s.records[a.record], s.records[b.record]
	for c := range batchColumns {
		var order int
		switch of := x.Column(c).(type) {
		case *array.Timestamp:
			order = compareOf(of.Value(a.at), y.Column(c).(*array.Timestamp).Value(b.at))
		case *array.String:
			order = compareOf(of.Value(a.at), y.Column(c).(*array.String).Value(b.at))
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

func compareOf[T ~int64 | ~string](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// shuffledRecord is how many rows go into a record.
const shuffledRecord = 1 << 16

// written copies the rows in order into records of their own.
func (s *shuffled) written(schema *arrow.Schema) (Records, error) {
	var out []arrow.Record
	builder := array.NewRecordBuilder(memory.DefaultAllocator, schema)
	defer builder.Release()
	for i, r := range s.rows {
		for c, field := range builder.Fields() {
			if err := copyValue(field, s.records[r.record].Column(c), r.at); err != nil {
				return nil, err
			}
		}
		if (i+1)%shuffledRecord == 0 || i == len(s.rows)-1 {
			out = append(out, builder.NewRecord())
		}
	}
	return func(yield func(arrow.Record, error) bool) {
		for _, rec := range out {
			more := yield(rec, nil)
			rec.Release()
			if !more {
				return
			}
		}
	}, nil
}

// copyValue appends one value of a column to a column of the same type.
func copyValue(to array.Builder, from arrow.Array, i int) error {
	if from.IsNull(i) {
		to.AppendNull()
		return nil
	}
	switch from := from.(type) {
	case *array.String:
		to.(*array.StringBuilder).Append(from.Value(i))
	case *array.Timestamp:
		to.(*array.TimestampBuilder).Append(from.Value(i))
	case *array.Int64:
		to.(*array.Int64Builder).Append(from.Value(i))
	case *array.Uint64:
		to.(*array.Uint64Builder).Append(from.Value(i))
	case *array.Float64:
		to.(*array.Float64Builder).Append(from.Value(i))
	default:
		return &Error{Code: Malformed, Detail: "a column of reports has a type that can't be shuffled"}
	}
	return nil
}
