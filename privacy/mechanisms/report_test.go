package mechanisms_test

import (
	"errors"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

// TestForReportIsTheBestThatTravels holds the choice against every mechanism whose report fits, on a grid, by the totals in
// floating point: nothing that fits has a smaller one.
func TestForReportIsTheBestThatTravels(t *testing.T) {
	for _, e := range append([]float64{6, 10, 20}, grid...) {
		epsilon, err := privacy.NewEpsilon(e)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range []uint32{2, 3, 64, 65, 100, 200, 513, 1024} {
			chosen, err := mechanisms.ForReport(epsilon, k)
			if err != nil || chosen.Bytes() > mechanisms.ReportBytes || k <= 64 && chosen.Name() != "subset" {
				t.Fatalf("ε=%v, k=%d: %v, %v", e, k, chosen, err)
			}
			for _, name := range mechanisms.CategoricalNames() {
				other, err := mechanisms.InReport(name, mechanisms.Price{Report: epsilon}, k)
				if err != nil {
					continue
				}
				if have, least := chosen.Rates().TotalVariance(k), other.Rates().TotalVariance(k); least < have*(1-1e-9) {
					t.Errorf("ε=%v, k=%d: %s with %v, %s would have %v", e, k, chosen.Name(), have, name, least)
				}
			}
		}
	}
}

// TestForReportIsNearTheOptimum bounds what eight bytes cost: beyond 64 categories the total is within 5 % of subset
// selection's, whose report may be of any length, and at 1024 categories and ε of 1 within half a percent.
func TestForReportIsNearTheOptimum(t *testing.T) {
	for _, e := range grid {
		for _, k := range []uint32{65, 128, 256, 512, 1024} {
			best := categorical(t, "subset", e, k).Rates().TotalVariance(k)
			epsilon := categorical(t, "subset", e, k).Epsilon()
			m, err := mechanisms.ForReport(epsilon, k)
			if err != nil {
				t.Fatal(err)
			}
			limit := 1.05
			if e == 1 && k == 1024 {
				limit = 1.005
			}
			if got := m.Rates().TotalVariance(k); got > limit*best {
				t.Errorf("ε=%v, k=%d: %s has %v, the optimum is %v", e, k, m.Name(), got, best)
			}
		}
	}
}

func TestForReportRefuses(t *testing.T) {
	for _, k := range []uint32{0, 1, mechanisms.ReportCategories + 1} {
		if m, err := mechanisms.ForReport(1_000_000, k); !errors.Is(err, privacy.ErrCategories) || m != nil {
			t.Errorf("%d categories: %v", k, err)
		}
		if m, err := mechanisms.InReport("olh", mechanisms.Price{Report: 1_000_000}, k); !errors.Is(err, privacy.ErrCategories) || m != nil {
			t.Errorf("%d categories by name: %v", k, err)
		}
	}
	if m, err := mechanisms.ForReport(0, 100); !errors.Is(err, privacy.ErrEpsilon) || m != nil {
		t.Errorf("no epsilon: %v", err)
	}
	for _, name := range []string{"subset", "oue"} { // 65 categories at ε = 1 take nine bytes
		if m, err := mechanisms.InReport(name, mechanisms.Price{Report: 1_000_000}, 65); !errors.Is(err, privacy.ErrCategories) || m != nil {
			t.Errorf("%s of 65: %v", name, err)
		}
	}
	kept := mechanisms.Price{Report: 1_000_000, Value: 2_000_000}
	if _, err := mechanisms.InReport("memo", kept, 64); err != nil {
		t.Errorf("64 permanent answers: %v", err)
	}
	if m, err := mechanisms.InReport("memo", kept, 65); !errors.Is(err, privacy.ErrCategories) || m != nil {
		t.Errorf("65 permanent answers: %v", err)
	}
}
