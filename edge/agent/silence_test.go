package agent_test

import (
	"testing"

	"github.com/quadrat-dev/quadrat/edge/agent"
	"github.com/quadrat-dev/quadrat/privacy"
)

// Whether a device reports tells nothing about its reading: at zero, at and beyond the bounds, and on both sides of a
// threshold it reports alike. A device that is silent at some reading gives that reading away, whatever its ε.
func TestSilenceTellsNothingAboutTheReading(t *testing.T) {
	for _, value := range []privacy.Micro{-90_000_000, -1, 0, 1, 10_000_000, 20_000_000, 20_000_001, 40_000_000, 90_000_000} {
		for statistic := range uint32(2) {
			cfg, p := config(t, "pi"), everyone()
			cfg.Readings = &reading{value: value}
			a := start(t, cfg, p)
			if _, outcome, err := a.Report(nil, p.Ref, due(t, a, p.Ref, statistic)); outcome != agent.Reported || err != nil {
				t.Errorf("statistic %d: the device is silent at one of the readings: %v, %v", statistic, outcome, err)
			}
		}
	}
}
