package service_test

import (
	"net/http"
	"testing"
	"time"
)

// TestEpsilonToDate follows what a plan says that devices can have spent: nothing before its first window, never less than before,
// and the same after a restart.
func TestEpsilonToDate(t *testing.T) {
	b := openBroker(t, t.TempDir())
	s := stackOn(t, b, nil)
	told := func(plan any) float64 {
		t.Helper()
		value, ok := plan.(map[string]any)["plan"].(map[string]any)["privacy"].(map[string]any)["epsilon_to_date"].(float64)
		if !ok {
			t.Fatalf("no epsilon_to_date in %v", plan)
		}
		return value
	}
	want := func(when string, want float64) {
		t.Helper()
		if got := told(s.object(http.StatusOK, http.MethodGet, "/kappa/indoor/plan", "")); got != want {
			t.Errorf("%s: %g, want %g", when, got, want)
		}
	}
	if got := told(s.object(http.StatusCreated, http.MethodPut, "/kappa?e=1", indoor)); got != 0 {
		t.Errorf("deployed: %g", got)
	}
	// A window is a minute, a period an hour; the first window is that of 10:01.
	want("before the first window", 0)
	s.clock.Set(start.Add(70 * time.Second))
	want("in the first window", 1)
	s.clock.Set(start.Add(61*time.Minute + 10*time.Second))
	want("in the second hour", 2)
	if got := told(s.object(http.StatusOK, http.MethodPost, "/kappa/indoor", `{"paused":true}`)); got != 2 {
		t.Errorf("paused: %g", got)
	}
	s.clock.Set(start.Add(121*time.Minute + 10*time.Second))
	want("a device that has not heard of the pause goes on", 3)
	s.object(http.StatusOK, http.MethodPost, "/kappa/indoor", `{"paused":false,"params":{"e":4}}`)
	want("raised, from the next window on", 3)
	s.clock.Set(start.Add(122*time.Minute + 10*time.Second))
	want("raised", 7)
	s.object(http.StatusOK, http.MethodPost, "/kappa/indoor", `{"params":{"e":0.5}}`)
	s.clock.Set(start.Add(182*time.Minute + 10*time.Second))
	want("lowered: a device that has not heard of it goes on", 11)
	s.stop()
	s = stackOn(t, b, nil)
	s.clock.Set(start.Add(182*time.Minute + 10*time.Second))
	want("after a restart", 11)
}
