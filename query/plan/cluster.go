package plan

import (
	"fmt"
	"maps"
	"math"

	"github.com/quadrat-dev/quadrat/query/script"
)

// intraCluster is the correlation that is supposed between two devices of one cluster. Devices of one building or one
// street are mostly much alike, so it is high: a plan should rather ask for too many clusters than for too few.
const intraCluster = 0.5

// clustered is the attribute of the clusters; empty when devices are drawn.
func (q *question) clustered() string { return q.script.Sample.Clustered.Text }

// take counts a device. One without a value of the attribute is a cluster of its own.
func (s *stratum) take(m Member, clustered string) {
	s.size++
	value := ""
	if clustered != "" {
		value = m.Attributes[clustered]
	}
	if value == "" {
		s.members[0] = append(s.members[0], m.ID)
		s.units++
		return
	}
	if s.clusters == nil {
		s.clusters = map[string]int{}
	}
	if s.clusters[value] == 0 {
		s.units++
	}
	s.clusters[value]++
}

// join adds clusters of a stratum that is collapsed into this one; a value that both have is one cluster.
func (s *stratum) join(clusters map[string]int) {
	if len(clusters) == 0 {
		return
	}
	merged := maps.Clone(s.clusters)
	if merged == nil {
		merged = make(map[string]int, len(clusters))
	}
	for value, n := range clusters {
		if merged[value] > 0 {
			s.units--
		}
		merged[value] += n
	}
	s.clusters = merged
}

// collapseAll collapses until every stratum reaches the floor or one is left: strata that share clusters have fewer
// together than apart.
func collapseAll(strata []stratum, floor int) []stratum {
	for {
		before := len(strata)
		strata = collapse(strata, floor)
		if len(strata) == before {
			return strata
		}
	}
}

// units is what can be drawn: devices, or clusters.
func (d *design) units() int {
	if d.q.clustered() == "" {
		return d.size
	}
	sum := 0
	for _, s := range d.strata {
		sum += s.units
	}
	return sum
}

// devices is how many devices so many units of the stratum have on average.
func (s *stratum) devices(units float64) float64 {
	if s.units == s.size {
		return units
	}
	return units * float64(s.size) / float64(s.units)
}

// squares is Σ B² over the stratum's clusters of B devices.
func (s *stratum) squares() float64 {
	lone := s.size
	sum := 0.0
	for _, n := range s.clusters {
		lone -= n
		sum += float64(n) * float64(n)
	}
	return sum + float64(lone)
}

// together is how many devices are drawn as one, on average.
func (f *frame) together() float64 {
	units := 0
	for h := range f.strata {
		units += f.strata[h].units
	}
	return float64(f.size) / math.Max(1, float64(units))
}

// word says what a stratum must give two of.
func (d *design) word() string {
	if d.q.clustered() != "" {
		return "clusters"
	}
	return "reports"
}

// countedClusters plans k CLUSTERS, n DEVICES by the mean size of a cluster, and x PERCENT of the clusters.
func (q *question) countedClusters(f *frame, list []int64) (*design, error) {
	units := 0
	for _, s := range collapseAll(f.strata, math.MaxInt32) {
		units += s.units
	}
	var number float64
	switch sample := q.script.Sample; {
	case sample.Clusters != nil:
		number = sample.Clusters.Value
	case sample.Size == script.Percent:
		number = math.Round(float64(units) * sample.Number.Value / 100)
	default:
		number = math.Round(sample.Number.Value * float64(units) / float64(f.size))
	}
	k := int(min(number, math.MaxInt32))
	if least := answersLeast * q.slots(); k < least {
		return nil, &Infeasible{
			Reason: fmt.Sprintf("a panel of %s can't give two clusters to each of %s; a cluster has %.3g devices on average",
				plural(k, "cluster"), plural(q.slots(), "statistic"), float64(f.size)/float64(units)),
			BestPanel: f.size,
			Options:   []string{fmt.Sprintf("SAMPLE ALL CLUSTERED BY %s %d CLUSTERS", q.clustered(), least)},
		}
	}
	d, last, err := q.first(f, list, k)
	if d == nil && err == nil {
		most := sum(last.most())
		return nil, &Infeasible{
			Reason: fmt.Sprintf("%d clusters a window can't be had: each of the %d in the frame reports once in %s, which "+
				"makes at most %d", k, last.units(), plural(int(last.lap), "window"), most),
			BestPanel: int(float64(most) * float64(f.size) / float64(last.units())),
			Options:   []string{fmt.Sprintf("%d CLUSTERS or SAMPLE ALL without a number of clusters", most), "a longer window"},
		}
	}
	return d, err
}

