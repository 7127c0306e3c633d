package restate

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/internal/categories"
	"github.com/quadrat-dev/quadrat/survey"
)

// AllCells is the domain over all cells. No cell has its text: cells are JSON objects.
const AllCells = "*"

// Row is one row of an export.
type Row struct {
	Device      string
	Stratum     string // as it was estimated
	Cluster     string // empty where devices were drawn
	Cell        string
	Population  int64 // devices of the frame in the stratum
	ClusterSize int64 // devices of the frame in the cluster; 0 where devices were drawn, as the following
	Clusters    int64 // clusters of the frame in the stratum
	Inside      bool  // the row is asked for; others keep their place in the design

	Score, Noise float64 // of a score, in the statistic's unit and its square; Noise of a gateway's counts that of each
	Said         uint64  // of categories: the set, or the code
	Units        int64   // that a gateway's row stands for; 0 for a report
	Counts       string  // of a gateway by category, as a JSON array
}

// Window gathers the rows of one statistic in one window. It is for one goroutine at a time.
type Window struct {
	asked    Asked
	bins     *categories.Binning
	powers   survey.Powers
	strata   []stratum
	clusters []cluster
	groups   []group
	places   map[groupKey]int
	byName   map[string]int
	byKey    map[clusterKey]int
	said     map[string]int // by device its place in answers, where changes are asked for; nil elsewhere
	answers  []answer
	drawn    map[string]int64 // by stratum how many devices were due; nil where no strata were told
	hop      *hop             // of a window that is made of panes
}

type stratum struct {
	name                 string
	population, clusters int64
}

type cluster struct {
	stratum int
	key     clusterKey
	size    int64
	pooled  bool // a gateway speaks for it
}

// clusterKey names a cluster; device is empty but for one without the attribute, which is a cluster of its own.
type clusterKey struct{ stratum, name, device string }

type groupKey struct {
	stratum, cluster int
	cell             string
	inside           bool
}

// group is what the rows of a stratum, cluster and cell say together, as in the engine's windows.
type group struct {
	groupKey

	moments  survey.Moments
	tails    survey.Tails
	support  survey.Support
	released survey.Released
}

// answer is what a device of a FIXED panel said, and where it stands.
type answer struct {
	device  string
	stratum int
	cell    string
	inside  bool
	score   float64
}

// NewWindow makes an empty window. With singles, which changes and [Hop] need, it remembers what each device said. It fails where what was asked can't be
// estimated.
func NewWindow(a Asked, singles bool) (*Window, error) {
	w := &Window{asked: a, places: map[groupKey]int{}, byName: map[string]int{}, byKey: map[clusterKey]int{}}
	var err error
	if w.bins, err = a.binning(); err != nil {
		return nil, err
	}
	if a.Kind == kindVariance {
		if w.powers, err = a.powers(); err != nil {
			return nil, err
		}
	}
	if singles {
		w.said = map[string]int{}
	}
	return w, nil
}

// Clustered tells whether clusters were drawn.
func (w *Window) Clustered() bool { return len(w.clusters) > 0 }

// Add gathers a row. It fails for one that no export has.
func (w *Window) Add(r Row) error {
	if r.Population < 1 || r.Units < 0 || (r.Cluster == "") != (r.ClusterSize < 1) || (r.Cluster == "") != (r.Clusters < 1) {
		return errors.New("a size of the frame is missing, or not positive")
	}
	if _, known := w.drawn[r.Stratum]; w.drawn != nil && !known {
		return fmt.Errorf("stratum %q is not among the strata: export reports and strata again, together", r.Stratum)
	}
	key := groupKey{stratum: w.stratum(r), cluster: -1, cell: r.Cell, inside: r.Inside}
	if s := &w.strata[key.stratum]; s.population != r.Population || s.clusters != r.Clusters {
		return fmt.Errorf("stratum %q has two sizes", r.Stratum)
	}
	if r.Cluster != "" {
		key.cluster = w.cluster(r, key.stratum)
	}
	at, known := w.places[key]
	if !known {
		at = len(w.groups)
		key.cell = strings.Clone(key.cell)
		w.places[key] = at
		w.groups = append(w.groups, group{groupKey: key})
	}
	if w.said != nil {
		w.said[r.Device] = len(w.answers)
		w.answers = append(w.answers, answer{device: r.Device, stratum: key.stratum, cell: key.cell, inside: r.Inside, score: r.Score})
	}
	return w.groups[at].add(w, &r)
}

func (w *Window) stratum(r Row) int {
	at, known := w.byName[r.Stratum]
	if !known {
		at = len(w.strata)
		w.byName[r.Stratum] = at
		w.strata = append(w.strata, stratum{name: r.Stratum, population: r.Population, clusters: r.Clusters})
	}
	return at
}

