package reanalysis

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey"
)

// allCells is the domain over all cells.
const allCells = -1

// gathered is everything that was read, by window.
type gathered struct {
	windows []int64 // starts, ascending
	strata  map[strataKey]*stratum
	order   map[string][]string // names of the strata that a statistic has in any window, ascending
	domains []map[string]string // values of the GROUP BY attributes
	holds   map[domainKey]bool  // a report of the domain was seen in the stratum, in any window
	rows    int64
	known   map[string]int    // domains by their text
	shares  map[int64]float64 // how much of a window was read, where it isn't all

	clustered bool
	keep      bool                // reports of devices that answer several times in an asked window are known one by one
	lost      bool                // they would be, but there are too many
	together  bool                // what one unit said belongs together, so that all is read or nothing
	singles   map[string][]single // by stored statistic
	ordered   map[string]bool     // by window
	// What was put in order last.
	lastSpan    span
	lastSingles []single
	lastDrawn   struct {
		key   span
		panes []drawnPane
	}
}

type strataKey struct {
	startMs            int64
	statistic, stratum string
}

type domainKey struct {
	stratum string
	domain  int
}

// stratum is one stratum of one window and statistic: what the frame held, and what was reported.
type stratum struct {
	population, panel, responses int64
	all                          said         // of what WHERE lets in
	domains                      map[int]said // by domain

	startMs  int64
	name     string
	clusters int64              // of the frame
	said     map[unitName]*unit // of a sample of clusters
}

// gather reads the strata.
func gather(ctx context.Context, a Archive, q *question) (*gathered, error) {
	g := &gathered{
		strata: map[strataKey]*stratum{}, order: map[string][]string{}, holds: map[domainKey]bool{}, known: map[string]int{}, shares: map[int64]float64{},
		clustered: q.clustered, singles: map[string][]single{}, ordered: map[string]bool{},
	}
	starts, names := map[int64]bool{}, map[string]map[string]bool{}
	wanted := map[string]bool{}
	for _, s := range q.asked {
		for _, name := range []string{s.stored, s.below} {
			if name != "" {
				wanted[name], names[name] = true, map[string]bool{}
			}
		}
	}
	for s, err := range a.Strata(ctx, q.ref, spanOf(q.since), spanOf(q.until)) {
		if err != nil {
			return nil, fmt.Errorf("stored strata: %w", err)
		}
		if !wanted[s.Statistic] || s.WindowStartMs < q.since || s.WindowStartMs >= q.until {
			continue
		}
		starts[s.WindowStartMs], names[s.Statistic][s.Stratum] = true, true
		g.strata[strataKey{s.WindowStartMs, s.Statistic, s.Stratum}] = &stratum{
			population: s.Population, panel: s.Panel, clusters: s.Clusters, startMs: s.WindowStartMs, name: s.Stratum,
		}
	}
	g.windows = slices.Sorted(maps.Keys(starts))
	for statistic, of := range names {
		g.order[statistic] = slices.Sorted(maps.Keys(of))
	}
	return g, nil
}

// add reads reports and adds them: those with random numbers in a window's share, all with nil.
func (g *gathered) add(ctx context.Context, q *question, files *tabular.Files, shares func(int64) (from, below float64)) error {
	folds, err := read(q, files, shares)
	if err != nil {
		return fmt.Errorf("stored reports: %w", err)
	}
	return g.merge(ctx, q, folds)
}

