package column

import (
	"strconv"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"
)

// Report is one stored report.
type Report struct {
	WindowStartMs, WindowEndMs int64   // in milliseconds from the UTC epoch
	Device                     uint64  // pseudonym
	Statistic, Stratum         string  // names
	Cluster                    string  // empty when the design has none
	Cell                       string  // JSON object, see [Cell]
	Pi                         float64 // inclusion probability, in (0, 1]
	StratumPopulation          int64   // devices of the frame in the stratum
	Score, NoiseVariance       float64 // in the statistic's unit and its square
	Mechanism                  string  // its name
	Epsilon                    float64 // of the report
	PlanRevision               uint32  // from 1
	Sequence                   uint64  // position in REPORTS
	// Answer of a statistic of categories, in place of Score and NoiseVariance: a bit for each category of the set.
	Answer     uint64
	Categories uint32  // 0 for other statistics
	Size       uint32  // categories in the set
	Include    float64 // probability that the set holds the true category
	// Code is the report itself, where it is no set in one word: see docs/format/parquet.md. Coded says that it stands in place of
	// Answer. Of olh Size counts the hash values.
	Coded       bool
	Code        uint64
	Other       float64 // probability that a report supports a category that is not the true one
	Seeds, Root uint32  // of olh: the prime number of hash functions and its primitive root
	// Sizes of a cluster sample; both 0 when devices were drawn.
	ClusterPopulation int64 // devices of the frame in the cluster
	StratumClusters   int64 // clusters of the frame in the stratum
	// Units that the row stands for, as a gateway's sum: Score is then their mean and NoiseVariance that of the mean. 0 for a report.
	Units uint32
	// Kind of the statistic: "mean", "histogram" and so on; empty where nobody stored it.
	Kind  string
	Share float64 // of a quantile, in (0, 1); 0 for others
	// Bounds of the readings; both 0 for statistics without.
	Low, High float64
	// Counts of a gateway's units by category, with noise, see [Counts]: then NoiseVariance is that of each count. Empty for other rows.
	UnitCounts string
}

