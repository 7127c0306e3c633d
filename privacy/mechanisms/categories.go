package mechanisms

import (
	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/grr"
	"github.com/quadrat-dev/quadrat/privacy/olh"
	"github.com/quadrat-dev/quadrat/privacy/oue"
	"github.com/quadrat-dev/quadrat/privacy/subset"
)

// CategoricalNames returns the names that CategoricalByName knows, in
// alphabetical order.
func CategoricalNames() []string {
	return []string{grr.Name, olh.Name, oue.Name, subset.Name}
}

// CategoricalByName returns the mechanism with that name for so many categories.
// It fails with privacy.ErrMechanism, privacy.ErrEpsilon or
// privacy.ErrCategories.
func CategoricalByName(name string, e privacy.Epsilon, categories uint32) (privacy.Categorical, error) {
	switch name {
	case grr.Name:
		return categoricalOrNil(grr.New(e, categories))
	case olh.Name:
		return categoricalOrNil(olh.New(e, categories))
	case oue.Name:
		return categoricalOrNil(oue.New(e, categories))
	case subset.Name:
		return categoricalOrNil(subset.New(e, categories))
	default:
		return nil, privacy.ErrMechanism
	}
}

// ForCategories returns the mechanism of least total variance: subset selection
// up to 1024 categories; beyond, of grr and olh the one with the smaller total,
// which is grr only at large ε.
func ForCategories(e privacy.Epsilon, categories uint32) (privacy.Categorical, error) {
	if categories <= subset.MaxCategories {
		return CategoricalByName(subset.Name, e, categories)
	}
	direct, err := CategoricalByName(grr.Name, e, categories)
	if err != nil {
		return nil, err
	}
	hashed, err := CategoricalByName(olh.Name, e, categories)
	if err != nil {
		return nil, err
	}
	if direct.Rates().TotalVariance(categories) < hashed.Rates().TotalVariance(categories) {
		return direct, nil
	}
	return hashed, nil
}

// categoricalOrNil keeps a nil pointer from becoming an interface that isn't nil.
func categoricalOrNil[M privacy.Categorical](m M, err error) (privacy.Categorical, error) {
	if err != nil {
		return nil, err
	}
	return m, nil
}
