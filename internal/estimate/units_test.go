package estimate_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/estimate"
	"github.com/quadrat-dev/quadrat/survey"
)

// gatewayExport writes reports as an export does in which every second cluster is a gateway, which tells one sum for each of two cells, and
// what the engine keeps of them, for both cells together and for the first.
func gatewayExport(t *testing.T, answering silence) (path string, all, first []survey.ClusterSample) {
	t.Helper()
	random := rand.New(rand.NewPCG(12, 4))
	var text strings.Builder
	text.WriteString("window_start,device,statistic,stratum,cluster,cell,weight,pi,stratum_population,score,noise_variance,plan_revision," +
		"cluster_population,stratum_clusters,units\n")
	for h, clusters := range []int64{8, 14} {
		sample := survey.ClusterSample{Stratum: fmt.Sprintf("s%d", h), Clusters: 3 * clusters, Population: 400}
		other := sample
		responding := 0
		for i := range clusters {
			c := survey.Cluster{Size: 1, Responses: 1}
			if i%2 == 1 {
				c.Size = 1 + random.Int64N(6)
				c.Responses, c.Pooled = answering(random, h, i, c.Size), true
			}
			sample.Due = append(sample.Due, c)
			if c.Responses > 0 {
				responding++
			}
		}
		for i := range sample.Due {
			c := &sample.Due[i]
			part, inFirst := *c, random.Int64N(c.Responses+1)
			weight := float64(sample.Clusters) / float64(responding) * float64(c.Size) / float64(max(1, c.Responses))
			row := func(cell string, m survey.Moments, units string) {
				name := "(missing)"
				if c.Pooled {
					name = fmt.Sprintf("home %d", i) // the same names in both strata
				}
				n := float64(m.Count)
				fmt.Fprintf(&text, "2026-11-20T10:00:00Z,d%d-%d-%s,mean(t),s%d,%s,\"{\"\"type\"\":\"\"%s\"\"}\",%v,%v,400,%v,%v,1,%d,%d,%s\n",
					h, i, cell, h, name, cell, weight, 1.0/3, m.Mean, m.Noise/n/n, c.Size, sample.Clusters, units)
				c.Domain.Merge(m)
				if cell == "a" {
					part.Domain.Merge(m)
				}
			}
			for at, n := range []int64{inFirst, c.Responses - inFirst} {
				if n == 0 {
					continue
				}
				sum, units := float64(random.Int64N(n+1))+2*random.NormFloat64(), ""
				if c.Pooled {
					units = fmt.Sprint(n)
				}
				row([]string{"a", "b"}[at], survey.Sum(n, sum, 4), units)
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

// From an export with sums of gateways come the numbers that the engine computes of its own state, whoever was silent.
func TestGatewayExport(t *testing.T) {
	for name, answering := range map[string]silence{"everybody": everybody, "silence": someSilent} {
		t.Run(name, func(t *testing.T) {
			path, all, first := gatewayExport(t, answering)
			c := estimate.Config{
				Data: path, Stratum: "stratum", Cluster: []string{"cluster", "device"}, FPC: []string{"stratum_clusters", "cluster_population"},
				Weight: "weight", NoiseVariance: "noise_variance", By: []string{"window_start"}, Stats: []string{"mean(score)", "total(score)"},
			}
			compareClusters(t, c, all, first)
			c.Weight = ""
			if _, err := estimate.Run(c); err == nil {
				t.Error("sums without weights were estimated")
			} else if e, ok := errors.AsType[*estimate.UsageError](err); !ok || e.Flag != "weight" {
				t.Errorf("%v", err)
			}
		})
	}
}

// A window in which only single units answered has a design effect, also beside one with sums.
func TestWindowsWithoutSumsHaveADesignEffect(t *testing.T) {
	var text strings.Builder
	text.WriteString("window_start,device,statistic,stratum,cluster,cell,weight,pi,stratum_population,score,noise_variance,plan_revision," +
		"cluster_population,stratum_clusters,units\n")
	for i := range 6 {
		fmt.Fprintf(&text, "2026-11-20T10:00:00Z,d%d,mean(t),s,(missing),{},1,1,18,%d,1,1,1,6,\n", i, i*i)
		fmt.Fprintf(&text, "2026-11-20T10:01:00Z,d%d,mean(t),s,home %d,{},1,1,18,%d,1,1,2,6,2\n", i, i, i*i)
	}
	path := filepath.Join(t.TempDir(), "reports.csv")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	results, err := estimate.Run(estimate.Config{
		Data: path, Stratum: "stratum", Cluster: []string{"cluster", "device"}, FPC: []string{"stratum_clusters", "cluster_population"},
		Weight: "weight", NoiseVariance: "noise_variance", By: []string{"window_start"}, Stats: []string{"mean(score)"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 2 || results[0].DesignEffect == nil || !(*results[0].DesignEffect > 0) || results[1].DesignEffect != nil {
		t.Errorf("%+v", results)
	}
}
