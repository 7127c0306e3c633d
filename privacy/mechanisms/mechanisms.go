// Package mechanisms picks a mechanism: by the name that a plan carries, or by
// what it is for.
//
// It stands where the device and the engine read a plan; both build the same
// mechanism from name and ε, and nothing else of it is ever sent. It must never
// take a threshold, a window or a weight from outside.
//
//	m, err := mechanisms.ByName("hybrid", epsilon)
package mechanisms

import (
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/duchi"
	"github.com/quadrat-dev/quadrat/privacy/hybrid"
	"github.com/quadrat-dev/quadrat/privacy/laplace"
	"github.com/quadrat-dev/quadrat/privacy/piecewise"
	"github.com/quadrat-dev/quadrat/privacy/squarewave"
	"github.com/quadrat-dev/quadrat/privacy/threeoutput"
	"github.com/quadrat-dev/quadrat/privacy/warner"
)

// Names returns the names that ByName knows, in alphabetical order.
func Names() []string {
	return []string{duchi.Name, hybrid.Name, piecewise.Name, squarewave.Name, threeoutput.Name, warner.Name}
}

// ByName returns the mechanism with that name. It fails with
// privacy.ErrMechanism, privacy.ErrOptIn or privacy.ErrEpsilon.
func ByName(name string, e privacy.Epsilon) (privacy.Mechanism, error) {
	switch name {
	case duchi.Name:
		return orNil(duchi.New(e))
	case hybrid.Name:
		return orNil(hybrid.New(e))
	case piecewise.Name:
		return orNil(piecewise.New(e))
	case squarewave.Name:
		return orNil(squarewave.New(e))
	case threeoutput.Name:
		return orNil(threeoutput.New(e))
	case warner.Name:
		return orNil(warner.New(e))
	case laplace.Name:
		return nil, privacy.ErrOptIn
	default:
		return nil, privacy.ErrMechanism
	}
}

// OptIns returns the names of the mechanisms that ByName refuses although their
// proofs are complete, because the time that a report takes tells of its noise.
func OptIns() []string { return []string{laplace.Name} }

// OptIn returns a mechanism of OptIns. Calling it is the explicit opt-in: whoever
// does sees to it that nobody who hears its reports can time them. A device never
// calls it, so that no plan can ask for it. It fails with privacy.ErrMechanism, also
// for a mechanism that is none of OptIns, or with privacy.ErrEpsilon.
func OptIn(name string, e privacy.Epsilon) (privacy.Mechanism, error) {
	if name != laplace.Name {
		return nil, privacy.ErrMechanism
	}
	return orNil(laplace.New(e))
}

// Announced returns the names of the mechanisms that not every device knows: a
// device says in each hello that it knows them, and no plan may ask others.
func Announced() []string { return []string{threeoutput.Name} }

// ForMean returns the mechanism for a bounded number of which only the mean is
// wanted: three-output where it suits (threeoutput.Suits), else that of
// ForEvery. A device must have announced the first.
func ForMean(e privacy.Epsilon) (privacy.Mechanism, error) {
	if threeoutput.Suits(e) {
		return ByName(threeoutput.Name, e)
	}
	return ForEvery(e)
}

// ForEvery returns the mechanism of least worst-case variance for a bounded
// number, which every device knows: hybrid above ε = 0.61, where its variance is
// the same for every input, as a variance that is asked for needs it; duchi up
// to it.
func ForEvery(e privacy.Epsilon) (privacy.Mechanism, error) {
	if e <= hybrid.Crossing {
		return ByName(duchi.Name, e)
	}
	return ByName(hybrid.Name, e)
}

// ForBit returns the optimal mechanism for one bit, warner.
func ForBit(e privacy.Epsilon) (privacy.Mechanism, error) {
	return ByName(warner.Name, e)
}

// orNil keeps a nil pointer from becoming an interface that isn't nil.
func orNil[M privacy.Mechanism](m M, err error) (privacy.Mechanism, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}
