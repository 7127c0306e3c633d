package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/demo"
	"github.com/quadrat-dev/quadrat/internal/estimate"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// estimateCmd is `quadrat estimate`.
type estimateCmd struct {
	Data          string   `help:"CSV or Parquet file, or a folder of them, such as quadrat export writes." required:"" type:"path" placeholder:"FILE"`
	Stat          []string `help:"What to estimate of columns: mean(x), total(x), ratio(x,y), proportion(x='v'), proportion(x>3), quantile(x,p), variance(x). Of an export of reports also its statistics, as the script or AS names them, and change(…) of one." required:"" sep:"none" placeholder:"STAT"`
	Stratum       string   `help:"Column of the strata." placeholder:"COLUMN"`
	Cluster       []string `help:"Columns of the clusters, by stage." placeholder:"COLUMN"`
	Weight        string   `help:"Column of the weights; without it the weights that the design implies." placeholder:"COLUMN"`
	FPC           []string `name:"fpc" help:"Columns of the population sizes, by stage, or of the sampling fractions when all are at most 1; without it with replacement." placeholder:"COLUMN"`
	By            []string `help:"Columns whose combinations are estimated one by one." placeholder:"COLUMN"`
	Where         string   `help:"Estimate for the rows where this holds; the others keep their place in the design." placeholder:"CONDITION"`
	NA            string   `name:"na" help:"What a missing value does: fail, or drop its row from the domain." enum:"fail,drop" default:"fail"`
	NoiseVariance string   `help:"Column of the variance of the noise in the values." placeholder:"COLUMN"`
	Poststratify  string   `help:"Known counts, as JSON or @file: {\"column\": {\"level\": count}}." placeholder:"JSON"`
	Rake          string   `help:"The same for several columns." placeholder:"JSON"`
	Calibrate     string   `help:"Known totals: {\"1\": total, \"column\": total, \"column=level\": total}." placeholder:"JSON"`
	Calfun        string   `help:"How weights move: linear, raking or logit." enum:",linear,raking,logit" default:""`
	Bounds        string   `help:"Least and largest factor of a weight." placeholder:"L,U"`
	PPS           string   `name:"pps" help:"Variance for unequal probabilities: brewer, hr, overton, syg or ht; poisson for independent draws." enum:",brewer,hr,overton,syg,ht,poisson" default:""`
	Pi            string   `help:"Column of the inclusion probabilities." placeholder:"COLUMN"`
	Joint         string   `help:"CSV file of the joint inclusion probabilities, for syg and ht." type:"path" placeholder:"FILE"`
	Phase2        string   `name:"phase2" help:"Column that says who responded (1 or 0)." placeholder:"COLUMN"`
	Phase2Stratum string   `name:"phase2-stratum" help:"Column of the classes within which responses are equally likely." placeholder:"COLUMN"`
	Replicates    string   `help:"Variance from replicates: jk1, jkn, brr or bootstrap." enum:",jk1,jkn,brr,bootstrap" default:""`
	Interval      string   `help:"Kind of interval: t, z; for proportions also wilson, logit, asin, beta; for counts, totals of bits, wilson; for variances log." enum:"t,z,wilson,logit,asin,beta,log" default:"t"`
	Lonely        string   `help:"Strata with one unit: fail, certainty, adjust or average; borrow for clusters with one. Default fail, and borrow for exported clusters." enum:",fail,certainty,adjust,average,borrow" default:"" placeholder:"RULE"`
	Between       string   `help:"Bounds of the readings, for exported reports of histograms, quantiles and distributions that were stored without them, as up to format version 5." placeholder:"LO,HI"`
	Confidence    float64  `help:"Confidence of the intervals." default:"0.95"`
	Format        string   `help:"How to print: table or json." enum:"table,json" default:"table"`
}

// garbagePercent lets garbage be four times what is in use: it comes in pages that are read once, and the program ends soon.
const garbagePercent = 400

// Help shows an example.
func (*estimateCmd) Help() string {
	return `Example: quadrat estimate --data apistrat.csv --stratum stype --weight pw --fpc fpc --stat 'mean(api00)' --stat 'total(enroll)'

Example: quadrat estimate --data export --stat 'mean(temperature)' --stat 'histogram(temperature, 8)' --stat 'change(mean(temperature))' --by cell

Example: quadrat estimate --data export --weight weight --stratum stratum --fpc stratum_population --noise-variance noise_variance --by window_start --stat 'mean(score)'

Example: quadrat estimate --data export --weight weight --stratum stratum --cluster cluster,device --fpc stratum_clusters,cluster_population --noise-variance noise_variance --by window_start --stat 'mean(score)'

The second gives what the server answered, in each window and with --by cell in each cell: every statistic, whichever design and
privacy the kappa has, from the columns of the export alone. The third and the fourth take the columns as a sample of your own
description; with these flags they give the server's means of scores, the fourth for kappas with CLUSTERED BY.`
}

// Run estimates and prints.
func (c *estimateCmd) Run(t *terminal) error {
	config, err := c.config()
	if err != nil {
		return usage(err)
	}
	debug.SetGCPercent(garbagePercent)
	stop := t.progress("estimating")
	results, err := estimate.Run(config)
	stop()
	if err != nil {
		return usage(err)
	}
	if c.Format == formatJSON {
		out := json.NewEncoder(t.out)
		out.SetEscapeHTML(false)
		return out.Encode(results)
	}
	return t.printEstimates(results, c.By)
}

