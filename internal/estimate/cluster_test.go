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

// silence says how many devices of a cluster of some size answer.
type silence func(random *rand.Rand, stratum int, cluster, size int64) int64

func everybody(_ *rand.Rand, _ int, _, size int64) int64 { return size }

// someSilent has whole clusters silent, and clusters of which one device answers.
func someSilent(random *rand.Rand, _ int, cluster, size int64) int64 {
	switch cluster % 4 {
	case 0:
		return 0
	case 1:
		return 1
	}
	return 1 + random.Int64N(size)
}

// oneEach has one device of each cluster of the first stratum answer, so that none can borrow from another.
func oneEach(random *rand.Rand, stratum int, cluster, size int64) int64 {
	if stratum == 0 {
		return 1
	}
	return someSilent(random, stratum, cluster, size)
}

// clusterExport writes reports of a cluster sample as an export does, in two cells, and returns what the engine keeps of
// them, for both cells together and for the first. Scores are bits with noise.
func clusterExport(t *testing.T, answering silence) (path string, all, first []survey.ClusterSample) {
	t.Helper()
	random := rand.New(rand.NewPCG(11, 4))
	var text strings.Builder
	text.WriteString("window_start,device,statistic,stratum,cluster,cell,weight,pi,stratum_population,score,noise_variance,plan_revision," +
		"cluster_population,stratum_clusters\n")
	for h, clusters := range []int64{7, 12} {
		sample := survey.ClusterSample{Stratum: fmt.Sprintf("s%d", h), Clusters: 3 * clusters, Population: 400}
		other := sample
		responding := 0
		for i := range clusters {
			size := 1 + random.Int64N(6)
			if i < 2 {
				size = 1
			}
			c := survey.Cluster{Size: size, Responses: answering(random, h, i, size)}
			sample.Due = append(sample.Due, c)
			if c.Responses > 0 {
				responding++
			}
		}
		for i := range sample.Due {
			c, name := &sample.Due[i], fmt.Sprintf("building %d", i) // the same names in both strata
			if i < 2 {
				name = "(missing)"
			}
			part, level := *c, 0.7*random.Float64()
			weight := float64(sample.Clusters) / float64(responding) * float64(c.Size) / float64(c.Responses)
			for j := range c.Responses {
				score, cell := 0.5*random.NormFloat64(), `{"type":"b"}`
				if random.Float64() < level {
					score++
				}
				c.Domain.Add(score, 0.25)
				if random.IntN(2) == 0 {
					part.Domain.Add(score, 0.25)
					cell = `{"type":"a"}`
				}
				fmt.Fprintf(&text, "2026-11-20T10:00:00Z,d%d-%d-%d,mean(t),s%d,%s,\"%s\",%v,%v,400,%v,0.25,1,%d,%d\n",
					h, i, j, h, name, strings.ReplaceAll(cell, `"`, `""`), weight, 1.0/3, score, c.Size, sample.Clusters)
			}
			other.Due = append(other.Due, part)
		}
		all, first = append(all, sample), append(first, other)
	}
	path = filepath.Join(t.TempDir(), "reports.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, all, first
}

// An answer of categories has no score; that isn't a missing value.
func TestCategoriesHaveNoScore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "reports.csv")
	text := "window_start,statistic,stratum,weight,stratum_population,score,noise_variance,plan_revision\n" +
		"2026-11-20T10:00:00Z,mean(t),a,2,10,1,0,1\n2026-11-20T10:00:00Z,mean(t),a,2,10,2,0,1\n2026-11-20T10:00:00Z,median(t),a,2,10,,,1\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c := estimate.Config{Data: path, Stratum: "stratum", Weight: "weight", Stats: []string{"mean(score)"}, DropMissing: true}
	if _, err := estimate.Run(c); err == nil || !strings.Contains(err.Error(), "row 3: empty: an answer of median(t) is a set of categories") {
		t.Errorf("%v, want the row and the statistic", err)
	}
	c.Where = "statistic = 'mean(t)'"
	if results, err := estimate.Run(c); err != nil || len(results) != 1 || *results[0].Value != 1.5 {
		t.Errorf("%v, %v, want 1.5", results, err)
	}
}

