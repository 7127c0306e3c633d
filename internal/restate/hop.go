package restate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/quadrat-dev/quadrat/survey"
	"github.com/quadrat-dev/quadrat/survey/coordinate"
)

// leastResponses is the engine's: a stratum needs so many reports, or clusters with a report, to be estimated on its own, and with so
// many due its silence is told.
const leastResponses = 2

// Drawn is a stratum of a pane as it was drawn, whether anybody of it answered or not.
type Drawn struct {
	Stratum    string
	Population int64 // devices of the frame
	Clusters   int64 // of the frame; 0 where devices were drawn
	Panel      int64 // devices that were due
}

// Pane is a window of a kappa with EVERY: one of those that a result is about. Its window was made with single answers and has strata
// as they were drawn.
type Pane struct {
	*Window

	Start    time.Time
	Index    int64 // number of the pane, from the UTC epoch
	Revision int64 // of the plan
	Turn     int64 // panes from one answer of a device to its next one, by this pane's plan
}

// hop is what a window that is made of panes knows besides.
type hop struct {
	panes   int64 // that it is made of
	silent  []string
	notes   []string
	refused error
	class   []int // of each stratum: those of one class ask the same devices; nil where no device answers twice
	given   []given
}

// given is one answer of a device in a pane.
type given struct {
	answer

	pane int
}

// Draw tells the window of a stratum. Strata of rows must be among those that it is told of, where it is told of any.
func (w *Window) Draw(d Drawn) error {
	if d.Population < 1 || d.Clusters < 0 || d.Panel < 0 {
		return fmt.Errorf("stratum %q: a size of the frame is missing, or not positive", d.Stratum)
	}
	if w.drawn == nil {
		w.drawn = map[string]int64{}
	}
	name := strings.Clone(d.Stratum)
	w.drawn[name] = d.Panel
	at, known := w.byName[name]
	if !known {
		w.byName[name] = len(w.strata)
		w.strata = append(w.strata, stratum{name: name, population: d.Population, clusters: d.Clusters})
		return nil
	}
	// The same stratum again is that of a later revision.
	w.strata[at].population, w.strata[at].clusters = d.Population, d.Clusters
	return nil
}

// Hop puts panes together, oldest first, into the window of a result, which spans so many of them by the plan of the newest: each
// stratum of each pane is one of its own (survey.JoinPanes), and devices that answer several times are known by their answers. Panes
// that asked in another way than the newest are left out.
func Hop(panes []Pane, span int64) (*Window, error) {
	newest := panes[len(panes)-1]
	out, err := NewWindow(newest.asked, false)
	if err != nil {
		return nil, err
	}
	h := &hop{}
	out.hop = h
	seen := slices.DeleteFunc(slices.Clone(panes), func(p Pane) bool { return !p.alike(newest) })
	if n := span - int64(len(panes)); n > 0 {
		h.notes = append(h.notes, fmt.Sprintf("the window holds %d of its %d panes: of the others there are no strata", len(panes), span))
	}
	if n := len(panes) - len(seen); n > 0 {
		h.notes = append(h.notes, fmt.Sprintf("%d panes are left out: an earlier plan asked in another way", n))
	}
	h.panes = int64(len(seen))
	into := out.join(seen)
	for w, p := range seen {
		out.take(p.Window, into[w])
	}
	if span <= newest.Turn {
		return out, nil
	}
	if newest.clustersDrawn() || scales[newest.asked.Kind] == 0 {
		h.refused = fmt.Errorf("windows hold several answers of one device, and there is no %s over those", newest.asked.Kind)
		return out, nil
	}
	out.repeat(seen, into)
	return out, nil
}

// clustersDrawn tells whether clusters were drawn, also where none of them answered.
func (w *Window) clustersDrawn() bool {
	return w.Clustered() || slices.ContainsFunc(w.strata, func(s stratum) bool { return s.clusters > 0 })
}

// alike tells whether answers in two panes can stand in one estimate, as the engine does.
func (p Pane) alike(o Pane) bool {
	if p.clustersDrawn() != o.clustersDrawn() {
		return false
	}
	a, b := p.asked, o.asked
	if a.Kind != b.Kind || a.Low != b.Low || a.High != b.High {
		return false
	}
	if p.bins == nil {
		return a.Kind != kindVariance || p.powers == o.powers
	}
	return a.Mechanism == b.Mechanism && a.Categories == b.Categories && p.bins.Pure == o.bins.Pure && p.bins.How == o.bins.How &&
		slices.Equal(p.bins.Edges, o.bins.Edges)
}

