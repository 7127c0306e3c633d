package estimate_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/estimate"
)

const external = "../../survey/testdata/external/"

func near(got, want float64) bool { return math.Abs(got-want) <= 1e-6*math.Abs(want) }

// Each call is one of R's, by way of files and flags; the numbers are those of the oracle tables.
func TestFlagsAgainstR(t *testing.T) {
	stratified := estimate.Config{Data: external + "apistrat.csv", Stratum: "stype", Weight: "pw", FPC: []string{"fpc"}}
	clus1 := estimate.Config{Data: external + "apiclus1.csv", Cluster: []string{"dnum"}, Weight: "pw", FPC: []string{"fpc"}}
	clus2 := estimate.Config{Data: external + "apiclus2.csv", Cluster: []string{"dnum", "snum"}, FPC: []string{"fpc1", "fpc2"}, DropMissing: true}
	phase := estimate.Config{Data: external + "apisrs2ph.csv", FPC: []string{"fpc"}, Phase2: "resp", Phase2Stratum: "stype"}
	pps := estimate.Config{Data: external + "election_pps.csv", Pi: "p"}
	with := func(c estimate.Config, stat string, change func(*estimate.Config)) estimate.Config {
		c.Stats = []string{stat}
		if change != nil {
			change(&c)
		}
		return c
	}
	for name, c := range map[string]struct {
		config    estimate.Config
		value, se float64
	}{
		"stratified mean": {with(stratified, "mean(api00)", nil), 662.287363159321, 9.40894080278458},
		"ratio":           {with(stratified, "ratio(api.stu, enroll)", nil), 0.836956886940522, 0.00775710316663788},
		"jackknife": {
			with(stratified, "mean(api00)", func(c *estimate.Config) { c.Replicates = "jkn" }),
			662.287363159321, 9.40894080278457,
		},
		"post-stratified": {with(clus1, "total(enroll)", func(c *estimate.Config) {
			c.Poststratify = []byte(`{"stype":{"E":4421,"H":755,"M":1018}}`)
		}), 3680892.56, 406292.93},
		"calibrated": {with(clus1, "mean(api00)", func(c *estimate.Config) {
			c.Calibrate = []byte(`{"1":6194,"api99":3914069}`)
		}), 666.718, 3.2959},
		"two stages": {with(clus2, "mean(api00)", nil), 670.811801, 30.0990},
		"two phases": {with(phase, "mean(api00)", nil), 649.105274044796, 10.7704819463398},
		"brewer":     {with(pps, "total(Bush)", nil), 64518472.38054, 2447629},
		"horvitz-thompson": {with(pps, "total(Bush)", func(c *estimate.Config) {
			c.PPS, c.Joint = "ht", external+"election_jointprob.csv"
		}), 64518472.38054, 2604404.47780038},
	} {
		results, err := estimate.Run(c.config)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		tolerance := 1e-6
		if strings.Contains("post-stratified calibrated two stages brewer", name) {
			tolerance = 2e-5 // from what R's vignettes print
		}
		r := results[0]
		if math.Abs(*r.Value-c.value) > tolerance*c.value || math.Abs(*r.StdError-c.se) > tolerance*c.se {
			t.Errorf("%s: %.10g ± %.10g, want %.10g ± %.10g", name, *r.Value, *r.StdError, c.value, c.se)
		}
	}
}

func TestGroupsAndConditions(t *testing.T) {
	c := estimate.Config{
		Data: external + "apistrat.csv", Stratum: "stype", Weight: "pw", FPC: []string{"fpc"}, By: []string{"stype", "awards"},
		Stats: []string{"mean(api00)", "proportion(sch.wide='Yes' and ell > 10)"}, Where: "comp.imp = 'Yes'",
	}
	results, err := estimate.Run(c)
	if err != nil {
		t.Fatal(err)
	}
	last := ""
	for _, r := range results {
		order := r.Statistic + r.By["stype"] + r.By["awards"]
		if len(r.By) != 2 || order <= last {
			t.Errorf("%v after %s", r, last)
		}
		last = order
	}
	// A domain named by --where and one named by --by are the same.
	c.By, c.Where, c.Stats = nil, "comp.imp = 'Yes' and stype='H' and awards='Yes'", c.Stats[:1]
	one, err := estimate.Run(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		if r.Statistic == "mean(api00)" && r.By["stype"] == "H" && r.By["awards"] == "Yes" && (*r.Value != *one[0].Value || *r.StdError != *one[0].StdError) {
			t.Errorf("%v by groups, %v by a condition", *r.StdError, *one[0].StdError)
		}
	}
}

