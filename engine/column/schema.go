package column

import "github.com/apache/arrow/go/v17/arrow"

// Keys of the metadata of a record of reports: they are the path in the data folder, not columns.
const (
	MetaKappa = "kappa" // name of the kappa
	MetaRef   = "ref"   // its reference
)

// MetaGoneBefore is the key of the metadata of an export of which retention has removed a part: the UTC date, YYYY-MM-DD, before
// which its windows are missing.
const MetaGoneBefore = "gone_before"

// timestampMs is a moment in milliseconds from the UTC epoch.
var timestampMs = &arrow.TimestampType{Unit: arrow.Millisecond, TimeZone: "UTC"}

// Positions of the columns of a report.
const (
	ReportWindowStart       = iota // start of the window
	ReportWindowEnd                // end of the window
	ReportDevice                   // pseudonym, 16 hexadecimal digits
	ReportStatistic                // name of the statistic
	ReportStratum                  // name of the stratum
	ReportCluster                  // name of the cluster; empty when there are none
	ReportCell                     // values of the GROUP BY attributes as a JSON object
	ReportWeight                   // 1/pi
	ReportPi                       // inclusion probability by design
	ReportStratumPopulation        // devices of the frame in the stratum
	ReportScore                    // unbiased score, in the statistic's unit; null for statistics of categories
	ReportNoiseVariance            // variance of the score's noise, in the squared unit; of a gateway's counts that of each; null for other answers of categories
	ReportMechanism                // mechanism
	ReportEpsilon                  // epsilon of the report; 0 for none
	ReportPlanRevision             // revision of the plan
	ReportSequence                 // position in the stream REPORTS
	ReportAnswer                   // set of up to 64 categories, a bit for each
	ReportAnswerCategories         // how many categories there are; null but for statistics of categories, as the following
	ReportAnswerSize               // how many categories each set holds; of olh how many hash values there are
	ReportAnswerInclude            // probability that a report supports the true category
	ReportClusterPopulation        // devices of the frame in the cluster; null but for cluster samples, as the following
	ReportStratumClusters          // clusters of the frame in the stratum
	ReportRandom                   // number that orders the reports of a window at random, in [0, 1), see [Shuffle]
	ReportAnswerCode               // report over categories that is no set in one word; null but for those, as the following
	ReportAnswerOther              // probability that a report supports a category that is not the true one
	ReportAnswerSeeds              // hash functions; null but for olh, as the following
	ReportAnswerRoot               // their primitive root
	ReportUnits                    // units that the row stands for, as a gateway's sum; null for a report, which stands for its device
	ReportKind                     // kind of the statistic
	ReportShare                    // share of a quantile; null for others
	ReportBoundsLow                // bounds of the readings; null for statistics without
	ReportBoundsHigh
	ReportUnitCounts // units in each category, with noise, as a JSON array; null but for a gateway's counts
)

// ReportFields gives the columns of a report, in order. Nullable columns are those that only one sort of statistic or design has.
func ReportFields() []arrow.Field {
	return []arrow.Field{
		{Name: "window_start", Type: timestampMs},
		{Name: "window_end", Type: timestampMs},
		{Name: "device", Type: arrow.BinaryTypes.String},
		{Name: "statistic", Type: arrow.BinaryTypes.String},
		{Name: "stratum", Type: arrow.BinaryTypes.String},
		{Name: "cluster", Type: arrow.BinaryTypes.String},
		{Name: "cell", Type: arrow.BinaryTypes.String},
		{Name: "weight", Type: arrow.PrimitiveTypes.Float64},
		{Name: "pi", Type: arrow.PrimitiveTypes.Float64},
		{Name: "stratum_population", Type: arrow.PrimitiveTypes.Int64},
		{Name: "score", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "noise_variance", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "mechanism", Type: arrow.BinaryTypes.String},
		{Name: "epsilon", Type: arrow.PrimitiveTypes.Float64},
		{Name: "plan_revision", Type: arrow.PrimitiveTypes.Int64},
		{Name: "sequence", Type: arrow.PrimitiveTypes.Uint64},
		{Name: "answer", Type: arrow.PrimitiveTypes.Uint64, Nullable: true},
		{Name: "answer_categories", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "answer_size", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "answer_include", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "cluster_population", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "stratum_clusters", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "random", Type: arrow.PrimitiveTypes.Float64},
		{Name: "answer_code", Type: arrow.PrimitiveTypes.Uint64, Nullable: true},
		{Name: "answer_other", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "answer_seeds", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "answer_root", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "units", Type: arrow.PrimitiveTypes.Int64, Nullable: true},
		{Name: "kind", Type: arrow.BinaryTypes.String, Nullable: true},
		{Name: "share", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "bounds_low", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "bounds_high", Type: arrow.PrimitiveTypes.Float64, Nullable: true},
		{Name: "unit_counts", Type: arrow.BinaryTypes.String, Nullable: true},
	}
}

