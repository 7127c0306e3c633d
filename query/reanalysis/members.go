package reanalysis

import (
	"encoding/json"
	"errors"
	"math"

	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/survey"
)

// memberKey names what a cluster says in one window and cell, to one reader.
type memberKey struct {
	start  int64
	device uint64 // of one without the attribute, which is a cluster of its own; 0 for others
	slot   int32
	name   int32 // of the cluster
}

// member is what a cluster says in one window and cell, and what the frame holds of it.
type member struct {
	said

	size, clusters int64 // devices of the frame in the cluster, clusters of the frame in the stratum
	pooled         bool
}

var (
	errCluster = errors.New("a cluster without its size: reports have it from format version 2 on")
	errCounts  = errors.New("a gateway's counts are missing or not as many as categories: reports have them from format version 6 on")
)

// join adds rows of one window, of a sample of clusters.
func (f *fold) join(start int64, b *columns, first, last int) error {
	for i := first; i < last; i++ {
		at := f.at(b, i)
		place := f.table[at]
		if place == 0 {
			key := slotKey{b.statistics.Levels[b.statistics.Codes[i]], b.strata.Levels[b.strata.Codes[i]], b.cells.Levels[b.cells.Codes[i]]}
			place = f.place(at, key, b.scores[i])
		}
		if place < 0 {
			continue
		}
		code := b.clusters.Codes[i]
		if code < 0 || !(b.sizes[i] >= 1) || !(b.numbers[i] >= 1) {
			return errCluster
		}
		key, lone := memberKey{start: start, slot: place - 1, name: code}, b.clusters.Levels[code] == attr.Missing
		if lone {
			device, err := f.device(b, i)
			if err != nil {
				return err
			}
			key.device = device
		}
		m := f.members[key]
		if m == nil {
			m = &member{size: int64(b.sizes[i]), clusters: int64(b.numbers[i])}
			f.members[key] = m
		}
		if err := m.add(b, i, f.slots[place-1].how); err != nil {
			return err
		}
		m.pooled = m.pooled || !lone && b.unitsOf(i) > 0
	}
	return nil
}

// unitsOf is how many units a gateway's row stands for; 0 for a report.
func (b *columns) unitsOf(i int) int64 {
	if b.units == nil || math.IsNaN(b.units[i]) {
		return 0
	}
	return int64(b.units[i])
}

// add adds a row.
func (m *member) add(b *columns, i int, how *categories.Binning) error {
	units := b.unitsOf(i)
	switch {
	case how != nil && units > 0:
		counts := make([]float64, 0, how.Categories)
		if code := b.counts.Codes[i]; code < 0 || json.Unmarshal([]byte(b.counts.Levels[code]), &counts) != nil || len(counts) != how.Categories {
			return errCounts
		}
		m.moments.Count += units
		m.released.Merge(survey.Released{Units: units, Counts: counts, Noise: b.noiseOf(i)})
	case how != nil:
		m.moments.Add(0, 0)
		if !how.Add(&m.support, b.answer(how, i)) {
			return errAnswer
		}
	case units > 0:
		n := float64(units)
		m.moments.Merge(survey.Sum(units, n*b.scores[i], n*n*b.noiseOf(i)))
	default:
		m.moments.Add(b.scores[i], b.noiseOf(i))
	}
	return nil
}
