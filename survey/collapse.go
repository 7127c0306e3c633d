package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Collapse merges strata that have fewer than leastResponses responses, by one stated rule: the smallest stratum that is
// below the floor is merged into the smallest of the others, again and again until none is below it or one stratum is
// left. Size is the population; ties go by name. A merged stratum adds up the counts and moments of its parts and is
// named by their names in sorted order, joined with "+". Strata whose population is 0 take no part.
//
// merged keeps the order of each stratum's first part; mapping[i] is the index in merged of strata[i]; notes has one
// sentence for each stratum that grew. The result depends on the strata, not on their order (but for merged's order).
// strata isn't changed.
//
// The estimate from collapsed strata weights all responses of a merged stratum alike. That is exact when the collapse
// was planned, that is when the merged stratum was drawn as one or with equal sampling fractions; otherwise it treats
// the merged stratum as one weighting class.
func Collapse(strata []Sample, leastResponses int64) (merged []Sample, mapping []int, notes []string) {
	return collapse(strata, enough{responses: leastResponses, apart: "responses"})
}

// enough is what a stratum needs to be estimated on its own, and the words for what it lacks in the notes.
type enough struct {
	responses, due int64
	apart, few     string
}

func (e enough) has(s Sample) bool { return s.Responses >= e.responses && s.Panel >= e.due }

// least is the number that notes tell.
func (e enough) least() int64 { return max(e.responses, e.due) }

// collapse is Collapse by what is enough.
func collapse(strata []Sample, by enough) (merged []Sample, mapping []int, notes []string) {
	groups := make([]group, len(strata))
	for i, s := range strata {
		groups[i] = group{sample: s, members: []int{i}, names: []string{s.Stratum}}
	}
	for {
		from := smallest(groups, func(g group) bool { return !by.has(g.sample) })
		if from < 0 {
			break
		}
		into := smallest(groups, func(g group) bool { return g.members[0] != groups[from].members[0] })
		if into < 0 {
			break
		}
		groups[into].absorb(groups[from])
		groups = slices.Delete(groups, from, from+1)
	}
	for i := range groups {
		slices.Sort(groups[i].members)
	}
	slices.SortFunc(groups, func(a, b group) int { return cmp.Compare(a.members[0], b.members[0]) })
	mapping = make([]int, len(strata))
	for i, g := range groups {
		merged = append(merged, g.sample)
		for _, member := range g.members {
			mapping[member] = i
		}
		if len(g.members) > 1 {
			notes = append(notes, fmt.Sprintf("strata %s are estimated as one: below %d %s apart",
				strings.Join(g.names, ", "), by.least(), by.apart))
		}
	}
	return merged, mapping, notes
}

// group is a stratum that may have absorbed others.
type group struct {
	sample  Sample
	members []int    // indexes into the input
	names   []string // sorted
}

func (g *group) absorb(o group) {
	g.members = append(g.members, o.members...)
	g.names = append(g.names, o.names...)
	slices.Sort(g.names)
	g.sample.Stratum = strings.Join(g.names, "+")
	g.sample.absorb(o.sample)
}

// absorb adds what another stratum, or the same one in another window, brings.
func (s *Sample) absorb(o Sample) {
	s.Population, s.Panel, s.Responses = s.Population+o.Population, s.Panel+o.Panel, s.Responses+o.Responses
	s.Tails.Merge(s.Domain, o.Tails, o.Domain)
	s.Domain.Merge(o.Domain)
}

// smallest returns the index of the least populated group that has a population and satisfies want, or −1.
func smallest(groups []group, want func(group) bool) int {
	best := -1
	for i, g := range groups {
		if g.sample.Population == 0 || !want(g) {
			continue
		}
		if best < 0 || bySize(g, groups[best]) < 0 {
			best = i
		}
	}
	return best
}

func bySize(a, b group) int {
	return cmp.Or(cmp.Compare(a.sample.Population, b.sample.Population), strings.Compare(a.sample.Stratum, b.sample.Stratum))
}