// ReportSchema gives the schema of a kappa's reports. Name and reference stand in its metadata.
func ReportSchema(kappa, ref string) *arrow.Schema {
	meta := arrow.NewMetadata([]string{MetaKappa, MetaRef}, []string{kappa, ref})
	return arrow.NewSchema(ReportFields(), &meta)
}

// Ref reads name and reference of the kappa from the metadata of a record of reports.
func Ref(schema *arrow.Schema) (kappa, ref string) {
	meta := schema.Metadata()
	kappa, _ = meta.GetValue(MetaKappa)
	ref, _ = meta.GetValue(MetaRef)
	return kappa, ref
}

// ResultFields gives the columns of a result, in order: the fields of the message Result with privacy_…, running_…,
// change_… and bin_… flattened. Nullable columns are those that a result may lack.
func ResultFields() []arrow.Field {
	text, float, whole := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float64, arrow.PrimitiveTypes.Int64
	return []arrow.Field{
		{Name: "kappa", Type: text},
		{Name: "ref", Type: text},
		{Name: "window_start", Type: timestampMs},
		{Name: "window_end", Type: timestampMs},
		{Name: "revision", Type: whole},
		{Name: "final", Type: arrow.FixedWidthTypes.Boolean},
		{Name: "cell", Type: text},
		{Name: "statistic", Type: text},
		{Name: "value", Type: float, Nullable: true},
		{Name: "std_error", Type: float, Nullable: true},
		{Name: "confidence", Type: float},
		{Name: "ci_low", Type: float, Nullable: true},
		{Name: "ci_high", Type: float, Nullable: true},
		{Name: "variance_sampling", Type: float, Nullable: true},
		{Name: "variance_privacy", Type: float, Nullable: true},
		{Name: "population", Type: whole},
		{Name: "panel", Type: whole},
		{Name: "reports", Type: whole},
		{Name: "response_rate", Type: float},
		{Name: "design_effect", Type: float, Nullable: true},
		{Name: "degrees_of_freedom", Type: float, Nullable: true},
		{Name: "privacy_model", Type: text},
		{Name: "privacy_mechanism", Type: text},
		{Name: "privacy_epsilon_per_report", Type: float},
		{Name: "privacy_unit", Type: text},
		{Name: "privacy_period", Type: text},
		{Name: "privacy_epsilon_per_period", Type: float},
		{Name: "privacy_delta", Type: float, Nullable: true},
		{Name: "privacy_epsilon_to_date", Type: float, Nullable: true},
		{Name: "privacy_epsilon_per_value", Type: float, Nullable: true},
		{Name: "privacy_shuffle_assumes", Type: text, Nullable: true},
		{Name: "privacy_shuffle_reports", Type: whole, Nullable: true},
		{Name: "privacy_shuffle_epsilon", Type: float, Nullable: true},
		{Name: "privacy_shuffle_delta", Type: float, Nullable: true},
		{Name: "privacy_shuffle_bound", Type: text, Nullable: true},
		{Name: "privacy_observer", Type: text, Nullable: true},
		{Name: "running_windows", Type: whole, Nullable: true},
		{Name: "running_value", Type: float, Nullable: true},
		{Name: "running_low", Type: float, Nullable: true},
		{Name: "running_high", Type: float, Nullable: true},
		{Name: "warnings", Type: arrow.ListOf(text)},
		{Name: "plan_revision", Type: whole},
		{Name: "frame", Type: text},
		{Name: "change_value", Type: float, Nullable: true},
		{Name: "change_std_error", Type: float, Nullable: true},
		{Name: "change_ci_low", Type: float, Nullable: true},
		{Name: "change_ci_high", Type: float, Nullable: true},
		{Name: "change_variance_sampling", Type: float, Nullable: true},
		{Name: "change_variance_privacy", Type: float, Nullable: true},
		{Name: "change_since", Type: timestampMs, Nullable: true},
		{Name: "change_matched", Type: whole, Nullable: true},
		{Name: "bin_index", Type: whole, Nullable: true},
		{Name: "bin_low", Type: float, Nullable: true},
		{Name: "bin_high", Type: float, Nullable: true},
		{Name: "bin_consistent", Type: float, Nullable: true},
	}
}

// ResultSchema gives the schema of results.
func ResultSchema() *arrow.Schema { return arrow.NewSchema(ResultFields(), nil) }
