package survey

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestShareCoverageOfManyCategories counts how often the interval of one category's share holds the truth when there are so
// many that the share is small beside its error: 1,024 by local hashing (g = 4 and 56), 200 by subset selection, and a
// category that nobody has. The reports that support one category are coins with p or q, whatever the mechanism, so nothing
// else needs to be drawn. 4,000 repetitions have a standard error of 0.345 points, so a true 95 % falls below 93.3 % or rises
// above 96.7 % with a chance of 1e-6; below, 94 to 95 % are as likely as 95.
func TestShareCoverageOfManyCategories(t *testing.T) {
	const repetitions, population = 4000, 6000
	for _, how := range []struct {
		name string
		pure Pure
	}{
		{"olh of 1024, ε = 1", Pure{Truth: 0.474905, Other: 0.249758}},
		{"olh of 1024, ε = 4", Pure{Truth: 0.498, Other: 0.0175}},
		{"subset of 200, ε = 4", Pure{Truth: 0.5270, Other: 0.017452}},
	} {
		for _, c := range []struct {
			share float64
			n     int
		}{{0, 600}, {0.001, 300}, {0.001, 2400}, {0.02, 600}, {0.3, 600}} {
			t.Run(fmt.Sprintf("%s, share %g, n %d", how.name, c.share, c.n), func(t *testing.T) {
				t.Parallel()
				source := rand.New(rand.NewPCG(uint64(c.n), 19))
				have := [2]int{int(c.share * population), 0} // all in one of two strata, half of the population each
				truth, held := float64(have[0])/population, 0
				for range repetitions {
					strata := make([]Sample, 2)
					for h := range strata {
						state := hits(how.pure, have[h], population/2, c.n/2, source)
						strata[h] = Sample{
							Population: population / 2, Panel: int64(c.n / 2), Responses: int64(c.n / 2), Domain: state.Bin(how.pure, 0),
						}
					}
					e, err := Share(strata, how.pure, 0.95)
					if err != nil {
						t.Fatal(err)
					}
					if e.Low <= truth && truth <= e.High {
						held++
					}
				}
				rate := 100 * float64(held) / repetitions
				t.Logf("%.1f %%", rate)
				if rate < 93.3 || rate > 96.7 {
					t.Errorf("%.1f %% of the intervals hold the truth", rate)
				}
			})
		}
	}
}

// hits draws a simple random sample from a stratum and the reports of it that support one category.
func hits(how Pure, have, size, n int, source *rand.Rand) Support {
	state := Support{Count: int64(n), Hits: []int64{0}}
	for ; n > 0; n, size = n-1, size-1 {
		rate := how.Other
		if source.IntN(size) < have {
			have--
			rate = how.Truth
		}
		if source.Float64() < rate {
			state.Hits[0]++
		}
	}
	return state
}

func TestPureRefuses(t *testing.T) {
	for _, p := range []Pure{{}, {Truth: 0.5, Other: 0.5}, {Truth: 1.1, Other: 0.5}, {Truth: 0.5, Other: -0.1}, {Truth: 0.2, Other: 0.3}} {
		if CodeOf(p.Check()) != Invalid {
			t.Errorf("%+v is taken", p)
		}
	}
	if err := (Pure{Truth: 1}).Check(); err != nil {
		t.Error(err)
	}
}

// TestEachIsTheWord counts sets as words and as lists: the states are one.
func TestEachIsTheWord(t *testing.T) {
	how, source := subsetOf(20, 1), rand.New(rand.NewPCG(3, 2))
	var words, lists Support
	for range 300 {
		set := how.draw(source.IntN(20), source)
		words.Add(set, 20, false)
		var list []uint32
		for v := range uint32(20) {
			if set>>v&1 == 1 {
				list = append(list, v)
			}
		}
		lists.AddEach(list, 20)
	}
	for v := range words.Hits {
		if words.Hits[v] != lists.Hits[v] || words.Bin(how.Pure(), v) != lists.Bin(how.Pure(), v) {
			t.Fatalf("category %d: %d and %d", v, words.Hits[v], lists.Hits[v])
		}
	}
	if words.Count != lists.Count || !lists.Valid() {
		t.Errorf("counts %d and %d", words.Count, lists.Count)
	}
	if bad := (Support{Count: 1, Hits: make([]int64, SupportMost+1)}); bad.Valid() {
		t.Error("a state of too many categories is taken")
	}
}

// TestShareIsWilsons: of one stratum of a large population the interval is Wilson's (1927) for the rate of support, on the
// scale of shares, but for n − 1 in place of n.
func TestShareIsWilsons(t *testing.T) {
	how := Pure{Truth: 0.498, Other: 0.0175}
	const n = 2000
	for _, c := range []int64{20, 35, 60, 500, 1000} {
		state := Support{Count: n, Hits: []int64{c}}
		e, err := Share([]Sample{{Population: 1e12, Panel: n, Responses: n, Domain: state.Bin(how, 0)}}, how, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		z := quantileT(0.95, n-1)
		rate := float64(c) / n
		centre := (rate + z*z/2/n) / (1 + z*z/n)
		half := z / (1 + z*z/n) * math.Sqrt(rate*(1-rate)/n+z*z/4/n/n)
		low, high := (centre-half-how.Other)/(how.Truth-how.Other), (centre+half-how.Other)/(how.Truth-how.Other)
		if e.Value >= 0 {
			low = max(low, 0)
		}
		if math.Abs(e.Low-low) > 2e-3*(high-low) || math.Abs(e.High-high) > 2e-3*(high-low) {
			t.Errorf("%d of %d support it: [%g, %g], Wilson's is [%g, %g]", c, n, e.Low, e.High, low, high)
		}
	}
	if _, err := Share(nil, Pure{}, 0.95); CodeOf(err) != Invalid {
		t.Errorf("no probabilities: %v", err)
	}
}
