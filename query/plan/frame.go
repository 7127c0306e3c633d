package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/quadrat-dev/quadrat/internal/attr"
	"github.com/quadrat-dev/quadrat/query/script"
	"github.com/quadrat-dev/quadrat/survey"
)

// frame is the devices of a question, counted by stratum and cell.
type frame struct {
	strata  []stratum
	cells   []cell // sorted by name; empty without GROUP BY
	size    int
	idBytes int // of all identities together
	absent  []string

	combinations int // of stratum, cell and cluster that there are
}

// stratum is one combination of values, or several that were collapsed.
type stratum struct {
	name    string
	values  [][]string // one list for each combination; "" for a missing value
	parts   []string   // names of the strata that were collapsed; empty when none were
	size    int
	units   int        // what is drawn: devices, or clusters
	members [][]string // identities, in one list or more; of a clustered question, of the devices without a cluster
	cells   []int      // devices of each cell

	clusters map[string]int // of a clustered question: the devices of each value
	sums     sums           // of gateways
}

// place is where a member stands; cell is whole without GROUP BY.
type place struct{ stratum, cell int }

// cell is one combination of GROUP BY values.
type cell struct {
	name   string
	values map[string]string
	size   int
}

// gather counts the frame.
func gather(q *question, members []Member) (*frame, error) {
	f := &frame{size: len(members)}
	strata, cells := map[string]int{}, map[string]int{}
	names := map[string]int{}
	places := make([]place, len(members))
	for i, m := range members {
		f.idBytes += len(m.ID)
		values := valuesOf(m, q.script.Sample.Stratified)
		key := strings.Join(values, "\x00")
		h, ok := strata[key]
		if !ok {
			h = len(f.strata)
			strata[key] = h
			if h >= strataMax {
				return nil, tooFine("STRATIFIED BY", "strata", strataMax)
			}
			f.strata = append(f.strata, stratum{
				name: unique(names, stratumName(values)), values: [][]string{values}, members: [][]string{nil},
			})
		}
		f.strata[h].take(m, q.clustered())
		places[i] = place{h, -1}
		if len(q.script.GroupBy) > 0 {
			places[i].cell = f.cellOf(cells, m, q.script.GroupBy)
			if len(f.cells) > cellsMax {
				return nil, tooFine("GROUP BY", "cells", cellsMax)
			}
		}
	}
	for h := range f.strata {
		f.strata[h].cells = make([]int, len(f.cells))
	}
	type combination struct {
		place
		cluster string
	}
	combined := map[combination]bool{}
	for i, p := range places {
		if p.cell >= 0 {
			f.strata[p.stratum].cells[p.cell]++
		}
		c := combination{place: p}
		if by := q.clustered(); by != "" {
			c.cluster = members[i].Attributes[by]
		}
		combined[c] = true
	}
	f.combinations = len(combined)
	f.countSums(members, places)
	f.sort()
	f.absent = absent(q.script, members)
	return f, nil
}

// absent warns of each attribute by which a script groups or draws and that no device has: most likely it is misspelt.
func absent(s *script.Script, members []Member) []string {
	if len(members) == 0 {
		return nil
	}
	var out []string
	for _, a := range slices.Concat(s.GroupBy, s.Sample.Stratified, []script.Ident{s.Sample.Clustered}) {
		text := "no device of the frame has the attribute " + a.Text
		has := func(m Member) bool { return m.Attributes[a.Text] != "" }
		if a.Text != "" && !slices.Contains(out, text) && !slices.ContainsFunc(members, has) {
			out = append(out, text)
		}
	}
	return out
}

// Bounds of how fine a question may cut the frame.
const (
	strataMax = 1000
	cellsMax  = 4096
)

func tooFine(clause, what string, most int) error {
	return &Infeasible{
		Reason:  fmt.Sprintf("%s makes more than %d %s", clause, most, what),
		Options: []string{"attributes with fewer values in " + clause},
	}
}

