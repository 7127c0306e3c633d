package estimate_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/estimate"
)

// oldExport is reports of a mean, a histogram and a statistic with a name of its own, in two windows, as an export of format version 5
// has them: without kind, share, bounds and counts.
func oldExport(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("window_start,window_end,device,statistic,stratum,cluster,cell,weight,pi,stratum_population,score,noise_variance,mechanism," +
		"epsilon,plan_revision,answer,answer_categories,answer_size,answer_include\n")
	for w := range 2 {
		for i := range 12 {
			row := func(statistic, said string) {
				fmt.Fprintf(&text, "2026-11-20T10:0%d:00.000Z,2026-11-20T10:0%d:00.000Z,d%d,\"%s\",all,,{},10,0.1,120,%s\n", w, w+1, i, statistic, said)
			}
			row("mean(t)", fmt.Sprintf("%d,2,hybrid,4,1,,,,", 20+i+w))
			row("histogram(t, 4)", fmt.Sprintf(",,subset,4,1,%d,4,1,0.9", 1<<(i%3)))
			row("warmth", "1,0.1,warner,4,1,,,,")
		}
	}
	path := filepath.Join(t.TempDir(), "reports.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Statistics are asked for by their names, blanks aside; of an export that is old what it lacks is told, or asked for.
func TestStatisticsOfAnExport(t *testing.T) {
	path := oldExport(t)
	for name, c := range map[string]struct {
		config estimate.Config
		want   int    // results
		flag   string // of the fault
		says   string
	}{
		"mean":          {config: estimate.Config{Stats: []string{"mean( t )"}}, want: 2},
		"by cell":       {config: estimate.Config{Stats: []string{"mean(t)"}, By: []string{"window_start", "cell"}}, want: 2},
		"change":        {config: estimate.Config{Stats: []string{"change(mean(t))"}}, says: "no window has an earlier one"},
		"histogram":     {config: estimate.Config{Stats: []string{"histogram(t,4)"}, Between: []float64{0, 40}}, want: 8},
		"two":           {config: estimate.Config{Stats: []string{"histogram(t, 4)", "mean(t)"}, Between: []float64{0, 40}}, want: 10},
		"columns":       {config: estimate.Config{Stats: []string{"mean(score)"}, By: []string{"window_start", "statistic"}, Where: "statistic in ('mean(t)')"}, want: 2},
		"no bounds":     {config: estimate.Config{Stats: []string{"histogram(t, 4)"}}, flag: "between", says: "up to format version 5"},
		"no such thing": {config: estimate.Config{Stats: []string{"mean(u)"}}, flag: "stat", says: `has histogram(t, 4), mean(t), warmth`},
		"no form":       {config: estimate.Config{Stats: []string{"histogram(t, 5)"}, Stratum: "stratum"}, flag: "stat", says: "no statistic of this export"},
		"mixed":         {config: estimate.Config{Stats: []string{"mean(t)", "mean(score)"}}, flag: "stat", says: "together"},
		"design":        {config: estimate.Config{Stats: []string{"mean(t)"}, Weight: "weight"}, flag: "weight", says: "whose design its columns tell"},
		"interval":      {config: estimate.Config{Stats: []string{"mean(t)"}, Interval: "wilson"}, flag: "interval", says: "is not for"},
		"other groups":  {config: estimate.Config{Stats: []string{"mean(t)"}, By: []string{"device"}}, flag: "by", says: "only cell"},
		"no kind":       {config: estimate.Config{Stats: []string{"warmth"}}, says: "doesn't tell its kind"},
		"odd condition": {config: estimate.Config{Stats: []string{"mean(t)"}, Where: "score >"}, flag: "where", says: "where"},
	} {
		c.config.Data = path
		results, err := estimate.Run(c.config)
		fault := ""
		if e, ok := errors.AsType[*estimate.UsageError](err); ok {
			fault = e.Flag
		}
		switch {
		case c.flag == "" && c.says == "":
			if err != nil || len(results) != c.want {
				t.Errorf("%s: %d results, %v; want %d", name, len(results), err, c.want)
			}
		case err == nil || fault != c.flag || !strings.Contains(err.Error(), c.says):
			t.Errorf("%s: %v, want --%s … %s", name, err, c.flag, c.says)
		}
	}
}

// A condition leaves the other rows their place in the design: the mean of some has a larger error than that of a sample of these alone.
func TestConditionIsADomain(t *testing.T) {
	path := oldExport(t)
	c := estimate.Config{Data: path, Stats: []string{"mean(t)"}, Where: "score > 25"}
	results, err := estimate.Run(c)
	if err != nil || len(results) != 2 || results[0].Value == nil {
		t.Fatalf("%+v, %v", results, err)
	}
	columns := estimate.Config{
		Data: path, Stats: []string{"mean(score)"}, Stratum: "stratum", Weight: "weight", FPC: []string{"stratum_population"},
		NoiseVariance: "noise_variance", By: []string{"window_start"}, Where: "score > 25 & statistic in ('mean(t)')",
	}
	other, err := estimate.Run(columns)
	if err != nil || len(other) != 2 {
		t.Fatalf("%+v, %v", other, err)
	}
	for i := range results {
		if far := *results[i].StdError - *other[i].StdError; far > 1e-12 || far < -1e-12 || results[i].By["window_start"] != other[i].By["window_start"] {
			t.Errorf("%v ± %v in %v, columns say %v ± %v in %v", *results[i].Value, *results[i].StdError, results[i].By, *other[i].Value, *other[i].StdError, other[i].By)
		}
	}
}