// Counts writes whole numbers as a JSON array, which is how a row says a gateway's counts.
func Counts(counts []int64) string {
	b := []byte{'['}
	for i, n := range counts {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(append(b, ']'))
}

// Reports builds records of one kappa's reports. It is for one goroutine at a time.
type Reports struct {
	builder                        *array.RecordBuilder
	start, end                     *array.TimestampBuilder
	device, statistic, stratum     *array.StringBuilder
	cluster, cell, mechanism       *array.StringBuilder
	weight, pi, score, noise, cost *array.Float64Builder
	population, revision           *array.Int64Builder
	sequence, answer               *array.Uint64Builder
	categories, size               *array.Int64Builder
	clusterSize, clusters          *array.Int64Builder
	include, random                *array.Float64Builder
	code                           *array.Uint64Builder
	other                          *array.Float64Builder
	seeds, root                    *array.Int64Builder
	units                          *array.Int64Builder
	kind, counts                   *array.StringBuilder
	share, low, high               *array.Float64Builder
	rows                           int
	ref                            string
	shuffle                        Shuffle // of the window shuffleMs
	shuffleMs                      int64
}

// NewReports makes an empty builder; the caller calls Release.
func NewReports(alloc memory.Allocator, kappa, ref string) *Reports {
	b := array.NewRecordBuilder(alloc, ReportSchema(kappa, ref))
	text := func(i int) *array.StringBuilder { return b.Field(i).(*array.StringBuilder) }
	float := func(i int) *array.Float64Builder { return b.Field(i).(*array.Float64Builder) }
	return &Reports{
		builder:    b,
		start:      b.Field(ReportWindowStart).(*array.TimestampBuilder),
		end:        b.Field(ReportWindowEnd).(*array.TimestampBuilder),
		device:     text(ReportDevice),
		statistic:  text(ReportStatistic),
		stratum:    text(ReportStratum),
		cluster:    text(ReportCluster),
		cell:       text(ReportCell),
		mechanism:  text(ReportMechanism),
		weight:     float(ReportWeight),
		pi:         float(ReportPi),
		score:      float(ReportScore),
		noise:      float(ReportNoiseVariance),
		cost:       float(ReportEpsilon),
		population: b.Field(ReportStratumPopulation).(*array.Int64Builder),
		revision:   b.Field(ReportPlanRevision).(*array.Int64Builder),
		sequence:   b.Field(ReportSequence).(*array.Uint64Builder),
		answer:     b.Field(ReportAnswer).(*array.Uint64Builder),
		categories: b.Field(ReportAnswerCategories).(*array.Int64Builder),
		size:       b.Field(ReportAnswerSize).(*array.Int64Builder),
		include:    float(ReportAnswerInclude),

		clusterSize: b.Field(ReportClusterPopulation).(*array.Int64Builder),
		clusters:    b.Field(ReportStratumClusters).(*array.Int64Builder),

		random:  float(ReportRandom),
		units:   b.Field(ReportUnits).(*array.Int64Builder),
		ref:     ref,
		shuffle: ShuffleOf(ref, 0),
		code:    b.Field(ReportAnswerCode).(*array.Uint64Builder),
		other:   float(ReportAnswerOther),
		seeds:   b.Field(ReportAnswerSeeds).(*array.Int64Builder),
		root:    b.Field(ReportAnswerRoot).(*array.Int64Builder),

		kind:   text(ReportKind),
		share:  float(ReportShare),
		low:    float(ReportBoundsLow),
		high:   float(ReportBoundsHigh),
		counts: text(ReportUnitCounts),
	}
}

// Append adds a report; Pi must be above 0. The row is not kept.
func (r *Reports) Append(row *Report) {
	var digits [16]byte
	Hexadecimal(&digits, row.Device)
	r.start.Append(arrow.Timestamp(row.WindowStartMs))
	r.end.Append(arrow.Timestamp(row.WindowEndMs))
	r.device.BinaryBuilder.Append(digits[:])
	r.statistic.Append(row.Statistic)
	r.stratum.Append(row.Stratum)
	r.cluster.Append(row.Cluster)
	r.cell.Append(row.Cell)
	r.weight.Append(1 / row.Pi)
	r.pi.Append(row.Pi)
	r.population.Append(row.StratumPopulation)
	r.said(row)
	positiveOrNull(r.clusterSize, row.ClusterPopulation)
	positiveOrNull(r.clusters, row.StratumClusters)
	positiveOrNull(r.units, int64(row.Units))
	r.asked(row)
	r.mechanism.Append(row.Mechanism)
	r.cost.Append(row.Epsilon)
	r.revision.Append(int64(row.PlanRevision))
	r.sequence.Append(row.Sequence)
	if row.WindowStartMs != r.shuffleMs {
		r.shuffle, r.shuffleMs = ShuffleOf(r.ref, row.WindowStartMs), row.WindowStartMs
	}
	r.random.Append(r.shuffle.Of(row.Device))
	r.rows++
}

// asked appends what was asked, and what a gateway counted.
func (r *Reports) asked(row *Report) {
	textOrNull(r.kind, row.Kind)
	textOrNull(r.counts, row.UnitCounts)
	if row.Share > 0 {
		r.share.Append(row.Share)
	} else {
		r.share.AppendNull()
	}
	if row.Low < row.High {
		r.low.Append(row.Low)
		r.high.Append(row.High)
		return
	}
	r.low.AppendNull()
	r.high.AppendNull()
}

// textOrNull appends a text, and null in place of an empty one.
func textOrNull(to *array.StringBuilder, text string) {
	if text == "" {
		to.AppendNull()
		return
	}
	to.Append(text)
}

// said appends a score, or what a report says of categories.
func (r *Reports) said(row *Report) {
	positiveOrNull(r.categories, int64(row.Categories))
	positiveOrNull(r.size, int64(row.Size))
	positiveOrNull(r.seeds, int64(row.Seeds))
	positiveOrNull(r.root, int64(row.Root))
	if row.Categories == 0 {
		r.score.Append(row.Score)
		r.noise.Append(row.NoiseVariance)
		r.include.AppendNull()
	} else {
		r.score.AppendNull()
		if row.UnitCounts != "" {
			r.noise.Append(row.NoiseVariance)
		} else {
			r.noise.AppendNull()
		}
		r.include.Append(row.Include)
	}
	switch {
	case row.Categories > 0 && row.Coded:
		r.answer.AppendNull()
		r.code.Append(row.Code)
		r.other.Append(row.Other)
		return
	case row.Categories > 0 && row.Units == 0:
		r.answer.Append(row.Answer)
	default:
		r.answer.AppendNull()
	}
	r.code.AppendNull()
	r.other.AppendNull()
}

// positiveOrNull appends a number, and null in place of 0.
func positiveOrNull(to *array.Int64Builder, n int64) {
	if n == 0 {
		to.AppendNull()
		return
	}
	to.Append(n)
}

// Len is the number of reports since the last record.
func (r *Reports) Len() int { return r.rows }

// NewRecord takes the reports out as a record, which the caller releases.
func (r *Reports) NewRecord() arrow.Record {
	r.rows = 0
	return r.builder.NewRecord()
}

// Release frees the builder.
func (r *Reports) Release() { r.builder.Release() }

// Hexadecimal writes a pseudonym as it stands in a file, in 16 digits.
func Hexadecimal(to *[16]byte, n uint64) {
	const digits = "0123456789abcdef"
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = digits[n&15]
		n >>= 4
	}
}
