package audit_test

import (
	"errors"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

func overCategories(t *testing.T, name string, e privacy.Epsilon, k uint32) privacy.Categorical {
	t.Helper()
	m, err := mechanisms.CategoricalByName(name, e, k)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// forger claims the probabilities of one mechanism and reports from another.
type forger struct {
	privacy.Categorical

	drawn privacy.Categorical
	bend  func(category uint32) uint32
}

func (f forger) Randomise(category uint32, src privacy.Source, buf []byte) ([]byte, error) {
	return f.drawn.Randomise(f.bend(category), src, buf)
}

// TestAuditSeesWrongReports needs no luck: each of these is many standard errors
// away at 100,000 draws.
func TestAuditSeesWrongReports(t *testing.T) {
	for _, name := range mechanisms.CategoricalNames() {
		m := overCategories(t, name, 1_000_000, 8)
		for what, wrong := range map[string]forger{
			"ε off by a twentieth":   {m, overCategories(t, name, 1_050_000, 8), same},
			"the category before it": {m, m, func(category uint32) uint32 { return category - 1 }},
		} {
			r, err := audit.SampleCategories(wrong, 3, draws/2, privacy.NewSeeded(5))
			if err != nil {
				t.Fatal(err)
			}
			if r.Fit.PValue > falseAlarm && r.Support.PValue > falseAlarm {
				t.Errorf("%s, %s: fits with p=%v, supports with p=%v", name, what, r.Fit.PValue, r.Support.PValue)
			}
		}
		if _, err := audit.SampleCategories(m, 3, 10, privacy.NewSecure(nil)); !errors.Is(err, privacy.ErrEntropy) {
			t.Errorf("%s: no entropy: %v", name, err)
		}
	}
}