func (w *Window) cluster(r Row, stratum int) int {
	key := clusterKey{stratum: r.Stratum, name: r.Cluster}
	if r.Cluster == attr.Missing {
		key.device = r.Device
	}
	at, known := w.byKey[key]
	if !known {
		at = len(w.clusters)
		w.byKey[key] = at
		w.clusters = append(w.clusters, cluster{stratum: stratum, key: key, size: r.ClusterSize})
	}
	if r.Units > 0 && r.Cluster != attr.Missing {
		w.clusters[at].pooled = true
	}
	return at
}

// add gathers a row of the group.
func (g *group) add(w *Window, r *Row) error {
	switch {
	case w.bins != nil && r.Units > 0:
		counts, err := countsOf(r.Counts, w.bins.Categories)
		if err != nil {
			return err
		}
		g.moments.Count += r.Units
		g.released.Merge(survey.Released{Units: r.Units, Counts: counts, Noise: r.Noise})
	case w.bins != nil:
		g.moments.Add(0, 0)
		if !w.bins.Add(&g.support, r.Said) {
			return errors.New("an answer that no device sends")
		}
	case math.IsNaN(r.Score) || math.IsNaN(r.Noise):
		return errors.New("a score or its noise is missing")
	case r.Units > 0:
		n := float64(r.Units)
		g.moments.Merge(survey.Sum(r.Units, n*r.Score, n*n*r.Noise))
	default:
		if w.asked.Kind == kindVariance {
			g.tails.Add(g.moments, r.Score)
		}
		g.moments.Add(r.Score, r.Noise)
	}
	return nil
}

// countsOf reads a gateway's counts.
func countsOf(text string, categories int) ([]float64, error) {
	if text == "" {
		return nil, errors.New("a gateway's counts are missing: reports have them from format version 6 on")
	}
	var counts []float64
	if json.Unmarshal([]byte(text), &counts) != nil || len(counts) != categories {
		return nil, fmt.Errorf("a gateway's counts are no JSON array of %d numbers", categories)
	}
	return counts, nil
}

// Cells lists the cells of the rows that are asked for, ascending.
func (w *Window) Cells() []string {
	seen := map[string]bool{}
	for i := range w.groups {
		if w.groups[i].inside {
			seen[w.groups[i].cell] = true
		}
	}
	return slices.Sorted(maps.Keys(seen))
}

// holds tells whether a group lies in a domain.
func (g *group) holds(domain string) bool {
	return g.inside && (domain == AllCells || domain == g.cell)
}

// samples gives what each stratum brings to a domain.
func (w *Window) samples(domain string) []survey.Sample {
	out := make([]survey.Sample, len(w.strata))
	for h, s := range w.strata {
		out[h] = survey.Sample{Stratum: s.name, Population: s.population}
	}
	for i := range w.groups {
		g := &w.groups[i]
		h := &out[g.stratum]
		h.Responses += g.moments.Count
		h.Panel = h.Responses
		if g.holds(domain) {
			h.Tails.Merge(h.Domain, g.tails, g.moments)
			h.Domain.Merge(g.moments)
		}
	}
	return out
}

// supported gives what each stratum's answers of categories bring to a domain.
func (w *Window) supported(domain string) []survey.Support {
	out := make([]survey.Support, len(w.strata))
	for i := range w.groups {
		if g := &w.groups[i]; g.holds(domain) {
			out[g.stratum].Merge(g.support)
		}
	}
	return out
}

// clustersBy gives what each stratum's clusters bring to a domain, with the moments that a group's rows have; numbers tells for
// each of them which cluster of the window it is.
func (w *Window) clustersBy(domain string, of func(g *group) survey.Moments) (samples []survey.ClusterSample, numbers [][]int) {
	samples, numbers = make([]survey.ClusterSample, len(w.strata)), make([][]int, len(w.strata))
	for h, s := range w.strata {
		samples[h] = survey.ClusterSample{Stratum: s.name, Population: s.population, Clusters: s.clusters}
	}
	places := make([]int, len(w.clusters))
	for number, c := range w.clusters {
		due := &samples[c.stratum].Due
		places[number] = len(*due)
		*due = append(*due, survey.Cluster{Size: c.size, Pooled: c.pooled})
		numbers[c.stratum] = append(numbers[c.stratum], number)
	}
	for i := range w.groups {
		g := &w.groups[i]
		said := survey.Cluster{Responses: g.moments.Count}
		if g.holds(domain) {
			said.Domain = of(g)
		}
		samples[g.stratum].Due[places[g.cluster]].Merge(said)
	}
	return samples, numbers
}

// momentsOf is what a group's scores are.
func momentsOf(g *group) survey.Moments { return g.moments }
