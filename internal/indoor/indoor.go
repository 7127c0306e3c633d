// Package indoor carries the real readings that the demo and the simulator replay: indoor air temperature at 12,300
// places in 29 countries, from the ASHRAE Global Thermal Comfort Database II (licence in NOTICE). One place is one
// occupant of one building; its readings stand in the source's order. The data are public; in a simulation they play
// the private readings, so nothing but a simulated device and the truth of the demo may look at them.
//
//	places, err := indoor.Places()
//	places[0].Reading(windowIndex) // wraps round
package indoor

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/quadrat-dev/quadrat/privacy"
)

// Capability is what every place can measure.
const Capability = "sense.temperature"

// Reading is the name of the one reading of Capability, in degrees Celsius.
const Reading = "temperature"

//go:embed indoor.csv.gz
var packed []byte

// Place is one simulated device: its identity, its public attributes and its readings in millionths of a degree.
type Place struct {
	ID         string
	Attributes map[string]string
	Readings   []privacy.Micro
}

// Reading is the place's reading for the n-th window of a replay; the readings wrap round. It panics when the place has
// none, which Read never yields.
func (p *Place) Reading(n int64) privacy.Micro {
	size := int64(len(p.Readings))
	return p.Readings[((n%size)+size)%size]
}

// Places reads the embedded data: 12,300 places in the order of the source.
func Places() ([]Place, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("indoor data: %w", err)
	}
	defer r.Close()
	return Read(r)
}

// Read reads places from CSV with a header: the column "device" is the identity, "temperature" holds the readings
// separated by spaces, every other column is an attribute (blank for a missing one). Errors name the line and column,
// never a value.
func Read(r io.Reader) ([]Place, error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	header, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	names := append([]string(nil), header...)
	var out []Place
	words := map[string]string{}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		place, err := readPlace(names, row, words)
		if err != nil {
			line, _ := in.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		out = append(out, place)
	}
	if len(out) == 0 {
		return nil, errors.New("no places: need a header with the columns device and temperature, and at least one row")
	}
	return out, nil
}

// readPlace reads one row; words holds one copy of every attribute value that was seen.
func readPlace(names, row []string, words map[string]string) (Place, error) {
	place := Place{Attributes: make(map[string]string, len(names))}
	for i, name := range names {
		switch name {
		case "device":
			place.ID = strings.Clone(row[i])
		case Reading:
			readings, err := readings(row[i])
			if err != nil {
				return place, fmt.Errorf("column %s: %w", name, err)
			}
			place.Readings = readings
		default:
			if row[i] == "" {
				continue
			}
			word, ok := words[row[i]]
			if !ok {
				word = strings.Clone(row[i])
				words[word] = word
			}
			place.Attributes[name] = word
		}
	}
	if place.ID == "" || len(place.Readings) == 0 {
		return place, errors.New("need a device and at least one temperature")
	}
	return place, nil
}

func readings(field string) ([]privacy.Micro, error) {
	words := strings.Fields(field)
	out := make([]privacy.Micro, 0, len(words))
	for _, w := range words {
		m, err := privacy.ParseMicro(w)
		if err != nil {
			return nil, err
		}
		out = append(out, m)
	}
	return out, nil
}
