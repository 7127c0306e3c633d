package main

import "testing"

// TestResponseRate: a table never says that all have answered when one has not.
func TestResponseRate(t *testing.T) {
	for rate, want := range map[float64]string{0: "0", 0.5: "0.5", 2.0 / 3: "0.667", 0.9986: "0.999", 2999.0 / 3000: "0.999", 1: "1"} {
		if got := responseRate(rate); got != want {
			t.Errorf("%v is shown as %s, want %s", rate, got, want)
		}
	}
}