// usage makes a fault of the flags one that exits with 2.
func usage(err error) error {
	if e, ok := errors.AsType[*estimate.UsageError](err); ok {
		return &usageError{e.Error()}
	}
	return fmt.Errorf("estimate: %w", err)
}

func (c *estimateCmd) config() (estimate.Config, error) {
	config := estimate.Config{
		Data: c.Data, Stratum: c.Stratum, Cluster: c.Cluster, Weight: c.Weight, FPC: c.FPC, By: c.By, Where: c.Where,
		DropMissing: c.NA == "drop", NoiseVariance: c.NoiseVariance, Stats: c.Stat, Calfun: c.Calfun, PPS: c.PPS, Pi: c.Pi,
		Joint: c.Joint, Phase2: c.Phase2, Phase2Stratum: c.Phase2Stratum, Replicates: c.Replicates, Interval: c.Interval,
		Lonely: c.Lonely, Confidence: c.Confidence,
	}
	for _, text := range []struct {
		given string
		to    *[]byte
	}{{c.Poststratify, &config.Poststratify}, {c.Rake, &config.Rake}, {c.Calibrate, &config.Calibrate}} {
		if text.given == "" {
			continue
		}
		raw := []byte(text.given)
		if name, ok := strings.CutPrefix(text.given, "@"); ok {
			var err error
			if raw, err = os.ReadFile(name); err != nil {
				return config, err //nolint:wrapcheck // it names the file
			}
		}
		*text.to = raw
	}
	if !(c.Confidence > 0 && c.Confidence < 1) {
		return config, &estimate.UsageError{Flag: "confidence", Cause: "must lie between 0 and 1"}
	}
	for _, pair := range []struct {
		flag, given string
		to          *[]float64
	}{{"bounds", c.Bounds, &config.Bounds}, {"between", c.Between, &config.Between}} {
		if pair.given == "" {
			continue
		}
		var err error
		if *pair.to, err = estimate.ParsePair(pair.flag, pair.given); err != nil {
			return config, err
		}
	}
	return config, nil
}

// printEstimates shows estimates to people: each with its standard error, to as many digits as that one has a meaning in.
func (t *terminal) printEstimates(results []estimate.Result, by []string) error {
	return t.table(func(w io.Writer) {
		header := []string{"STATISTIC", "ESTIMATE ± SE", "LOW", "HIGH", "DF", "DEFF"}
		if len(by) > 0 || anyGroup(results) {
			header = append([]string{"STATISTIC", "BY"}, header[1:]...)
		}
		fmt.Fprintln(w, strings.Join(header, "\t"))
		for _, r := range results {
			cells := []string{estimateName(&r)}
			if len(header) > 6 {
				cells = append(cells, cellName(r.By))
			}
			if r.Value == nil {
				value := "-"
				if r.Bin != nil && r.Bin.Consistent != nil {
					value = demo.ShapeMark + fixed(*r.Bin.Consistent, 4)
				}
				fmt.Fprintln(w, strings.Join(append(cells, value, "-", "-", "-", "-"), "\t"))
				continue
			}
			digits, effect := decimals(*r.StdError), "-"
			if r.DesignEffect != nil {
				effect = strconv.FormatFloat(*r.DesignEffect, 'f', 3, 64)
			}
			cells = append(cells, fixed(*r.Value, digits)+" ± "+fixed(*r.StdError, digits), fixed(*r.CILow, digits), fixed(*r.CIHigh, digits),
				strconv.FormatFloat(*r.DegreesOfFreedom, 'f', -1, 64), effect)
			fmt.Fprintln(w, strings.Join(cells, "\t"))
		}
		for _, r := range results {
			if r.Bin != nil && r.Bin.Index > 0 {
				continue // what is to be said of all categories was said of the first
			}
			for _, warning := range r.Warnings {
				fmt.Fprintf(w, "warning: %s %s: %s\n", r.Statistic, cellName(r.By), warning)
			}
		}
	})
}

// estimateName is a result's statistic with its category.
func estimateName(r *estimate.Result) string {
	if r.Bin == nil {
		return r.Statistic
	}
	bin := &quadratv1.Bin{Index: uint32(r.Bin.Index), Low: r.Bin.Low, High: r.Bin.High}
	return demo.StatisticName(&quadratv1.Result{Statistic: r.Statistic, Bin: bin})
}

func anyGroup(results []estimate.Result) bool {
	for _, r := range results {
		if len(r.By) > 0 {
			return true
		}
	}
	return false
}

// decimals is how many digits after the point show five of the standard error, at most ten.
func decimals(se float64) int {
	if se == 0 {
		return 4
	}
	return min(max(0, 4-int(math.Floor(math.Log10(se)))), 10)
}

// fixed writes a number with commas between thousands.
func fixed(x float64, digits int) string {
	text := strconv.FormatFloat(math.Abs(x), 'f', digits, 64)
	whole, fraction, point := strings.Cut(text, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if point {
		whole += "." + fraction
	}
	if x < 0 {
		whole = "-" + whole
	}
	return whole
}