// spanOf is a bound of the span as a moment; the zero time where it is open.
func spanOf(ms int64) time.Time {
	if ms == minMs || ms == maxMs {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// merge puts the sums of all readers together.
func (g *gathered) merge(ctx context.Context, q *question, folds []*fold) error {
	for _, f := range folds {
		g.rows += f.rows
		places := make([]place, len(f.slots))
		for i, s := range f.slots {
			var err error
			if places[i], err = g.placeOf(q, s.slotKey); err != nil {
				return err
			}
		}
		for start, sums := range f.windows {
			if err := ctx.Err(); err != nil {
				return err
			}
			for i, s := range sums {
				if s.n == 0 {
					continue
				}
				of := said{moments: s.moments()}
				if extras := f.extras[start]; i < len(extras) {
					of.support = extras[i].support
					if of.tailed = f.slots[i].how == nil; of.tailed {
						of.tails = extras[i].tails(&s)
					}
				}
				g.put(start, f.slots[i], places[i], of)
			}
		}
		g.putSingles(f, places)
		g.putMembers(f, places)
	}
	return nil
}

// putSingles keeps reports by themselves.
func (g *gathered) putSingles(f *fold, places []place) {
	for _, k := range f.singles {
		of := f.slots[k.slot]
		to := g.strata[strataKey{k.start, of.statistic, of.stratum}]
		if to == nil {
			continue
		}
		domain := int32(places[k.slot].domain)
		if !places[k.slot].in {
			domain = absent
		}
		g.singles[of.statistic] = append(g.singles[of.statistic], single{device: k.device, value: k.value, at: to, domain: domain})
		g.ordered[of.statistic] = false
	}
	if len(f.singles) > 0 {
		g.lastSpan = span{}
	}
}

// putMembers adds what clusters say.
func (g *gathered) putMembers(f *fold, places []place) {
	for key, m := range f.members {
		of := f.slots[key.slot]
		to := g.strata[strataKey{key.start, of.statistic, of.stratum}]
		if to == nil {
			continue
		}
		g.put(key.start, of, places[key.slot], m.said)
		name := unitName{cluster: f.clusters[key.name], device: key.device}
		u := to.said[name]
		if u == nil {
			u = &unit{unitName: name, size: m.size, windows: 1}
			if to.said == nil {
				to.said = map[unitName]*unit{}
			}
			to.said[name] = u
		}
		to.clusters = max(to.clusters, m.clusters)
		u.pooled = u.pooled || m.pooled
		u.put(places[key.slot], m.said)
	}
}

// place is where the scores of a slot belong.
type place struct {
	domain int // allCells without GROUP BY
	in     bool
}

func (g *gathered) placeOf(q *question, key slotKey) (place, error) {
	stored, err := cellOf(key.cell)
	if err != nil {
		return place{}, fmt.Errorf("stored reports: a cell can't be read: %w", err)
	}
	values, in, err := q.cell(key.stratum, stored)
	if err != nil {
		return place{}, err
	}
	if !in || len(q.groupBy) == 0 {
		return place{domain: allCells, in: in}, nil
	}
	text := textOf(values)
	at, known := g.known[text]
	if !known {
		at = len(g.domains)
		g.known[text] = at
		g.domains = append(g.domains, values)
	}
	g.holds[domainKey{key.stratum, at}] = true
	return place{domain: at, in: true}, nil
}

// put adds the scores of a slot in one window. Reports of a window without strata are of one that hasn't closed, and wait.
func (g *gathered) put(start int64, of slot, at place, s said) {
	to := g.strata[strataKey{start, of.statistic, of.stratum}]
	if to == nil {
		return
	}
	to.responses += s.moments.Count
	if !at.in {
		return
	}
	to.all.merge(s)
	if at.domain == allCells {
		return
	}
	if to.domains == nil {
		to.domains = map[int]said{}
	}
	domain := to.domains[at.domain]
	domain.merge(s)
	to.domains[at.domain] = domain
}

// textOf writes values so that different ones differ.
func textOf(values map[string]string) string {
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&text, "%q:%q,", name, values[name])
	}
	return text.String()
}

// sorted gives the domains in the order of their values.
func (g *gathered) sorted() []int {
	out := make([]int, len(g.domains))
	for i := range out {
		out[i] = i
	}
	slices.SortFunc(out, func(a, b int) int { return cmp.Compare(textOf(g.domains[a]), textOf(g.domains[b])) })
	return out
}

// sample is what a stratum of a window brings to a domain.
func (s *stratum) sample(name string, domain int) survey.Sample {
	out := survey.Sample{Stratum: name, Population: s.population, Panel: s.panel, Responses: s.responses}
	of := s.in(domain)
	out.Domain, out.Tails = of.moments, of.tails
	return out
}

// in is what the reports in a domain say.
func (s *stratum) in(domain int) said {
	if domain == allCells {
		return s.all
	}
	return s.domains[domain]
}
