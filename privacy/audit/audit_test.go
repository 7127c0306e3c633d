package audit_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

const (
	draws      = 200_000
	falseAlarm = 1e-6
)

func mechanism(t *testing.T, name string, e privacy.Epsilon) privacy.Mechanism {
	t.Helper()
	m, err := mechanisms.ByName(name, e)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// liar claims the probabilities of one mechanism and draws from another.
type liar struct {
	privacy.Mechanism

	drawn privacy.Mechanism
	bend  func(code uint32) uint32
}

func (l liar) Randomise(input uint32, src privacy.Source) (uint32, error) {
	code, err := l.drawn.Randomise(input, src)
	if err != nil {
		return 0, err
	}
	return l.bend(code), nil
}

func same(code uint32) uint32 { return code }

// TestAuditSeesWrongDraws needs no luck: each of these is many standard errors
// away at 200,000 draws.
func TestAuditSeesWrongDraws(t *testing.T) {
	for name, m := range map[string]privacy.Mechanism{
		"ε off by a twentieth": liar{mechanism(t, "warner", 1_000_000), mechanism(t, "warner", 1_050_000), same},
		"bit inverted":         liar{mechanism(t, "duchi", 1_000_000), mechanism(t, "duchi", 1_000_000), func(code uint32) uint32 { return 1 - code }},
		"window off by 300": liar{mechanism(t, "piecewise", 4_000_000), mechanism(t, "piecewise", 4_000_000), func(code uint32) uint32 {
			return min(code+300, mechanism(t, "piecewise", 4_000_000).Codes()-1)
		}},
		"even cells only": liar{mechanism(t, "piecewise", 16_000_000), mechanism(t, "piecewise", 16_000_000), func(code uint32) uint32 { return code &^ 1 }},
	} {
		r, err := audit.Sample(m, 0, draws, privacy.NewSeeded(5))
		if err != nil {
			t.Fatal(err)
		}
		if r.Fit.PValue > falseAlarm {
			t.Errorf("%s: fits with p=%v", name, r.Fit.PValue)
		}
	}
}

func TestAuditSeesBias(t *testing.T) {
	m := liar{mechanism(t, "duchi", 1_000_000), mechanism(t, "duchi", 1_100_000), same}
	r, err := audit.Sample(m, 0, draws, privacy.NewSeeded(5))
	if err != nil {
		t.Fatal(err)
	}
	if r.Bias.PValue > falseAlarm {
		t.Errorf("a biased mechanism passes with p=%v", r.Bias.PValue)
	}
}

// TestRareLiesAreNoAlarm draws where a lie comes twice in a million reports: one
// lie is many standard errors, and still no evidence.
func TestRareLiesAreNoAlarm(t *testing.T) {
	m := mechanism(t, "warner", 13_000_000)
	lies := 0
	for seed := range uint64(20) {
		r, err := audit.Sample(m, 0, 100_000, privacy.NewSeeded(seed))
		if err != nil {
			t.Fatal(err)
		}
		if r.Bias.Statistic > 1 {
			lies++
		}
		if r.Bias.PValue < falseAlarm || r.Fit.PValue < falseAlarm || math.IsNaN(r.Fit.PValue) {
			t.Errorf("seed %d: %+v", seed, r)
		}
	}
	if lies == 0 {
		t.Error("no seed draws a lie: the test shows nothing")
	}
}

func TestErrorsStopTheAudit(t *testing.T) {
	m := mechanism(t, "warner", 1_000_000)
	if _, err := audit.Sample(m, 0, 10, privacy.NewSecure(nil)); !errors.Is(err, privacy.ErrEntropy) {
		t.Errorf("no entropy: %v", err)
	}
	outside := liar{m, m, func(uint32) uint32 { return 2 }}
	if _, err := audit.Sample(outside, 0, 10, privacy.NewSeeded(1)); !errors.Is(err, privacy.ErrCode) {
		t.Errorf("a code out of range: %v", err)
	}
}

func ExampleSample() {
	m, err := mechanisms.ForMean(1_000_000)
	if err != nil {
		panic(err)
	}
	r, err := audit.Sample(m, 1000, 20_000, privacy.NewSeeded(1))
	if err != nil {
		panic(err)
	}
	fmt.Println(r.Fit.PValue > 1e-6, r.Bias.PValue > 1e-6)
	// Output: true true
}
