package storage

import (
	"github.com/apache/arrow/go/v17/arrow"

	"github.com/quadrat-dev/quadrat/engine/column"
)

// Kind is a family of rows with one schema and one folder.
type Kind string

// The kinds.
const (
	KindReports Kind = "reports" // one row for each counted report
	KindResults Kind = "results" // one row for each revision of each estimate
	KindStrata  Kind = "strata"  // one row for each stratum of each statistic and window, also those where nobody answered
)

// version is the version of a kind's Parquet columns, in every file's metadata under "quadrat.format". A file of an older one
// lacks columns that may be null.
func (k Kind) version() int {
	switch k {
	case KindResults:
		// 1 had no change_…, 2 no bin_…, 3 no privacy_delta and no privacy_epsilon_to_date, 4 no privacy_epsilon_per_value and
		// privacy_shuffle_…, 5 no privacy_observer
		return 6
	case KindReports:
		// 1 had no answer…, cluster_population and stratum_clusters, and score and noise_variance were never null; 2 no random;
		// 3 no answer_code, answer_other, answer_seeds and answer_root; 4 no units; 5 no kind, share, bounds_… and unit_counts
		return 6
	case KindStrata:
		return 3 // 1 had no clusters, 2 no plan_revision, window_panes and turn_panes
	case KindShuffled:
		return 1
	}
	return 1
}

// kinds is all kinds in a fixed order.
func kinds() []Kind { return []Kind{KindReports, KindResults, KindStrata} }

// Names of columns that code refers to.
const (
	colWindowStart = "window_start"
	colDevice      = "device"
	colStatistic   = "statistic"
	colStratum     = "stratum"
	colCluster     = "cluster"
	colCell        = "cell"
	colWeight      = "weight"
	colPopulation  = "stratum_population"
	colPanel       = "panel"
	colClusters    = "clusters" // of a stratum, in the rows of strata
	colClusterSize = "cluster_population"
	colInStratum   = "stratum_clusters"
	colSequence    = "sequence"
	colRevision    = "revision"
	colBin         = "bin_index"
	colCode        = "answer_code"
	colKappa       = "kappa"
	colRandom      = "random"
	colUnits       = "units"
	colKind        = "kind"
	colCounts      = "unit_counts"
	colPanes       = "window_panes"
)

// Keys of the metadata of every Parquet file.
const (
	metaFormat = "quadrat.format" // the kind's version
	metaKind   = "quadrat.kind"   // the Kind
	metaKappa  = "quadrat.kappa"  // name of the kappa
	metaRef    = "quadrat.ref"    // its reference
)

// Schema is the columns of the records of a scan. docs/format/parquet.md tells their meaning. Reports and strata carry
// the kappa's name and reference in the schema's metadata, under the keys of engine/column; results in columns.
func Schema(k Kind, kappa, ref string) *arrow.Schema {
	switch k {
	case KindReports:
		return column.ReportSchema(kappa, ref)
	case KindResults:
		return column.ResultSchema()
	case KindStrata:
		return column.StratumSchema(kappa, ref)
	case KindShuffled:
		return shuffledSchema(kappa, ref)
	}
	return arrow.NewSchema(nil, nil)
}

// stored is the fields of a schema that a Parquet file has as columns: all but the kappa's name, since the folder
// kappa=<ref> makes a column of that name. The name stands in the file's metadata.
func stored(s *arrow.Schema) []arrow.Field {
	var out []arrow.Field
	for _, f := range s.Fields() {
		if f.Name != colKappa {
			out = append(out, f)
		}
	}
	return out
}

// sortedSince is the first version of a kind whose files are in the order of sortedBy.
func (k Kind) sortedSince() int {
	if k == KindReports {
		return 3
	}
	return 1
}

// sortedBy is the columns that a segment's rows are ordered by.
func sortedBy(k Kind) []string {
	switch k {
	case KindReports:
		return []string{colWindowStart, colRandom, colDevice, colSequence}
	case KindResults:
		return []string{colWindowStart, colStatistic, colCell, colBin, colRevision}
	case KindStrata:
		return []string{colWindowStart, colStatistic, colStratum}
	case KindShuffled: // an order of its own
	}
	return nil
}
