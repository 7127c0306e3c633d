package estimate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey/calibrate"
	"github.com/quadrat-dev/quadrat/survey/design"
	"github.com/quadrat-dev/quadrat/survey/interval"
	"github.com/quadrat-dev/quadrat/survey/replicate"
)

// Config is what the flags say; empty is not given. Names are columns.
type Config struct {
	Data          string // file or folder; of an export with a folder reports that one
	strata        string // folder with the strata of exported reports; empty when there is none
	Stratum       string
	Cluster       []string // by stage
	Weight        string
	FPC           []string // by stage
	By            []string
	Where         string // a condition
	DropMissing   bool
	NoiseVariance string
	Stats         []string
	Poststratify  []byte // JSON {"column": {"level": total}}
	Rake          []byte // the same with several columns
	Calibrate     []byte // JSON {"1": total, "column": total, "column=level": total}
	Calfun        string // linear, raking, logit
	Bounds        []float64
	PPS           string // brewer, hr, overton, syg, ht, poisson
	Pi            string
	Joint         string // a CSV file without header: the joint inclusion probabilities
	Phase2        string
	Phase2Stratum string
	Replicates    string // jk1, jkn, brr, bootstrap
	Interval      string
	Lonely        string
	Confidence    float64   // 0 for 0.95
	Between       []float64 // bounds of the readings, for exported reports that were stored without; nil for none
}

// Result is one answer. Value and what belongs to it are nil when there is none; Warnings say why.
type Result struct {
	Statistic        string            `json:"statistic"`
	By               map[string]string `json:"by"`
	Value            *float64          `json:"value"`
	StdError         *float64          `json:"std_error"`
	CILow            *float64          `json:"ci_low"`
	CIHigh           *float64          `json:"ci_high"`
	DegreesOfFreedom *float64          `json:"degrees_of_freedom"`
	DesignEffect     *float64          `json:"design_effect"`
	VarianceSampling *float64          `json:"variance_sampling,omitempty"` // only with noise
	VariancePrivacy  *float64          `json:"variance_privacy,omitempty"`
	Bin              *Bin              `json:"bin,omitempty"`     // of a histogram, a frequency or a distribution
	Since            string            `json:"since,omitempty"`   // of a change: start of the window that it is told from
	Matched          *int64            `json:"matched,omitempty"` // of a change: devices, or clusters, that answered in both windows
	Warnings         []string          `json:"warnings,omitempty"`
}

// Bin is the category that a result speaks of.
type Bin struct {
	Index      int      `json:"index"`
	Low        float64  `json:"low"`
	High       float64  `json:"high"`
	Consistent *float64 `json:"consistent,omitempty"` // share of the nearest distribution, or of the shape: for display only
}

// UsageError is a fault of the configuration.
type UsageError struct{ Flag, Cause string }

// Error says the flag and the cause.
func (e *UsageError) Error() string { return fmt.Sprintf("--%s: %s", e.Flag, e.Cause) }

var (
	methods = map[string]design.Method{
		"brewer": design.Brewer, "hr": design.HartleyRao, "overton": design.Overton, "syg": design.SenYatesGrundy,
		"ht": design.HorvitzThompson, "poisson": design.Poisson,
	}
	lonelyRules = map[string]design.LonelyRule{
		"": design.LonelyFail, "fail": design.LonelyFail, "certainty": design.LonelyCertainty,
		"adjust": design.LonelyAdjust, "average": design.LonelyAverage, "borrow": design.LonelyBorrow,
	}
	functions = map[string]calibrate.Function{"linear": calibrate.Linear, "raking": calibrate.Raking, "logit": calibrate.Logit}
	kinds     = map[string]replicate.Kind{
		"": 0, "jk1": replicate.JK1, "jkn": replicate.JKn, "brr": replicate.BRR, "bootstrap": replicate.Bootstrap,
	}
)

// bootstrapReplicates and bootstrapSeed make a bootstrap the same each time.
const (
	bootstrapReplicates = 1000
	bootstrapSeed       = 1
)

// plan is a Config, checked and parsed.
type plan struct {
	Config
	statistics []statistic
	where      *tabular.Condition
	margins    []margin
	auxiliary  []auxiliary
	function   calibrate.Function
	method     design.Method
	lonely     design.LonelyRule
	interval   interval.Method
	replicates *replicate.Plan
	clustered  bool // exported reports that name clusters
	sized      bool // and have the columns of their sizes
}

func (c Config) plan() (*plan, error) {
	p := &plan{Config: c}
	for _, text := range c.Stats {
		s, err := parseStatistic(text)
		if err != nil {
			return nil, &UsageError{"stat", err.Error()}
		}
		p.statistics = append(p.statistics, s)
	}
	if len(p.statistics) == 0 {
		return nil, &UsageError{"stat", "at least one is needed"}
	}
	if c.Where != "" {
		condition, err := tabular.Parse(c.Where)
		if err != nil {
			return nil, &UsageError{"where", err.Error()}
		}
		p.where = &condition
	}
	if err := p.choices(); err != nil {
		return nil, err
	}
	return p, p.calibration()
}

// choices reads the flags that choose one of several words, and refuses what doesn't go together.
func (p *plan) choices() error {
	var ok bool
	if p.lonely, ok = lonelyRules[p.Lonely]; !ok {
		return oneOf("lonely", lonelyRules)
	}
	kind, ok := kinds[p.Replicates]
	if !ok {
		return oneOf("replicates", kinds)
	}
	if kind != 0 {
		p.replicates = &replicate.Plan{Kind: kind, Count: bootstrapReplicates, Seed: bootstrapSeed}
	}
	if p.Interval != "" {
		var err error
		if p.interval, err = interval.ParseMethod(p.Interval); err != nil {
			return &UsageError{"interval", "want one of t, z, wilson, logit, asin, beta"}
		}
	}
	if p.PPS != "" {
		if p.method, ok = methods[p.PPS]; !ok {
			return oneOf("pps", methods)
		}
	} else if p.Pi != "" {
		p.method = design.Brewer
	}
	pairs := p.method == design.SenYatesGrundy || p.method == design.HorvitzThompson
	switch {
	case p.PPS != "" && p.Pi == "":
		return &UsageError{"pps", "needs --pi"}
	case pairs && p.Joint == "":
		return &UsageError{"pps", p.PPS + " needs --joint"}
	case p.Joint != "" && !pairs:
		return &UsageError{"joint", "is for --pps syg and --pps ht"}
	case p.Phase2Stratum != "" && p.Phase2 == "":
		return &UsageError{"phase2-stratum", "needs --phase2"}
	case p.Pi != "" && len(p.FPC) > 0:
		return &UsageError{"fpc", "the inclusion probabilities of --pi stand in its place"}
	}
	return nil
}

func oneOf[V any](flag string, words map[string]V) error {
	names := slices.Sorted(maps.Keys(words))
	return &UsageError{flag, "want one of " + strings.TrimPrefix(strings.Join(names, ", "), ", ")}
}

// ParsePair reads "L,U", two numbers of a flag.
func ParsePair(flag, text string) ([]float64, error) {
	low, high, ok := strings.Cut(text, ",")
	l, err := strconv.ParseFloat(strings.TrimSpace(low), 64)
	u, err2 := strconv.ParseFloat(strings.TrimSpace(high), 64)
	if !ok || err != nil || err2 != nil {
		return nil, &UsageError{flag, "want two numbers, L,U"}
	}
	return []float64{l, u}, nil
}