func TestFaultsNameColumnAndRow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	text := "s,c,w,n,y,z,r,p\na,1,2,10,5,1,1,.5\na,2,2,10,6,,1,.5\nb,3,-3,1,7,3,0,.5\nb,4,3,1,secret,4,maybe,.5\nc,5,3,9,8,4,1,2\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]estimate.Config{
		`a.csv: column "y": row 4: not a finite number`:                                        {Stats: []string{"mean(y)"}},
		`a.csv: column "q": there is no such column`:                                           {Stats: []string{"mean(q)"}},
		`column "z": row 2: missing value`:                                                     {Stats: []string{"mean(z)"}},
		`column "w": row 3: invalid input: negative`:                                           {Stats: []string{"mean(c)"}, Weight: "w"},
		`column "n": row 3: invalid input: stratum "b": population below the number`:           {Stats: []string{"mean(c)"}, Stratum: "s", FPC: []string{"n"}},
		`column "s": one unit only: stratum "c"`:                                               {Stats: []string{"mean(c)"}, Stratum: "s"},
		`column "p": row 5: invalid input: not in (0, 1]`:                                      {Stats: []string{"mean(c)"}, Pi: "p"},
		`column "r": row 4: want 1, true or yes`:                                               {Stats: []string{"mean(c)"}, Phase2: "r"},
		`column "z": row 2: missing; --na drop`:                                                {Stats: []string{"mean(c)"}, By: []string{"z"}},
		`row 2: the condition of --where meets a missing value`:                                {Stats: []string{"mean(c)"}, Where: "z > 1"},
		`no row in the domain`:                                                                 {Stats: []string{"mean(c)"}, Where: "c > 100"},
		`calibration: infeasible: column "s": no row has the level "d"`:                        {Stats: []string{"mean(c)"}, Rake: []byte(`{"s":{"a":1,"b":1,"c":1,"d":1}}`)},
		`calibration: invalid input: column "s": no total for level "b"`:                       {Stats: []string{"mean(c)"}, Rake: []byte(`{"s":{"a":1,"c":1}}`)},
		`column "z": row 2: calibration: invalid input: not a number`:                          {Stats: []string{"mean(c)"}, Calibrate: []byte(`{"z":10}`)},
		`--stat: "median(x)": want mean(x)`:                                                    {Stats: []string{"median(x)"}},
		`--stat: "quantile(c,2)": the share must lie between 0 and 1`:                          {Stats: []string{"quantile(c,2)"}},
		`--stat: at least one is needed`:                                                       {},
		`--where: condition: after "c" want`:                                                   {Stats: []string{"mean(c)"}, Where: "c"},
		`--pps: needs --pi`:                                                                    {Stats: []string{"mean(c)"}, PPS: "brewer"},
		`--pps: syg needs --joint`:                                                             {Stats: []string{"mean(c)"}, PPS: "syg", Pi: "p"},
		`--calfun: logit needs --bounds`:                                                       {Stats: []string{"mean(c)"}, Calibrate: []byte(`{"1":10}`), Calfun: "logit"},
		`--rake: not the JSON that is wanted`:                                                  {Stats: []string{"mean(c)"}, Rake: []byte(`{"s":3}`)},
		`unsupported: the interval logit is for proportions`:                                   {Stats: []string{"total(c)"}, Interval: "logit"},
		`unsupported: interval: wilson is for proportions in [0, 1]`:                           {Stats: []string{"total(c)"}, Interval: "wilson"},
		`unsupported: jk1 is for designs without strata; use jkn`:                              {Stats: []string{"mean(c)"}, Stratum: "s", Lonely: "certainty", Replicates: "jk1"},
		`unsupported: quantiles of noisy values are biased`:                                    {Stats: []string{"quantile(c,.5)"}, NoiseVariance: "c"},
		`unsupported: a condition on noisy values is biased; take the mean of unbiased scores`: {Stats: []string{"proportion(c>2)"}, NoiseVariance: "c"},
		`column "z": row 2: missing value: stratum`:                                            {Stats: []string{"mean(c)"}, Stratum: "z"},
	} {
		c.Data = path
		_, err := estimate.Run(c)
		if err == nil || !strings.HasPrefix(err.Error(), strings.TrimSuffix(want, ": stratum")) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %s", err, want)
		}
		if _, usage := errors.AsType[*estimate.UsageError](err); usage != strings.HasPrefix(want, "--") {
			t.Errorf("%v: a fault of the flags? %v", err, usage)
		}
	}
}

// Dropping a missing value is a domain: its row stays in the design.
func TestDropIsADomain(t *testing.T) {
	c := estimate.Config{Data: external + "apiclus1.csv", Cluster: []string{"dnum"}, Weight: "pw", FPC: []string{"fpc"}, DropMissing: true, Stats: []string{"mean(acs.k3)"}}
	results, err := estimate.Run(c)
	if err != nil {
		t.Fatal(err)
	}
	if !near(*results[0].DegreesOfFreedom, 14) {
		t.Errorf("%v degrees of freedom, want 14", *results[0].DegreesOfFreedom)
	}
}

// A group that can't be estimated is told, and doesn't take the others with it.
func TestGroupsWithoutEstimate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(path, []byte("g,y\na,1\na,2\na,4\nb,\nb,\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	results, err := estimate.Run(estimate.Config{Data: path, By: []string{"g"}, DropMissing: true, Stats: []string{"mean(y)"}})
	if err != nil || len(results) != 2 || results[0].Value == nil || results[1].Value != nil || len(results[1].Warnings) != 1 {
		t.Errorf("%+v, %v", results, err)
	}
}
