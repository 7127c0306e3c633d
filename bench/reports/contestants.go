package main

import (
	"crypto/rand"
	"fmt"

	"github.com/google/differential-privacy/go/v3/noise"

	"github.com/quadrat-dev/quadrat/privacy"
	"github.com/quadrat-dev/quadrat/privacy/mechanisms"
	"github.com/quadrat-dev/quadrat/privacy/memo"
)

// epsilon is that of one report, but where a row names another.
const epsilon = privacy.Epsilon(1_000_000)

// contestants begins with Google's Laplace; both sides draw from the kernel.
func contestants() ([]contestant, error) {
	laplace := noise.Laplace()
	out := []contestant{{name: "google laplace", report: func(i int) error {
		_, err := laplace.AddNoiseFloat64(float64(i&1), 1, 1, 1, 0)
		return err
	}}}
	source := privacy.NewSecure(rand.Reader)
	numbers, err := ofNumbers(source)
	if err != nil {
		return nil, err
	}
	categories, err := ofCategories(source)
	if err != nil {
		return nil, err
	}
	return append(append(out, numbers...), categories...), nil
}

// ofNumbers are all mechanisms for bits and bounded numbers, the one that takes an opt-in among them.
func ofNumbers(source privacy.Source) ([]contestant, error) {
	var all []privacy.Mechanism
	for _, name := range mechanisms.Names() {
		m, err := mechanisms.ByName(name, epsilon)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	for _, name := range mechanisms.OptIns() {
		m, err := mechanisms.OptIn(name, epsilon)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	out := make([]contestant, len(all))
	for i, m := range all {
		inputs := int(m.Levels()) + 1
		out[i] = contestant{name: m.Name(), report: func(i int) error {
			_, err := m.Randomise(uint32(i%inputs), source)
			return err
		}}
	}
	return out, nil
}

// ofCategories are all mechanisms for categories, at sizes up to 1024 and, where the work depends on it, at several ε.
func ofCategories(source privacy.Source) ([]contestant, error) {
	var out []contestant
	add := func(m privacy.Categorical) {
		buffer := make([]byte, 0, m.Bytes())
		name := fmt.Sprintf("%s, k = %d, ε = %s", m.Name(), m.Categories(), m.Epsilon())
		out = append(out, contestant{name: name, report: func(i int) error {
			_, err := m.Randomise(uint32(i)%m.Categories(), source, buffer)
			return err
		}})
	}
	for _, name := range mechanisms.CategoricalNames() {
		for _, k := range []uint32{16, 64, 256, 1024} {
			epsilons := []privacy.Epsilon{epsilon}
			if k == 1024 {
				epsilons = []privacy.Epsilon{250_000, 500_000, 1_000_000, 2_000_000, 2_250_000, 4_000_000, 8_000_000}
			}
			for _, e := range epsilons {
				m, err := mechanisms.CategoricalByName(name, e, k)
				if err != nil {
					return nil, err
				}
				add(m)
			}
		}
	}
	twice, err := memo.New(2*epsilon, epsilon, 64)
	if err != nil {
		return nil, err
	}
	add(twice)
	return append(out, remembered(twice)), nil
}

// remembered is the report of a device that has given its permanent answer before and makes it again from its secret, in a new window
// each time. The question is as devices write it.
func remembered(m *memo.Mechanism) contestant {
	const question = "\x00\x11sense.temperature\x00\x0btemperature\x00\x03avg\x00\x04bins\x00\x0810000000\x00\x0840000000"
	key := privacy.NewKey(&[privacy.SecretBytes]byte{1})
	buffer := make([]byte, 0, m.Bytes())
	name := fmt.Sprintf("%s of a device that remembers, k = %d, ε = %s", m.Name(), m.Categories(), m.Epsilon())
	return contestant{name: name, report: func(i int) error {
		_, err := m.Answer(key, question, int64(i)*60_000, uint32(i)%m.Categories(), buffer)
		return err
	}}
}
