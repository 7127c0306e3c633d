package confseq

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

// oracleCompared is how many numbers of the oracle must be reproduced: all of them.
const oracleCompared = 29

type oracleArgs struct {
	V, Alpha, S, C, G, H, P, T, A, X, N, Eta float64
	VOpt                                     float64 `json:"v_opt"`
	AlphaOpt                                 float64 `json:"alpha_opt"`
	VMin                                     float64 `json:"v_min"`
	TMin                                     float64 `json:"t_min"`
	TOpt                                     float64 `json:"t_opt"`
}

func must[T any](t *testing.T) func(T, error) T {
	return func(x T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

// answer computes what the entry asks for; the name says which boundary.
func answer(t *testing.T, id string, a oracleArgs) []float64 {
	const level = 0.05 // where the table doesn't say otherwise, the tuning is for 5 %
	normal, exponential := must[Normal](t), must[GammaExponential](t)
	poisson, beta := must[GammaPoisson](t), must[BetaBinomial](t)
	switch id {
	case "best_rho_two_sided":
		return []float64{Rho(a.V, a.Alpha)}
	case "normal_log_mixture_two_sided":
		return []float64{normal(NewNormal(a.VOpt, level, TwoSided)).LogMixture(a.S, a.V)}
	case "normal_mixture_bound_two_sided":
		return []float64{normal(NewNormal(a.VOpt, level, TwoSided)).Bound(a.V, a.Alpha)}
	case "normal_log_mixture_one_sided":
		return []float64{normal(NewNormal(a.VOpt, level, OneSided)).LogMixture(a.S, a.V)}
	case "normal_mixture_bound_one_sided":
		return []float64{normal(NewNormal(a.VOpt, level, OneSided)).Bound(a.V, a.Alpha)}
	case "gamma_exponential_log_mixture":
		return []float64{exponential(NewGammaExponential(a.VOpt, level, a.C)).LogMixture(a.S, a.V)}
	case "gamma_exponential_mixture_bound":
		return []float64{exponential(NewGammaExponential(a.VOpt, level, a.C)).Bound(a.V, a.Alpha)}
	case "gamma_poisson_log_mixture":
		return []float64{poisson(NewGammaPoisson(a.VOpt, level, a.C)).LogMixture(a.S, a.V)}
	case "gamma_poisson_mixture_bound":
		return []float64{poisson(NewGammaPoisson(a.VOpt, level, a.C)).Bound(a.V, a.Alpha)}
	case "beta_binomial_log_mixture_two_sided":
		return []float64{beta(NewBetaBinomial(a.VOpt, level, a.G, a.H, TwoSided)).LogMixture(a.S, a.V)}
	case "beta_binomial_mixture_bound_two_sided":
		return []float64{beta(NewBetaBinomial(a.VOpt, level, a.G, a.H, TwoSided)).Bound(a.V, a.Alpha)}
	case "beta_binomial_log_mixture_one_sided":
		return []float64{beta(NewBetaBinomial(a.VOpt, level, a.G, a.H, OneSided)).LogMixture(a.S, a.V)}
	case "beta_binomial_mixture_bound_one_sided":
		return []float64{beta(NewBetaBinomial(a.VOpt, level, a.G, a.H, OneSided)).Bound(a.V, a.Alpha)}
	case "poly_stitching_bound", "poly_stitching_bound_negative_c":
		return []float64{PolyStitching{VMin: a.VMin, C: a.C, S: a.S, Eta: a.Eta}.Bound(a.V, a.Alpha)}
	case "empirical_process_lil_bound":
		return []float64{must[EmpiricalProcess](t)(NewEmpiricalProcess(a.Alpha, a.TMin, a.A)).Bound(a.T)}
	case "double_stitching_bound_p50", "double_stitching_bound_p90", "double_stitching_bound_p10":
		return []float64{DoubleStitching{TimeBest: a.TOpt, Delta: 0.5, S: 1.4, Eta: 2}.Bound(a.P, a.T, a.Alpha)}
	case "bernoulli_ci_700_1000", "bernoulli_ci_15_50", "bernoulli_ci_5_50", "bernoulli_ci_1_50", "bernoulli_ci_0_1":
		low, high, err := Bits(int64(a.X), int64(a.N), 1-a.Alpha, a.TOpt)
		if err != nil {
			t.Fatal(err)
		}
		return []float64{low, high}
	}
	t.Errorf("no boundary for %s", id)
	return nil
}

func TestOracle(t *testing.T) {
	text, err := os.ReadFile("testdata/confseq_oracle.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Meta    struct{ Tolerance float64 }
		Results []struct {
			ID    string
			Args  oracleArgs
			Value json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, r := range file.Results {
		var want []float64
		if json.Unmarshal(r.Value, &want) != nil {
			want = make([]float64, 1)
			if err := json.Unmarshal(r.Value, &want[0]); err != nil {
				t.Fatal(err)
			}
		}
		for i, got := range answer(t, r.ID, r.Args) {
			compared++
			if !(math.Abs(got-want[i]) <= file.Meta.Tolerance) {
				t.Errorf("%s[%d]: %.9g, want %.9g", r.ID, i, got, want[i])
			}
		}
	}
	t.Logf("compared %d numbers with confseq", compared)
	if compared < oracleCompared {
		t.Errorf("compared %d numbers, want at least %d", compared, oracleCompared)
	}
}
