package coordinate

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/quadrat-dev/quadrat/survey"
)

// driftingClusters is two strata of clusters whose devices' values hang together and drift a little.
func driftingClusters(r *rand.Rand) [][][]unit {
	var strata [][][]unit
	for h, count := range []int{150, 100} {
		clusters := make([][]unit, count)
		for i := range clusters {
			level, move := 20+float64(h)+2*r.NormFloat64(), 0.4+0.4*r.NormFloat64()
			for range 3 + r.IntN(5) {
				y := level + 1.5*r.NormFloat64()
				clusters[i] = append(clusters[i], unit{before: y, now: y + move + 0.3*r.NormFloat64(), inside: r.Float64() < 0.5})
			}
		}
		strata = append(strata, clusters)
	}
	return strata
}

// clustersOf asks the first n clusters of each stratum in either window; a share of their devices is silent. With apart the second
// window asks others.
func clustersOf(r *rand.Rand, strata [][][]unit, n int, sigma, silent float64, domain, apart bool) (first, second []survey.ClusterSample, both [][]Same) {
	for _, clusters := range strata {
		r.Shuffle(len(clusters), func(i, j int) { clusters[i], clusters[j] = clusters[j], clusters[i] })
		a := survey.ClusterSample{Clusters: int64(len(clusters))}
		for _, units := range clusters {
			a.Population += int64(len(units))
		}
		b, same := a, []Same(nil)
		say := func(units []unit, now bool) survey.Cluster {
			c := survey.Cluster{Size: int64(len(units))}
			for _, u := range units {
				y := u.before
				if now {
					y = u.now
				}
				y += sigma * r.NormFloat64()
				if r.Float64() < silent {
					continue
				}
				c.Responses++
				if u.inside || !domain {
					c.Domain.Add(y, sigma*sigma)
				}
			}
			return c
		}
		for i := range n {
			a.Due = append(a.Due, say(clusters[i], false))
			if apart {
				b.Due = append(b.Due, say(clusters[n+i], true))
				continue
			}
			b.Due = append(b.Due, say(clusters[i], true))
			same = append(same, Same{First: i, Second: i})
		}
		first, second, both = append(first, a), append(second, b), append(both, same)
	}
	return first, second, both
}

// The interval covers as it should, and its variance is right on average where nobody is silent, never too small where some are.
func TestBetweenClustersCovers(t *testing.T) {
	const runs = 2500
	for _, c := range []struct {
		name          string
		scale         Scale
		domain        bool
		sigma, silent float64
	}{
		{"mean", Mean, false, 0, 0}, {"noisy mean", Mean, false, 2, 0}, {"noisy domain mean, silence", Mean, true, 1, 0.1}, {"total", Total, false, 1, 0},
	} {
		r := rand.New(rand.NewPCG(11, 4))
		strata := driftingClusters(r)
		var flat [][]unit
		for _, clusters := range strata {
			flat = append(flat, nil)
			for _, units := range clusters {
				flat[len(flat)-1] = append(flat[len(flat)-1], units...)
			}
		}
		truth := truthOf(flat, c.scale, c.domain)
		covered, squares, estimated := 0, 0.0, 0.0
		for range runs {
			first, second, both := clustersOf(r, strata, 40, c.sigma, c.silent, c.domain, false)
			got, err := BetweenClusters(c.scale, first, second, both, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			if got.Low <= truth && truth <= got.High {
				covered++
			}
			squares += (got.Value - truth) * (got.Value - truth) / runs
			estimated += got.StdError * got.StdError / runs
		}
		share, ratio := 100*float64(covered)/runs, estimated/squares
		t.Logf("%s: coverage %.2f %%, variance %.4g, estimate %.4g", c.name, share, squares, estimated)
		if share < 93.5 || share > 96.5 {
			t.Errorf("%s: coverage %.2f %%", c.name, share)
		}
		if slack := limit(4)*math.Sqrt(2./runs) + 0.05; math.Abs(ratio-1) > slack {
			t.Errorf("%s: variance %g, estimate %g", c.name, squares, estimated)
		}
	}
}

func TestBetweenClustersRefusesAndGains(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 4))
	strata := driftingClusters(r)
	first, second, both := clustersOf(r, strata, 40, 0, 0, false, false)
	same, err := BetweenClusters(Mean, first, second, both, 0.95)
	if err != nil || same.Common != 80 {
		t.Fatalf("%+v, %v", same, err)
	}
	first, second, none := clustersOf(r, strata, 40, 0, 0, false, true)
	if apart, err := BetweenClusters(Mean, first, second, none, 0.95); err != nil || same.StdError > 0.4*apart.StdError {
		t.Errorf("standard error %g of the same clusters, %g of others: %v", same.StdError, apart.StdError, err)
	}
	both[0][3].Second = 40
	for name, bad := range map[string]func() (Change, error){
		"scale":  func() (Change, error) { return BetweenClusters(0, first, second, none, 0.95) },
		"length": func() (Change, error) { return BetweenClusters(Mean, first, second, none[1:], 0.95) },
		"place":  func() (Change, error) { return BetweenClusters(Mean, first, second, both, 0.95) },
		"first": func() (Change, error) {
			first[0].Due[0].Responses = 1000
			return BetweenClusters(Mean, first, second, none, 0.95)
		},
	} {
		if got, err := bad(); survey.CodeOf(err) != survey.Invalid {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		first[0].Due[0].Responses = first[0].Due[0].Domain.Count
	}
}
