package verify_test

import (
	"testing"

	"github.com/quadrat-dev/quadrat/internal/verify"
)

func TestRun(t *testing.T) {
	layers := map[verify.Layer]int{}
	sum, err := verify.Run(t.Context(), verify.Config{Dir: t.TempDir(), Draws: 60_000, Devices: 400, Windows: 3, Seed: 1}, func(c verify.Check) error {
		layers[c.Layer]++
		if c.Verdict != verify.Pass {
			t.Errorf("%+v", c)
		}
		t.Logf("%+v", c)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", sum)
}
