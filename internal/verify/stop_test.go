package verify

import (
	"context"
	"errors"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/grr"
	"github.com/quadrat-dev/quadrat/privacy/warner"
)

// TestDrawsEndSoon: after a context has ended every way of drawing goes on for looked draws at most, and before it all of them draw.
func TestDrawsEndSoon(t *testing.T) {
	m, err := warner.New(1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	set, err := grr.New(1_000_000, 5)
	if err != nil {
		t.Fatal(err)
	}
	src := privacy.NewSeeded(1)
	for name, ways := range map[string]func(ctx context.Context) func() error{
		"draw": func(ctx context.Context) func() error {
			draw := until(ctx, func() (uint64, error) { return 1, nil })
			return func() error { _, err := draw(); return err }
		},
		"number": func(ctx context.Context) func() error {
			s := stoppable{m, stopper(ctx)}
			return func() error { _, err := s.Randomise(1, src); return err }
		},
		"category": func(ctx context.Context) func() error {
			s := stoppableCategories{set, stopper(ctx)}
			return func() error { _, err := s.Randomise(1, src, nil); return err }
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		next := ways(ctx)
		for range 3 * looked / 2 {
			if err := next(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		cancel()
		more, err := 0, next()
		for ; err == nil && more <= looked; more++ {
			err = next()
		}
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %d more draws, %v", name, more, err)
		}
	}
}