// tooFewClusters is the error that even one stratum can't give two clusters to each statistic.
func (d *design) tooFewClusters(floor int) error {
	return &Infeasible{
		Reason: fmt.Sprintf("%s of %s in the frame and %d are needed: %s with two clusters each in every window, and each "+
			"cluster reports once in %s", plural(d.units(), "cluster"), d.q.clustered(), floor,
			plural(d.q.slots(), "statistic"), plural(int(d.lap), "window")),
		BestPanel: int(int64(d.size) / d.lap),
		Options:   []string{"a longer window", "a shorter period", "SAMPLE without CLUSTERED BY", "fewer statistics"},
	}
}

// clusterVariance is variance for n[h] clusters. With B̄ = N_h/M_h devices a cluster on average and b = ΣB²/N_h as a device
// sees it, the spread of a mean grows by Kish's 1 + (b−1)ρ, ρ being supposed; a total pays for the different sizes of
// clusters too, M_h²(1−f)/m · (pE[B²] − p²B̄²)ȳ², as if a cluster lay in the cell as a whole or not at all. The correction
// 1−f, f = m/M_h, shrinks the sampling only. Degrees of freedom are the clusters expected in the cell less the strata.
func (d *design) clusterVariance(i, c int, n []float64) (out predicted) {
	a, total := d.answers[i], d.q.asked[i].sum
	population := 0.0
	for _, s := range d.strata {
		population += float64(s.inCell(c))
	}
	for h := range d.strata {
		s := &d.strata[h]
		clusters, size := float64(s.units), float64(s.size)
		p := float64(s.inCell(c)) / size
		if p == 0 || n[h] == 0 {
			continue
		}
		mean, squares := size/clusters, s.squares()
		expected := n[h] * mean * p
		panes, each := d.fall(i)
		out.reports += each * expected
		out.degrees += panes * max(0, n[h]*min(1, mean*p)-1)
		spread := d.spread(i, h)
		rest := max(0, 1-n[h]/clusters) / panes
		noise := d.noise(i, h, c) / each
		within := spread * spread * (1 + (squares/size-1)*intraCluster)
		if total {
			sizes := p*squares/clusters - p*p*mean*mean
			out.variance += clusters * clusters / n[h] * (rest*(sizes*a.middle*a.middle+p*mean*within) + p*mean*noise)
			continue
		}
		share := size * p / population
		out.variance += share * share * (rest*within + noise) / expected
	}
	out.known = a.known && out.degrees >= 1
	return out
}

// warnClusters says how many clusters a window has and what the margins rest on.
func (d *design) warnClusters(panels []float64) []string {
	if d.q.clustered() == "" || d.size == 0 {
		return nil
	}
	due := 0.0
	for _, n := range panels {
		due += n
	}
	squares := 0.0
	for h := range d.strata {
		squares += d.strata[h].squares()
	}
	size := float64(d.size)
	equal := due / float64(d.q.slots()) * size * size / (squares * float64(d.units()))
	out := []string{fmt.Sprintf("%.4g of %d clusters of %s are due in a window; margins suppose an intra-cluster "+
		"correlation of %g, which is not measured", due, d.units(), d.q.clustered(), intraCluster)}
	if equal < equalLeast {
		out = append(out, fmt.Sprintf("clusters differ much in size: those of a statistic in a window are worth about %.2g of one "+
			"size, and below %d intervals tend to be too short", equal, equalLeast))
	}
	return out
}

// equalLeast is how many clusters of one size a statistic's must be worth, (ΣB)²/ΣB², for the interval of a mean to keep
// its confidence.
const equalLeast = 30
