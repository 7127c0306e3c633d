package estimate_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/estimate"
	"github.com/quadrat-dev/quadrat/survey"
)

// clusterExport writes reports of a cluster sample in which everybody answered, in two cells, and returns what the engine
// keeps of them, for both cells together and for the first.
func clusterExport(t *testing.T) (path string, all, first []survey.ClusterSample) {
	t.Helper()
	random := rand.New(rand.NewPCG(11, 4))
	var text strings.Builder
	text.WriteString("window_start,device,statistic,stratum,cluster,cell,weight,pi,stratum_population,score,noise_variance,plan_revision\n")
	for h, clusters := range []int64{7, 12} {
		sample := survey.ClusterSample{Stratum: fmt.Sprintf("s%d", h), Clusters: 3 * clusters, Population: 400}
		other := sample
		for i := range clusters {
			size, name := 1+random.Int64N(6), fmt.Sprintf("building %d", i) // the same names in both strata
			if i < 2 {
				size, name = 1, "(missing)"
			}
			c := survey.Cluster{Size: size, Responses: size}
			part := c
			level := 20 + 3*random.NormFloat64()
			for j := range size {
				score, cell := level+random.NormFloat64(), `{"type":"b"}`
				c.Domain.Add(score, 0.3)
				if random.IntN(2) == 0 {
					part.Domain.Add(score, 0.3)
					cell = `{"type":"a"}`
				}
				fmt.Fprintf(&text, "2026-11-20T10:00:00Z,d%d-%d-%d,mean(t),s%d,%s,\"%s\",%v,%v,400,%v,0.3,1\n",
					h, i, j, h, name, strings.ReplaceAll(cell, `"`, `""`), 3, 1.0/3, score)
			}
			sample.Due, other.Due = append(sample.Due, c), append(other.Due, part)
		}
		all, first = append(all, sample), append(first, other)
	}
	path = filepath.Join(t.TempDir(), "reports.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, all, first
}

// From an export of a cluster sample without silence come the numbers that the engine computes of its own state.
func TestClusterExport(t *testing.T) {
	path, all, first := clusterExport(t)
	c := estimate.Config{
		Data: path, Stratum: "stratum", Cluster: []string{"cluster"}, Weight: "weight", Pi: "pi", NoiseVariance: "noise_variance",
		By: []string{"window_start"}, Stats: []string{"mean(score)", "total(score)"},
	}
	for _, question := range []struct {
		where  string
		strata []survey.ClusterSample
	}{{"", all}, {`cell = '{"type":"a"}'`, first}} {
		c.Where = question.where
		results, err := estimate.Run(c)
		if err != nil {
			t.Fatal(err)
		}
		for i, estimator := range []func([]survey.ClusterSample, float64) (survey.Estimate, error){survey.ClusterMean, survey.ClusterTotal} {
			want, err := estimator(question.strata, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			r := results[i]
			for what, pair := range map[string][2]float64{
				"value": {*r.Value, want.Value}, "standard error": {*r.StdError, want.StdError}, "low": {*r.CILow, want.Low}, "high": {*r.CIHigh, want.High},
				"sampling": {*r.VarianceSampling, want.VarianceSampling}, "privacy": {*r.VariancePrivacy, want.VariancePrivacy},
				"degrees of freedom": {*r.DegreesOfFreedom, want.DegreesOfFreedom}, "design effect": {*r.DesignEffect, want.DesignEffect},
			} {
				if what == "design effect" && i == 1 {
					continue // the engine knows the population's size, an export the sum of the weights
				}
				if math.Abs(pair[0]-pair[1]) > 1e-9*math.Abs(pair[1]) {
					t.Errorf("%s %s: %s %.12g, the engine has %.12g", r.Statistic, question.where, what, pair[0], pair[1])
				}
			}
			if !strings.Contains(strings.Join(r.Warnings, " "), "stayed silent") {
				t.Errorf("%v doesn't say what an export can't know", r.Warnings)
			}
		}
	}
}

// A cluster sample isn't taken for one of devices.
func TestClusterExportWantsClusters(t *testing.T) {
	path, _, _ := clusterExport(t)
	_, err := estimate.Run(estimate.Config{Data: path, Stratum: "stratum", Weight: "weight", FPC: []string{"stratum_population"}, Stats: []string{"mean(score)"}})
	if e, ok := errors.AsType[*estimate.UsageError](err); !ok || e.Flag != "cluster" {
		t.Errorf("%v", err)
	}
}
