package main

import (
	"fmt"
	"io"
	"math"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// printPrivacy says what a kappa takes from a device, in words for an analyst and for a privacy officer; since tells what "to date"
// spans.
func printPrivacy(w io.Writer, p *quadratv1.Privacy, since string) {
	switch p.GetModel() {
	case "local":
		fmt.Fprintf(w, "privacy\tlocal: each %s adds the noise itself; neither the broker nor the engine is trusted with a reading\n", p.GetUnit())
	case "gateway":
		fmt.Fprintln(w, "privacy\tgateway: a unit trusts its own gateway, which adds noise to sums over its units; a device without one adds the noise itself. "+
			"Neither the broker nor the engine is trusted with a reading")
	default:
		fmt.Fprintln(w, "privacy\tnone: devices send what they measure, without noise")
		return
	}
	fmt.Fprintf(w, "  one report\tepsilon %g%s: no two readings differ in the odds of any answer by more than a factor of %s\n",
		p.GetEpsilonPerReport(), deltaText(p), factor(p.GetEpsilonPerReport()))
	if p.GetEpsilonPerValue() > 0 {
		printPerValue(w, p)
	} else {
		ledger := "its own ledger"
		if p.GetModel() == "gateway" {
			ledger = "its own or its gateway's ledger"
		}
		fmt.Fprintf(w, "  one %s in any %s\tepsilon %g at most, which %s enforces: a factor of %s for all its answers together\n",
			p.GetUnit(), p.GetPeriod(), p.GetEpsilonPerPeriod(), ledger, factor(p.GetEpsilonPerPeriod()))
	}
	if p.EpsilonToDate != nil {
		fmt.Fprintf(w, "  one %s to date\tepsilon %g at most, %s\n", p.GetUnit(), p.GetEpsilonToDate(), since)
	}
	printShuffle(w, p.GetShuffle())
}

// printShuffle says what a declared shuffler adds, and on what that rests.
func printShuffle(w io.Writer, s *quadratv1.Shuffle) {
	if s == nil {
		return
	}
	fmt.Fprintf(w, "  one report in a shuffled batch\tepsilon %g, delta %g, among %d reports or more (%s)\n",
		math.Ceil(s.GetEpsilon()*1e3)/1e3, s.GetDelta(), s.GetReports(), s.GetBound())
	fmt.Fprintf(w, "  that assumes\t%s\n", s.GetAssumes())
}

// printPerValue says what permanent answers take.
func printPerValue(w io.Writer, p *quadratv1.Privacy) {
	fmt.Fprintf(w, "  all reports about one category\tepsilon %g together, however many: its own ledger charges a category once, a factor of %s\n",
		p.GetEpsilonPerValue(), factor(p.GetEpsilonPerValue()))
	fmt.Fprintf(w, "  one %s ever\tepsilon %g for each category that it is ever found in, %g at most: a factor of %s for all its answers together\n",
		p.GetUnit(), p.GetEpsilonPerValue(), p.GetEpsilonPerPeriod(), factor(p.GetEpsilonPerPeriod()))
	fmt.Fprintln(w, "  not covered\twhen the category changed, which may show: epsilon is about which one it is")
}

func deltaText(p *quadratv1.Privacy) string {
	switch {
	case p.Delta == nil:
		return ""
	case p.GetDelta() == 0:
		return ", delta 0"
	}
	return fmt.Sprintf(", delta %g", p.GetDelta())
}

// factor is e to the epsilon, rounded up to three digits so that it stays a bound.
func factor(epsilon float64) string {
	f := math.Exp(epsilon)
	if f >= 1e6 {
		return fmt.Sprintf("%.3g", f*1.005)
	}
	unit := math.Pow(10, math.Floor(math.Log10(f))-2)
	return fmt.Sprintf("%.4g", math.Ceil(f/unit)*unit)
}
