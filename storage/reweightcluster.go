package storage

import (
	"slices"
	"strings"

	"github.com/apache/arrow/go/v17/arrow"
	"github.com/apache/arrow/go/v17/arrow/array"
	"github.com/apache/arrow/go/v17/arrow/memory"

	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/survey"
)

// heard counts what a cluster said for so many of its units.
func (t *tally) heard(cluster string, units int64) {
	if t.reports == nil {
		t.reports = map[string]int64{}
	}
	if _, known := t.reports[cluster]; !known {
		cluster = strings.Clone(cluster)
	}
	t.reports[cluster] += units
}

// of gives how many reports the cluster of a report has. Each device without a cluster is one.
func (t *tally) of(cluster string) int64 {
	if cluster == attr.Missing {
		return 1
	}
	return t.reports[cluster]
}

// responding counts the clusters with a report.
func (t *tally) responding() int {
	lone, some := t.reports[attr.Missing]
	if !some {
		return len(t.reports)
	}
	return len(t.reports) - 1 + int(lone)
}

// collapseClusters is collapse for cluster samples: by survey.CollapseClusters, as the engine does, and then the weight of
// a cluster = clusters of the frame / clusters with a report. It gives nil for other samples.
func (w *Weights) collapseClusters(q question) map[string]answer {
	strata := w.tallies[q]
	var samples []survey.ClusterSample
	clustered := false
	for name, t := range strata {
		clustered = clustered || len(t.reports) > 0
		if t.population == 0 {
			continue
		}
		due := make([]survey.Cluster, t.responding())
		for i := range due {
			due[i].Responses = 1 // that there is one is all that the rule asks for
		}
		samples = append(samples, survey.ClusterSample{Stratum: name, Population: t.population, Clusters: t.clusters, Due: due})
	}
	if !clustered {
		return nil
	}
	slices.SortFunc(samples, func(a, b survey.ClusterSample) int { return strings.Compare(a.Stratum, b.Stratum) })
	merged, mapping, _ := survey.CollapseClusters(samples, w.least)
	out := make(map[string]answer, len(samples))
	for i, s := range samples {
		m := merged[mapping[i]]
		out[s.Stratum] = answer{
			stratum: m.Stratum, population: m.Population, weight: float64(m.Clusters) / float64(len(m.Due)),
			clusters: m.Clusters, merged: m.Stratum != s.Stratum,
		}
	}
	return out
}

// escaped makes the first slash that no backslash precedes the one that label puts.
var escaped = strings.NewReplacer(`\`, `\\`, `/`, `\/`)

// label names a cluster of a stratum within the stratum that was estimated: two that have one name stay two.
func (a answer) label(stratum, cluster string) string {
	if !a.merged || cluster == attr.Missing {
		return cluster
	}
	return escaped.Replace(stratum) + "/" + cluster
}

// reweighed builds the columns of reports that depend on what was estimated as one.
type reweighed struct {
	strata, clusters       *array.StringBuilder
	populations, inStratum *array.Int64Builder
	weights                *array.Float64Builder
}

func newReweighed(alloc memory.Allocator) *reweighed {
	return &reweighed{
		strata: array.NewStringBuilder(alloc), clusters: array.NewStringBuilder(alloc),
		populations: array.NewInt64Builder(alloc), inStratum: array.NewInt64Builder(alloc), weights: array.NewFloat64Builder(alloc),
	}
}

func (r *reweighed) append(a answer, cluster string) {
	r.strata.Append(a.stratum)
	r.clusters.Append(cluster)
	r.populations.Append(a.population)
	r.weights.Append(a.weight)
	if a.clusters == 0 {
		r.inStratum.AppendNull()
		return
	}
	r.inStratum.Append(a.clusters)
}

// columns is the builders by the names of the columns.
func (r *reweighed) columns() map[string]array.Builder {
	return map[string]array.Builder{
		colStratum: r.strata, colCluster: r.clusters, colPopulation: r.populations, colWeight: r.weights, colInStratum: r.inStratum,
	}
}

// record puts the columns in the place of those of a record of as many rows.
func (r *reweighed) record(rec arrow.Record) arrow.Record {
	columns := slices.Clone(rec.Columns())
	for name, b := range r.columns() {
		column := b.NewArray()
		defer column.Release()
		if at := rec.Schema().FieldIndices(name); len(at) == 1 {
			columns[at[0]] = column
		}
	}
	return array.NewRecord(rec.Schema(), columns, rec.NumRows())
}

func (r *reweighed) release() {
	for _, b := range r.columns() {
		b.Release()
	}
}
