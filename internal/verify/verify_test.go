package verify_test

import (
	"context"
	"errors"
	"testing"

	"github.com/quadrat-dev/quadrat/internal/verify"
)

// TestRun makes all checks on small samples: a correct system passes, and every layer is looked at.
func TestRun(t *testing.T) {
	layers := map[verify.Layer]int{}
	config := verify.Config{Dir: t.TempDir(), Draws: 40_000, Devices: 1000, Windows: 3, Seed: 1}
	sum, err := verify.Run(t.Context(), config, func(c verify.Check) error {
		layers[c.Layer]++
		if c.Verdict != verify.Pass {
			t.Errorf("%+v", c)
		}
		return nil
	})
	if err != nil || sum.Failed != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	for _, layer := range []verify.Layer{verify.Certificate, verify.Distribution, verify.LowerBound, verify.Control, verify.EndToEnd} {
		if layers[layer] < 3 {
			t.Errorf("%d checks of the layer %s", layers[layer], layer)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	nobody := func(verify.Check) error { return nil }
	for _, c := range []verify.Config{
		{}, {Dir: "x", Draws: 10}, {Dir: "x", Devices: 1}, {Dir: "x", Windows: -1},
	} {
		if _, err := verify.Run(t.Context(), c, nobody); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

// TestRunStops ends the run before and in the midst of a sample that would take hours.
func TestRunStops(t *testing.T) {
	nobody := func(verify.Check) error { return nil }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := verify.Run(ctx, verify.Config{Dir: t.TempDir()}, nobody); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	config := verify.Config{Dir: t.TempDir(), Draws: 1 << 28, Watch: func(layer verify.Layer, _ string) {
		if layer == verify.Distribution {
			cancel()
		}
	}}
	if _, err := verify.Run(ctx, config, nobody); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled in a sample: %v", err)
	}
}
