package clock_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quadrat-dev/quadrat/internal/clock"
)

var start = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func TestManualReleasesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewManual(start)
		woke := make(chan int, 3)
		for i := 1; i <= 3; i++ {
			go func() {
				if c.WaitUntil(t.Context(), start.Add(time.Duration(i)*time.Minute)) == nil {
					woke <- i
				}
			}()
		}
		synctest.Wait()
		c.Advance(2 * time.Minute)
		synctest.Wait()
		if len(woke) != 2 {
			t.Fatalf("%d woke after two minutes, want 2", len(woke))
		}
		c.Set(start)
		if got := c.Now(); !got.Equal(start.Add(2 * time.Minute)) {
			t.Errorf("the clock went back to %v", got)
		}
		c.Advance(time.Minute)
		synctest.Wait()
		if len(woke) != 3 {
			t.Errorf("%d woke after three minutes, want 3", len(woke))
		}
	})
}

func TestWaitEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]clock.Clock{"manual": clock.NewManual(start), "real": clock.Real{}, "scaled": clock.NewScaled(start, 2)} {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- c.WaitUntil(ctx, c.Now().Add(time.Hour)) }()
			synctest.Wait()
			cancel()
			if err := <-ended; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v", name, err)
			}
		}
	})
}

func TestScaledRunsFaster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := clock.NewScaled(start, 60)
		time.Sleep(time.Second)
		if got := c.Now().Sub(start); got != time.Minute {
			t.Errorf("a second of the machine made %v", got)
		}
		before := time.Now()
		if err := c.WaitUntil(t.Context(), start.Add(3*time.Minute)); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(before); waited < 2*time.Second || waited > 2*time.Second+time.Millisecond {
			t.Errorf("waited %v for two minutes at sixty times", waited)
		}
	})
}
