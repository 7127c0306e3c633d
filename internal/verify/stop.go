package verify

import (
	"context"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
)

// looked is how many draws are made between two looks at whether somebody has had enough.
const looked = 1024

// stopper returns what ctx says, looking at it now and then only.
func stopper(ctx context.Context) func() error {
	n := 0
	return func() error {
		if n++; n%looked == 1 {
			return ctx.Err()
		}
		return nil
	}
}

// until draws for as long as ctx lasts.
func until(ctx context.Context, draw audit.Draw) audit.Draw {
	stop := stopper(ctx)
	return func() (uint64, error) {
		if err := stop(); err != nil {
			return 0, err
		}
		return draw()
	}
}

// stoppable is a mechanism that fails when stop does.
type stoppable struct {
	privacy.Mechanism

	stop func() error
}

// Randomise asks stop first.
func (s stoppable) Randomise(input uint32, src privacy.Source) (uint32, error) {
	if err := s.stop(); err != nil {
		return 0, err
	}
	return s.Mechanism.Randomise(input, src)
}

// stoppableCategories is the same over categories.
type stoppableCategories struct {
	privacy.Categorical

	stop func() error
}

// Randomise asks stop first.
func (s stoppableCategories) Randomise(category uint32, src privacy.Source, buf []byte) ([]byte, error) {
	if err := s.stop(); err != nil {
		return nil, err
	}
	return s.Categorical.Randomise(category, src, buf)
}
