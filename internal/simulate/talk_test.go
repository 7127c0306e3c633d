package simulate

import (
	"math"
	"testing"
	"time"
)

// A late answer widens what the rate may be, and never moves it away from the truth.
func TestRatesHoldTheTruth(t *testing.T) {
	begin := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	at := func(ms int) time.Time { return begin.Add(time.Duration(ms) * time.Millisecond) }
	first := meeting{server: at(10), asked: at(0), answered: at(20)}
	for _, c := range []struct {
		later       meeting
		least, most float64
	}{
		{meeting{server: at(410), asked: at(420), answered: at(420)}, 400.0 / 420, 1},
		{meeting{server: at(410), asked: at(320), answered: at(2000)}, 0.2, 400.0 / 300},
		{meeting{server: at(4010), asked: at(400), answered: at(420)}, 4000.0 / 420, 4000.0 / 380},
		{meeting{server: at(15), asked: at(20), answered: at(20)}, 0.25, math.Inf(1)},
	} {
		if least, most := first.rates(c.later); math.Abs(least-c.least) > 1e-12 || most-c.most > 1e-12 || c.most-most > 1e-12 {
			t.Errorf("%+v: %v to %v, want %v to %v", c.later, least, most, c.least, c.most)
		}
	}
}
