package column

import (
	"encoding/json"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Cell writes the values of the GROUP BY attributes as a JSON object with sorted keys; "{}" for the cell over all.
func Cell(cell map[string]string) string {
	if len(cell) == 0 {
		return "{}"
	}
	text, err := json.Marshal(cell)
	if err != nil {
		panic(err) // a map of strings always has a JSON form
	}
	return string(text)
}

// NewResults makes a record of results, which the caller releases.
func NewResults(alloc memory.Allocator, results []*quadratv1.Result) arrow.Record {
	b := array.NewRecordBuilder(alloc, ResultSchema())
	defer b.Release()
	b.Reserve(len(results))
	for _, r := range results {
		row := appender{builder: b}
		row.result(r)
	}
	return b.NewRecord()
}

// appender fills one row, field after field.
type appender struct {
	builder *array.RecordBuilder
	next    int
}

func (a *appender) field() array.Builder {
	a.next++
	return a.builder.Field(a.next - 1)
}

func (a *appender) text(s string)   { a.field().(*array.StringBuilder).Append(s) }
func (a *appender) float(x float64) { a.field().(*array.Float64Builder).Append(x) }
func (a *appender) whole(n uint32)  { a.field().(*array.Int64Builder).Append(int64(n)) }
func (a *appender) moment(ms int64) {
	a.field().(*array.TimestampBuilder).Append(arrow.Timestamp(ms))
}

func (a *appender) optional(x *float64) {
	if x == nil {
		a.field().AppendNull()
		return
	}
	a.float(*x)
}

func (a *appender) result(r *quadratv1.Result) {
	a.text(r.GetKappa())
	a.text(r.GetRef())
	a.moment(r.GetWindowStart().AsTime().UnixMilli())
	a.moment(r.GetWindowEnd().AsTime().UnixMilli())
	a.whole(r.GetRevision())
	a.field().(*array.BooleanBuilder).Append(r.GetFinal())
	a.text(Cell(r.GetCell()))
	a.text(r.GetStatistic())
	a.optional(r.Value)
	a.optional(r.StdError)
	a.float(r.GetConfidence())
	a.optional(r.CiLow)
	a.optional(r.CiHigh)
	a.optional(r.VarianceSampling)
	a.optional(r.VariancePrivacy)
	a.whole(r.GetPopulation())
	a.whole(r.GetPanel())
	a.whole(r.GetReports())
	a.float(r.GetResponseRate())
	a.optional(r.DesignEffect)
	a.optional(r.DegreesOfFreedom)
	a.privacy(r.GetPrivacy())
	a.running(r.GetRunning())
	list := a.field().(*array.ListBuilder)
	list.Append(true)
	for _, w := range r.GetWarnings() {
		list.ValueBuilder().(*array.StringBuilder).Append(w)
	}
	a.whole(r.GetPlanRevision())
	a.text(r.GetFrame())
	a.change(r.GetChange())
	a.bin(r.GetBin())
}

func (a *appender) privacy(p *quadratv1.Privacy) {
	a.text(p.GetModel())
	a.text(p.GetMechanism())
	a.float(p.GetEpsilonPerReport())
	a.text(p.GetUnit())
	a.text(p.GetPeriod())
	a.float(p.GetEpsilonPerPeriod())
	if p == nil {
		p = &quadratv1.Privacy{}
	}
	a.optional(p.Delta)
	a.optional(p.EpsilonToDate)
	a.above0(p.GetEpsilonPerValue())
	a.shuffle(p.GetShuffle())
	if p.GetObserver() == "" {
		a.field().AppendNull()
		return
	}
	a.text(p.GetObserver())
}

// above0 takes 0 for what a result lacks.
func (a *appender) above0(x float64) {
	if x > 0 {
		a.float(x)
		return
	}
	a.field().AppendNull()
}

func (a *appender) shuffle(s *quadratv1.Shuffle) {
	if s == nil {
		for range 5 {
			a.field().AppendNull()
		}
		return
	}
	a.text(s.GetAssumes())
	a.whole(s.GetReports())
	a.float(s.GetEpsilon())
	a.float(s.GetDelta())
	a.text(s.GetBound())
}

func (a *appender) change(c *quadratv1.Change) {
	if c == nil {
		for range 8 {
			a.field().AppendNull()
		}
		return
	}
	a.float(c.GetValue())
	a.float(c.GetStdError())
	a.float(c.GetCiLow())
	a.float(c.GetCiHigh())
	a.float(c.GetVarianceSampling())
	a.float(c.GetVariancePrivacy())
	a.moment(c.GetSince().AsTime().UnixMilli())
	a.whole(c.GetMatched())
}

func (a *appender) bin(b *quadratv1.Bin) {
	if b == nil {
		for range 4 {
			a.field().AppendNull()
		}
		return
	}
	a.whole(b.GetIndex())
	a.float(b.GetLow())
	a.float(b.GetHigh())
	a.optional(b.Consistent)
}

func (a *appender) running(r *quadratv1.Running) {
	if r == nil {
		for range 4 {
			a.field().AppendNull()
		}
		return
	}
	a.whole(r.GetWindows())
	a.float(r.GetValue())
	a.float(r.GetLow())
	a.float(r.GetHigh())
}