func valuesOf(m Member, attributes []script.Ident) []string {
	out := make([]string, len(attributes))
	for i, a := range attributes {
		out[i] = m.Attributes[a.Text]
	}
	return out
}

// stratumName joins the values with "/".
func stratumName(values []string) string {
	if len(values) == 0 {
		return "(all)"
	}
	shown := make([]string, len(values))
	for i, v := range values {
		shown[i] = cmp.Or(v, attr.Missing)
	}
	return strings.Join(shown, "/")
}

// unique keeps two combinations apart whose values give one name.
func unique(names map[string]int, name string) string {
	names[name]++
	if n := names[name]; n > 1 {
		return unique(names, fmt.Sprintf("%s~%d", name, n))
	}
	return name
}

func (f *frame) cellOf(index map[string]int, m Member, attributes []script.Ident) int {
	values := valuesOf(m, attributes)
	key := strings.Join(values, "\x00")
	c, ok := index[key]
	if !ok {
		c = len(f.cells)
		index[key] = c
		shown := make(map[string]string, len(values))
		for i, v := range values {
			shown[attributes[i].Text] = cmp.Or(v, attr.Missing)
		}
		f.cells = append(f.cells, cell{name: key, values: shown})
	}
	f.cells[c].size++
	return c
}

// sort puts strata and cells into an order that doesn't depend on that of the members.
func (f *frame) sort() {
	slices.SortFunc(f.strata, func(a, b stratum) int { return slices.Compare(a.values[0], b.values[0]) })
	order := make([]int, len(f.cells))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(f.cells[a].name, f.cells[b].name) })
	cells := make([]cell, len(order))
	for i, c := range order {
		cells[i] = f.cells[c]
	}
	f.cells = cells
	for h := range f.strata {
		counts := make([]int, len(order))
		for i, c := range order {
			counts[i] = f.strata[h].cells[c]
		}
		f.strata[h].cells = counts
		f.strata[h].sums = f.strata[h].sums.sorted(order)
	}
}

// collapse merges strata with fewer devices than the floor by the rule of survey.Collapse: the smallest one below the
// floor joins the smallest of the others, again and again.
func collapse(strata []stratum, floor int) []stratum {
	samples := make([]survey.Sample, len(strata))
	for i, s := range strata {
		n := int64(s.units)
		samples[i] = survey.Sample{Stratum: s.name, Population: n, Panel: n, Responses: n}
	}
	merged, mapping, _ := survey.Collapse(samples, int64(floor))
	out := make([]stratum, len(merged))
	for i, s := range strata {
		into := &out[mapping[i]]
		into.name = merged[mapping[i]].Stratum
		into.size += s.size
		into.units += s.units
		into.join(s.clusters)
		into.sums.merge(s.sums)
		into.values = append(into.values, s.values...)
		into.members = append(slices.Clip(into.members), s.members...)
		into.parts = append(into.parts, parts(s)...)
		if into.cells == nil {
			into.cells = make([]int, len(s.cells))
		}
		for c, n := range s.cells {
			into.cells[c] += n
		}
	}
	for i := range out {
		if len(out[i].parts) == 1 {
			out[i].parts = nil
			continue
		}
		slices.Sort(out[i].parts)
		out[i].name = strings.Join(out[i].parts, "+")
	}
	return out
}

func parts(s stratum) []string {
	if len(s.parts) > 0 {
		return s.parts
	}
	return []string{s.name}
}

// times gives the frame of a fleet that is so many times as large, for predictions only.
func (f *frame) times(factor float64) *frame {
	scale := func(n int) int { return int(float64(n)*factor + 0.5) }
	out := &frame{size: scale(f.size)}
	for _, c := range f.cells {
		c.size = scale(c.size)
		out.cells = append(out.cells, c)
	}
	for _, s := range f.strata {
		s.size = scale(s.size)
		s.units = s.size
		s.members = nil
		counts := make([]int, len(s.cells))
		for i, n := range s.cells {
			counts[i] = scale(n)
		}
		s.cells = counts
		s.sums = newSums(len(counts))
		out.strata = append(out.strata, s)
	}
	return out
}
