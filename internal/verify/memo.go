package verify

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/audit"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// categoricalNames is every mechanism over categories, the one with permanent answers last.
func categoricalNames() []string { return append(mechanisms.CategoricalNames(), memo.Name) }

// categorical is a mechanism over categories by name, whose reports cost so much; with permanent answers a category costs twice that.
func categorical(name string, e privacy.Epsilon, k uint32) (privacy.Categorical, error) {
	price := mechanisms.Price{Report: e}
	if name == memo.Name {
		price.Value = min(2*e, privacy.MaxEpsilon)
	}
	m, err := mechanisms.CategoricalAt(name, price, k)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// windowsHeard is how many reports of one device the attacker on permanent answers hears.
const windowsHeard = 12

// windowsPair draws devices, each with a secret of its own, that answer one question in many windows about one of two categories; the
// output is how many reports name the second.
func windowsPair(m *memo.Mechanism, seed uint64) pair {
	of := func(category uint32, seed uint64) audit.Draw {
		random := rand.New(rand.NewPCG(seed, 23))
		buf := make([]byte, 0, m.Bytes())
		return func() (uint64, error) {
			var secret [privacy.SecretBytes]byte
			for at := 0; at < len(secret); at += 8 {
				binary.LittleEndian.PutUint64(secret[at:], random.Uint64())
			}
			key, named := privacy.NewKey(&secret), uint64(0)
			for window := range int64(windowsHeard) {
				report, err := m.Answer(key, "audit", window, category, buf)
				if err != nil {
					return 0, err
				}
				named += uint64(report[0])
			}
			return named, nil
		}
	}
	return pair{first: of(0, 2*seed), second: of(1, 2*seed+1), limit: windowsHeard + 1}
}