// join makes the strata of the panes; into tells for each pane and stratum of it where it stands, −1 for one that takes no part.
func (w *Window) join(panes []Pane) (into [][]int) {
	clustered := panes[len(panes)-1].clustersDrawn()
	type count struct{ panel, responses int64 }
	counts, heard := map[string]count{}, make([][]int64, len(panes))
	for i, p := range panes {
		heard[i] = p.heard(clustered)
		for at, s := range p.strata {
			c := counts[s.name]
			counts[s.name] = count{c.panel + p.drawn[s.name], c.responses + heard[i][at]}
		}
	}
	silent := map[string]bool{} // clusters have no such rule
	for name, c := range counts {
		if !clustered && c.responses == 0 && c.panel >= leastResponses {
			silent[name] = true
		}
	}
	w.hop.silent = slices.Sorted(maps.Keys(silent))
	joined, order := make([]survey.Pane, len(panes)), make([][]int, len(panes))
	for i, p := range panes {
		joined[i].Label = p.Start.UTC().Format(time.RFC3339)
		order[i] = p.byNames()
		order[i] = slices.DeleteFunc(order[i], func(at int) bool { return silent[p.strata[at].name] })
		for _, at := range order[i] {
			s := p.strata[at]
			joined[i].Strata = append(joined[i].Strata, survey.Sample{
				Stratum: s.name, Population: s.population, Panel: p.drawn[s.name], Responses: heard[i][at],
			})
		}
	}
	merged, places, notes := survey.JoinPanes(joined, leastResponses)
	w.hop.notes = append(w.hop.notes, notes...)
	for _, s := range merged {
		w.strata = append(w.strata, stratum{name: s.Stratum, population: s.Population})
	}
	into = make([][]int, len(panes))
	for i, p := range panes {
		into[i] = slices.Repeat([]int{-1}, len(p.strata))
		for j, at := range order[i] {
			into[i][at] = places[i][j]
			w.strata[places[i][j]].clusters += p.strata[at].clusters
		}
	}
	return into
}

// byNames is the numbers of the strata in the order of their names.
func (w *Window) byNames() []int {
	out := make([]int, len(w.strata))
	for at := range out {
		out[at] = at
	}
	slices.SortFunc(out, func(a, b int) int { return cmp.Compare(w.strata[a].name, w.strata[b].name) })
	return out
}

// heard counts by stratum who answered: devices, or clusters with a report.
func (w *Window) heard(clustered bool) []int64 {
	out := make([]int64, len(w.strata))
	if clustered {
		for _, c := range w.clusters {
			out[c.stratum]++
		}
		return out
	}
	for i := range w.groups {
		out[w.groups[i].stratum] += w.groups[i].moments.Count
	}
	return out
}

// take adds the clusters and groups of a pane. Clusters of two panes are two.
func (w *Window) take(p *Window, into []int) {
	first := len(w.clusters)
	for _, c := range p.clusters {
		c.stratum = into[c.stratum]
		w.clusters = append(w.clusters, c)
	}
	for i := range p.groups {
		g := p.groups[i]
		if g.stratum = into[g.stratum]; g.stratum < 0 {
			continue
		}
		if g.cluster >= 0 {
			g.cluster += first
		}
		w.groups = append(w.groups, g)
	}
}

// repeat notes who answered several times: by device, then by pane.
func (w *Window) repeat(panes []Pane, into [][]int) {
	type place struct {
		stratum        string
		revision, turn int64
	}
	w.hop.class = make([]int, len(w.strata))
	classes, told := map[place]int{}, make([]bool, len(w.strata))
	for i, p := range panes {
		for _, h := range p.byNames() {
			at := into[i][h]
			if at < 0 || told[at] {
				continue
			}
			told[at] = true
			name := place{p.strata[h].name, p.Revision, p.Index % p.Turn}
			number, known := classes[name]
			if !known {
				number = len(classes)
				classes[name] = number
			}
			w.hop.class[at] = number
		}
		for _, a := range p.answers {
			if a.stratum = into[i][a.stratum]; a.stratum >= 0 {
				w.hop.given = append(w.hop.given, given{answer: a, pane: i})
			}
		}
	}
	slices.SortFunc(w.hop.given, func(a, b given) int { return cmp.Or(cmp.Compare(a.device, b.device), cmp.Compare(a.pane, b.pane)) })
}

// repeated is what an estimate in a domain needs of devices that answered several times; nil where none can have.
func (w *Window) repeated(domain string) *survey.Repeats {
	if w.hop == nil || w.hop.class == nil {
		return nil
	}
	units := func(yield func([]survey.Answer) bool) {
		var of []survey.Answer
		for i, g := range w.hop.given {
			if i > 0 && w.hop.given[i-1].device != g.device {
				if !yield(of) {
					return
				}
				of = of[:0]
			}
			of = append(of, survey.Answer{Stratum: g.stratum, Score: g.score, Inside: g.inside && (domain == AllCells || domain == g.cell)})
		}
		if len(of) > 0 {
			yield(of)
		}
	}
	return &survey.Repeats{Class: w.hop.class, Units: units}
}

// qualify says what answers of a window of panes lack, and puts what adds up over them as of one.
func (w *Window) qualify(domain string, a Answer) Answer {
	if w.hop == nil {
		return a
	}
	notes := w.hop.notes
	switch {
	case w.hop.refused != nil:
		a.Err = w.hop.refused
	case len(w.hop.silent) > 0 && domain == AllCells:
		a.Err = &survey.Error{Code: survey.NoReports, Stratum: w.hop.silent[0], Detail: fmt.Sprintf("in %d panes", w.hop.panes)}
	case len(w.hop.silent) > 0:
		notes = append(slices.Clone(notes), fmt.Sprintf("nobody answered in the stratum %s: where it has devices of this cell the server gave no number",
			strings.Join(w.hop.silent, ", ")))
	}
	if a.Err == nil && scales[w.asked.Kind] == coordinate.Total {
		a.Estimate = a.Estimate.Over(float64(w.hop.panes))
	}
	if a.Err != nil && a.Bin != nil {
		a.Bin.Consistent = nil
	}
	for _, note := range notes {
		if !slices.Contains(a.Estimate.Warnings, note) { // of a ratio both parts have them
			a.Estimate.Warnings = append(slices.Clip(a.Estimate.Warnings), note)
		}
	}
	return a
}
