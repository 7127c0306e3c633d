package mechanisms_test

import (
	"errors"
	"testing"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
)

func TestPriceDecidesOnPermanentAnswers(t *testing.T) {
	for _, c := range []struct {
		name  string
		price mechanisms.Price
		ok    bool
	}{
		{"memo", mechanisms.Price{Report: 1_000_000, Value: 2_000_000}, true},
		{"memo", mechanisms.Price{Report: 1_000_000}, false},
		{"subset", mechanisms.Price{Report: 1_000_000, Value: 2_000_000}, false},
		{"subset", mechanisms.Price{Report: 1_000_000}, true},
	} {
		m, err := mechanisms.CategoricalAt(c.name, c.price, 8)
		if c.ok != (err == nil) || !c.ok && !errors.Is(err, privacy.ErrMechanism) {
			t.Errorf("%s at %+v: %v", c.name, c.price, err)
		}
		if c.ok && (m.Name() != c.name || m.Epsilon() != c.price.Report) {
			t.Errorf("%s at %+v is %s at %v", c.name, c.price, m.Name(), m.Epsilon())
		}
	}
	if _, err := mechanisms.CategoricalAt("memo", mechanisms.Price{Report: 2_000_000, Value: 1_000_000}, 8); !errors.Is(err, privacy.ErrEpsilon) {
		t.Errorf("a report dearer than its category: %v", err)
	}
	if got := (mechanisms.Price{Report: 1_000_000, Value: 2_000_000}).Charge(); got != 2_000_000 {
		t.Errorf("a category is charged %v", got)
	}
}
