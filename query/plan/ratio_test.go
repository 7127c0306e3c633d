package plan_test

import (
	"math"
	"testing"

	"gonum.org/v1/gonum/stat/distuv"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
)

// TestRatioMargin sets the predicted margin against survey.Ratio's formula, written out for one stratum: with both means in
// the middle m, t·√(2(S² + σ²)/n)/m, without finite-population correction.
func TestRatioMargin(t *testing.T) {
	for _, privacy := range []string{"LOCAL EPSILON 2 PER 4m", "NONE"} {
		text := "SELECT ratio(x, max(y)) AS r FROM a.q SAMPLE 90 DEVICES WINDOW 1m PRIVACY " + privacy + " BETWEEN 10 AND 18"
		rev, err := plan.Build(prepared(t, text, nil), fleet("asia", "", 400), plan.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s := rev.GetPlan().GetStatistics()
		if len(s) != 1 || s[0].GetName() != "r" || s[0].GetPanel() != 90 {
			t.Fatalf("statistics %v", s)
		}
		quantile := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: 44}.Quantile(0.975)
		want := quantile * math.Sqrt(2*(1+s[0].GetNoiseStdDev()*s[0].GetNoiseStdDev())/45) / 14
		if math.Abs(s[0].GetMargin()/want-1) > 1e-9 {
			t.Errorf("%s: margin %g, want %g", privacy, s[0].GetMargin(), want)
		}
	}
}

// TestRatioParts holds what devices and engine get: both parts, each with its name, one behind the other, among the others.
func TestRatioParts(t *testing.T) {
	text := "SELECT mean(x), ratio(x, max(y)), count(y > 12) FROM a.q WINDOW 1m PRIVACY LOCAL EPSILON 2 PER 4m BETWEEN 10 AND 18"
	rev, err := plan.Build(prepared(t, text, nil), fleet("asia", "", 400), plan.Options{})
	if err != nil {
		t.Fatal(err)
	}
	got := rev.GetDevice().GetStatistics()
	want := []*quadratv1.StatisticPlan{
		{Name: "mean(x)", Kind: "mean", Reading: "x", Summary: "avg"},
		{Name: "ratio(x, max(y)) numerator", Kind: "ratio", Part: "numerator", Reading: "x", Summary: "avg"},
		{Name: "ratio(x, max(y)) denominator", Kind: "ratio", Part: "denominator", Reading: "y", Summary: "max"},
		{Name: "count(y > 12)", Kind: "count", Reading: "y", Summary: "avg"},
	}
	if len(got) != len(want) || len(rev.GetPlan().GetStatistics()) != 3 {
		t.Fatalf("%v", got)
	}
	for i, w := range want {
		g := got[i]
		if g.GetName() != w.GetName() || g.GetKind() != w.GetKind() || g.GetPart() != w.GetPart() ||
			g.GetReading() != w.GetReading() || g.GetSummary() != w.GetSummary() {
			t.Errorf("statistic %d is %v, want %v", i, g, w)
		}
		if bounded := w.GetKind() != "count"; bounded != (g.GetHiMicro() == 18e6) {
			t.Errorf("statistic %d has bounds to %d", i, g.GetHiMicro())
		}
	}
}
