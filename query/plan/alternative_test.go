package plan_test

import (
	"fmt"
	"math"
	"testing"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
	"github.com/quadrat-dev/quadrat/query/plan"
)

func alternative(t *testing.T, text string) (*quadratv1.Plan, *quadratv1.Alternative) {
	t.Helper()
	rev, err := plan.Build(prepared(t, text, nil), fleet("asia", "air", 12000), plan.Options{Ref: "k7f3q2", Revision: 1})
	if err != nil {
		t.Fatal(err)
	}
	return rev.GetPlan(), rev.GetPlan().GetAlternative()
}

// Closed forms, beside which the planner's stand: Warner's noise is e^ε/(e^ε−1)² a report (Warner 1965); every device
// splitting leaves no sampling error, and one in twenty taking turns leaves 19/20 of p(1−p).
func TestAlternativeIsTheClosedForm(t *testing.T) {
	noise := func(epsilon float64) float64 { return math.Exp(epsilon) / math.Pow(math.Exp(epsilon)-1, 2) }
	const n = 12000
	splitting, rotating := noise(0.05)/n, (noise(1)+0.95*0.25)/(n/20)
	for rotation, want := range map[string]float64{"ROTATING": splitting / rotating, "FIXED": rotating / splitting} {
		p, a := alternative(t, "SELECT proportion(x > 1) FROM s.x SAMPLE ALL "+rotation+" WINDOW 3m PRIVACY LOCAL EPSILON 1 PER 1h")
		s := a.GetStatistics()[0]
		if got := s.GetVarianceRatio(); math.Abs(got/want-1) > 1e-4 {
			t.Errorf("%s: %v times the variance, want %v", rotation, got, want)
		}
		// The margins differ by the variances and by t at 599 and at 11,999 degrees of freedom, 0.2 % apart.
		margins := s.GetMargin() / p.GetStatistics()[0].GetMargin()
		if math.Abs(margins/math.Sqrt(want)-1) > 0.003 {
			t.Errorf("%s: margins %v apart, want %v", rotation, margins, math.Sqrt(want))
		}
	}
}

// Each way shows the other one: what EXPLAIN says of splitting is what a plan that splits says of itself, and the other way
// round.
func TestAlternativeIsThePlanOfTheOtherWay(t *testing.T) {
	for _, text := range []string{
		" WINDOW 15m PRIVACY LOCAL EPSILON 8 PER 1h BETWEEN 10 AND 40",
		" WINDOW 3m PRIVACY LOCAL EPSILON 1 PER 1h BETWEEN 10 AND 40",
	} {
		const question = "SELECT mean(x), total(x), proportion(x > 20), histogram(x, 8), median(x), ratio(x, max(x)) FROM s.x SAMPLE ALL "
		rotating, split := alternative(t, question+"ROTATING"+text)
		fixed, turns := alternative(t, question+"FIXED"+text)
		same(t, fixed, split)
		same(t, rotating, turns)
		for i, s := range split.GetStatistics() {
			if product := s.GetVarianceRatio() * turns.GetStatistics()[i].GetVarianceRatio(); math.Abs(product-1) > 1e-9 {
				t.Errorf("%s: the two ratios multiply to %v", s.GetName(), product)
			}
		}
	}
}

func same(t *testing.T, p *quadratv1.Plan, a *quadratv1.Alternative) {
	t.Helper()
	if p.GetRotation() != a.GetRotation() || p.GetPanel() != a.GetPanel() || p.GetPrivacy().GetEpsilonPerReport() != a.GetEpsilonPerReport() {
		t.Errorf("%v beside %v", a, p)
	}
	for i, s := range p.GetStatistics() {
		o := a.GetStatistics()[i]
		if s.GetName() != o.GetName() || s.GetMechanism() != o.GetMechanism() || (s.Margin == nil) != (o.Margin == nil) || math.Abs(s.GetMargin()-o.GetMargin()) > 1e-9 {
			t.Errorf("%v beside %v", o, s)
		}
	}
}

func TestAlternativeIsOnlyWhereThereAreTwoWays(t *testing.T) {
	for _, text := range []string{
		"SAMPLE ALL ROTATING WINDOW 1m PRIVACY NONE BETWEEN 10 AND 40",
		"SAMPLE ALL ROTATING WINDOW 1h PRIVACY LOCAL EPSILON 1 PER 1h BETWEEN 10 AND 40",
		"SAMPLE ALL FIXED WINDOW 1h PRIVACY LOCAL EPSILON 1 PER 1h BETWEEN 10 AND 40",
		"SAMPLE ALL FIXED WINDOW 30m PRIVACY LOCAL EPSILON 20 PER 1h BETWEEN 10 AND 40", // ten for each of two is best
	} {
		if _, a := alternative(t, "SELECT mean(x) FROM s.x "+text); a != nil {
			t.Errorf("%s: %v", text, a)
		}
	}
}

// Of all numbers of reports per period that divide its windows the plan has the one of least variance, by Warner's closed form.
func TestLapHasTheLeastVariance(t *testing.T) {
	for _, windows := range []int{2, 4, 12, 20, 60} {
		for _, epsilon := range []float64{0.5, 1, 2, 3, 4, 6, 8, 12, 20} {
			best, least := 0, math.Inf(1)
			for m := 1; m <= windows; m++ {
				if windows%m != 0 {
					continue
				}
				e := epsilon / float64(m)
				noise := math.Exp(e) / math.Pow(math.Exp(e)-1, 2)
				if v := ((1-float64(m)/float64(windows))*0.25 + noise) / float64(m); v < least {
					best, least = m, v
				}
			}
			p, _ := alternative(t, fmt.Sprintf("SELECT proportion(x > 1) FROM s.x SAMPLE ALL WINDOW %dm GRACE 5s PRIVACY LOCAL EPSILON %g PER 1h", 60/windows, epsilon))
			if got := windows / int(p.GetLapWindows()); got != best {
				t.Errorf("epsilon %g over %d windows: %d reports, %d are best", epsilon, windows, got, best)
			}
		}
	}
}
