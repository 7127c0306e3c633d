package storage

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/apache/arrow/go/v17/arrow/array"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/survey"
)

// clusteredStore is a store of one window of a cluster sample: whole clusters were silent, devices of others, in one
// stratum everybody and in another all clusters but one, which has the name of a cluster elsewhere. Beside it stands what
// the engine keeps of the same reports.
func clusteredStore(t *testing.T) (*Store, []survey.ClusterSample) {
	t.Helper()
	rng := rand.New(rand.NewPCG(8, 3))
	var rows []column.Report
	var strata []column.Stratum
	var samples []survey.ClusterSample
	for h, due := range []int64{9, 12, 2, 3} {
		sample := survey.ClusterSample{Stratum: fmt.Sprintf("zone/%d", h), Clusters: due + 5, Population: 100 + due}
		for i := range due {
			size, name := 1+rng.Int64N(5), fmt.Sprintf("house %d", i)
			if h < 2 && i < 3 {
				size, name = 1, attr.Missing
			}
			c := survey.Cluster{Size: size}
			pooled := name != attr.Missing && i%3 == 2 // a gateway, which tells a sum
			silent := i > 3 && i < 6 || h == 2 && i > 0 || h == 3
			for j := range size {
				if silent || j > 0 && rng.IntN(3) == 0 {
					continue
				}
				score := 20 + rng.NormFloat64()
				c.Responses++
				c.Domain.Add(score, 0.5)
				if pooled {
					continue
				}
				rows = append(rows, column.Report{
					WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000, Device: rng.Uint64(), Statistic: "mean(x)", Stratum: sample.Stratum,
					Cluster: name, Cell: "{}", Pi: float64(due) / float64(due+5), StratumPopulation: sample.Population, Score: score,
					NoiseVariance: 0.5, Mechanism: "hybrid", Epsilon: 1, PlanRevision: 1, Sequence: 1, ClusterPopulation: size, StratumClusters: due + 5,
				})
			}
			if pooled && c.Responses > 0 {
				c.Pooled, c.Domain = true, survey.Sum(c.Responses, c.Domain.Mean*float64(c.Responses), 9)
				n := float64(c.Responses)
				rows = append(rows, column.Report{
					WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000, Device: rng.Uint64(), Statistic: "mean(x)", Stratum: sample.Stratum,
					Cluster: name, Cell: "{}", Pi: float64(due) / float64(due+5), StratumPopulation: sample.Population, Score: c.Domain.Mean,
					NoiseVariance: 9 / n / n, Mechanism: "laplace", Epsilon: 1, PlanRevision: 1, Sequence: 1, ClusterPopulation: size, StratumClusters: due + 5,
					Units: uint32(c.Responses),
				})
			}
			sample.Due = append(sample.Due, c)
		}
		samples = append(samples, sample)
		strata = append(strata, column.Stratum{
			WindowStartMs: baseMs, WindowEndMs: baseMs + 60_000, Statistic: "mean(x)", Stratum: sample.Stratum, Population: sample.Population,
			Panel: 2 * due, Clusters: sample.Clusters,
		})
	}
	s := open(t, t.TempDir(), Config{})
	rec := recordOf(t, rows)
	defer rec.Release()
	must(t, s.Reports(rec))
	must(t, s.Strata("indoor", testRef, strata))
	must(t, s.Commit(1))
	return s, samples
}

// The weights of an export are those of the estimate: they add up to its total, stratum by stratum and cluster by cluster.
func TestClusterWeightsAreTheEstimates(t *testing.T) {
	s, samples := clusteredStore(t)
	merged, _, notes := survey.CollapseClusters(samples, LeastResponses)
	if len(notes) != 1 || len(merged) != 2 {
		t.Fatalf("%d strata, notes %v; the case is too easy", len(merged), notes)
	}
	want, err := survey.ClusterTotal(merged, 0.95)
	must(t, err)
	clusters, numbers := map[string]map[string]int64{}, map[string]int64{}
	total := 0.0
	for rec, err := range s.ScanWeighted(context.Background(), testRef, time.Time{}, time.Time{}) {
		must(t, err)
		for i := range int(rec.NumRows()) {
			text := func(at int) string { return rec.Column(at).(*array.String).Value(i) }
			weight := rec.Column(column.ReportWeight).(*array.Float64).Value(i)
			units := 1.0
			if n := rec.Column(column.ReportUnits).(*array.Int64); !n.IsNull(i) {
				units = float64(n.Value(i))
			}
			total += weight * units * rec.Column(column.ReportScore).(*array.Float64).Value(i)
			stratum, cluster := text(column.ReportStratum), text(column.ReportCluster)
			if cluster == attr.Missing {
				cluster = text(column.ReportDevice)
			}
			if clusters[stratum] == nil {
				clusters[stratum] = map[string]int64{}
			}
			clusters[stratum][cluster]++
			numbers[stratum] = rec.Column(column.ReportStratumClusters).(*array.Int64).Value(i)
			if got := rec.Column(column.ReportStratumPopulation).(*array.Int64).Value(i); got < 100 {
				t.Errorf("a population of %d", got)
			}
		}
	}
	if math.Abs(total-want.Value) > 1e-9*want.Value {
		t.Errorf("the weights give a total of %.12g, the estimate is %.12g", total, want.Value)
	}
	for _, m := range merged {
		responding := 0
		for _, c := range m.Due {
			if c.Responses > 0 {
				responding++
			}
		}
		if len(clusters[m.Stratum]) != responding || numbers[m.Stratum] != m.Clusters {
			t.Errorf("stratum %s: %d clusters with a report of %d, want %d of %d",
				m.Stratum, len(clusters[m.Stratum]), numbers[m.Stratum], responding, m.Clusters)
		}
	}
	if len(clusters) != len(merged) {
		t.Errorf("%d strata in the export, want %d", len(clusters), len(merged))
	}
}

// Clusters of one name in strata that are estimated as one keep two names, whatever the names hold.
func TestClusterLabelsStayApart(t *testing.T) {
	seen := map[string]string{}
	a := answer{merged: true}
	for _, stratum := range []string{"a", "a/", "a/b", `a\`, `a\/b`, ""} {
		for _, cluster := range []string{"c", "/c", "b/c", `\/c`, "c/"} {
			label, from := a.label(stratum, cluster), fmt.Sprintf("%q of %q", cluster, stratum)
			if before, twice := seen[label]; twice {
				t.Errorf("%s and %s are both %q", before, from, label)
			}
			seen[label] = from
		}
	}
	if got := a.label("asia", "house 1"); got != "asia/house 1" {
		t.Errorf("label %q", got)
	}
	if got := a.label("asia", attr.Missing); got != attr.Missing {
		t.Errorf("a device without a cluster is named %q", got)
	}
	if got := (answer{}).label("asia", "house 1"); strings.Contains(got, "asia") {
		t.Errorf("a stratum on its own names its clusters %q", got)
	}
}