// From an export of a cluster sample come the numbers that the engine computes of its own state, whoever was silent.
func TestClusterExport(t *testing.T) {
	for name, answering := range map[string]silence{"everybody": everybody, "silence": someSilent, "none to borrow from": oneEach} {
		t.Run(name, func(t *testing.T) {
			path, all, first := clusterExport(t, answering)
			c := estimate.Config{
				Data: path, Stratum: "stratum", Cluster: []string{"cluster", "device"}, FPC: []string{"stratum_clusters", "cluster_population"},
				Weight: "weight", NoiseVariance: "noise_variance", By: []string{"window_start"}, Stats: []string{"mean(score)", "total(score)"},
			}
			compareClusters(t, c, all, first)
			if name == "everybody" { // then one stage is enough
				c.Cluster, c.FPC, c.Pi = []string{"cluster"}, nil, "pi"
				compareClusters(t, c, all, first)
			}
		})
	}
}

// known is a number, 0 for one that isn't known.
func known(x *float64) float64 {
	if x == nil {
		return 0
	}
	return *x
}

func compareClusters(t *testing.T, c estimate.Config, all, first []survey.ClusterSample) {
	t.Helper()
	for _, question := range []struct {
		where  string
		strata []survey.ClusterSample
	}{{"", all}, {`cell = '{"type":"a"}'`, first}} {
		c.Where, c.Interval = question.where, ""
		results, err := estimate.Run(c)
		if err != nil {
			t.Fatal(err)
		}
		c.Interval = "wilson"
		shares, err := estimate.Run(c)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range append(results, shares...) {
			estimator := []func([]survey.ClusterSample, float64) (survey.Estimate, error){
				survey.ClusterMean, survey.ClusterTotal, survey.ClusterProportion, survey.ClusterCount,
			}[i]
			want, err := estimator(question.strata, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			for what, pair := range map[string][2]float64{
				"value": {*r.Value, want.Value}, "standard error": {*r.StdError, want.StdError}, "low": {*r.CILow, want.Low}, "high": {*r.CIHigh, want.High},
				"sampling": {*r.VarianceSampling, want.VarianceSampling}, "privacy": {*r.VariancePrivacy, want.VariancePrivacy},
				"degrees of freedom": {*r.DegreesOfFreedom, want.DegreesOfFreedom}, "design effect": {known(r.DesignEffect), want.DesignEffect},
			} {
				if math.Abs(pair[0]-pair[1]) > 1e-9*math.Abs(pair[1]) {
					t.Errorf("%d: %s %s: %s %.12g, the engine has %.12g", i, r.Statistic, question.where, what, pair[0], pair[1])
				}
			}
			if warned := strings.Contains(strings.Join(r.Warnings, " "), "stayed silent"); warned != (c.Pi != "") {
				t.Errorf("with --pi %q the warnings are %v", c.Pi, r.Warnings)
			}
		}
	}
}

// A cluster sample isn't taken for one of devices, and the rule for one report of a cluster can be declined.
func TestClusterExportWantsClusters(t *testing.T) {
	path, _, _ := clusterExport(t, someSilent)
	_, err := estimate.Run(estimate.Config{Data: path, Stratum: "stratum", Weight: "weight", FPC: []string{"stratum_population"}, Stats: []string{"mean(score)"}})
	if e, ok := errors.AsType[*estimate.UsageError](err); !ok || e.Flag != "cluster" || !strings.Contains(e.Cause, "cluster,device") {
		t.Errorf("%v", err)
	}
	_, err = estimate.Run(estimate.Config{
		Data: path, Stratum: "stratum", Cluster: []string{"cluster", "device"}, FPC: []string{"stratum_clusters", "cluster_population"},
		Weight: "weight", Lonely: "fail", Stats: []string{"mean(score)"},
	})
	if err == nil || !strings.Contains(err.Error(), "one unit only") {
		t.Errorf("%v, want a lonely device", err)
	}
}
