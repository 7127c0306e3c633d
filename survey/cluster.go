package survey

import "fmt"

// Cluster is what one cluster that was due says: a primary sampling unit all of whose units were due. Size ≥ Responses ≥
// Domain.Count ≥ 0. It is all that an estimate needs of the cluster's rows, and it merges.
type Cluster struct {
	Size      int64   // B, units in the frame
	Responses int64   // r, units that reported, in every cell
	Domain    Moments // scores of those of the r that lie in the domain
	// Pooled says that the reports came as sums, see [Sum]: the spread of the units is not in Domain.
	Pooled bool
}

// Sum is what a sum over so many units tells, to which noise of a variance was added once: their mean is right, the noise is that of
// the sum, and the units' spread is hidden. It is for the Domain of a pooled [Cluster]. Units must be 1 or more.
func Sum(units int64, sum, noiseVariance float64) Moments {
	return Moments{Count: units, Mean: sum / float64(units), Noise: noiseVariance}
}

// Merge adds other, disjoint reports of the same cluster. The grouping and order of merges change the result by rounding
// only.
func (c *Cluster) Merge(o Cluster) {
	c.Responses += o.Responses
	c.Domain.Merge(o.Domain)
	c.Pooled = c.Pooled || o.Pooled
}

// ClusterSample is what one stratum contributes to one estimate: a simple random sample without replacement of len(Due)
// of its Clusters. A stratum whose Population is 0 contributes nothing.
type ClusterSample struct {
	Stratum    string
	Population int64     // N_h, units in the frame
	Clusters   int64     // M_h, clusters in the frame
	Due        []Cluster // clusters that were due, for this statistic's sub-panel, also those where nobody reported
}

// responding counts the clusters in which somebody reported.
func (s ClusterSample) responding() int64 {
	n := int64(0)
	for _, c := range s.Due {
		if c.Responses > 0 {
			n++
		}
	}
	return n
}

// check reports the first law that the stratum breaks.
func (s ClusterSample) check() error {
	units := int64(0)
	for _, c := range s.Due {
		if c.Responses < 0 || c.Domain.Count > c.Responses || c.Responses > c.Size {
			return &Error{Code: Invalid, Stratum: s.Stratum, Detail: fmt.Sprintf(
				"want size ≥ responses ≥ domain ≥ 0 in a cluster, got %d, %d, %d", c.Size, c.Responses, c.Domain.Count)}
		}
		if !c.Domain.valid() {
			return &Error{Code: Invalid, Stratum: s.Stratum, Detail: "moments that no finite scores have"}
		}
		units += c.Size
	}
	due, answered := int64(len(s.Due)), s.responding()
	switch {
	case due > s.Clusters || units > s.Population || s.Clusters > s.Population:
		return &Error{Code: Invalid, Stratum: s.Stratum, Detail: fmt.Sprintf(
			"%d of %d clusters due, with %d of %d units", due, s.Clusters, units, s.Population)}
	case s.Population == 0:
		return nil
	case answered == 0:
		return &Error{Code: NoReports, Stratum: s.Stratum, Detail: fmt.Sprintf("%d clusters, %d due", s.Clusters, due)}
	case answered == 1 && s.Clusters > 1:
		return &Error{Code: Lonely, Stratum: s.Stratum, Detail: fmt.Sprintf("of %d clusters", s.Clusters)}
	}
	return nil
}

// ClusterMean returns the Hájek mean of the domain from a stratified one-stage cluster sample, Σ w y / Σ w 1, where all
// units of a cluster i of stratum h that reported weigh w = (M_h/m_h)·(B_i/r_i): m_h of the stratum's M_h clusters have a
// report, r_i of the cluster's B_i units.
//
// Silence is taken as random twice: a cluster that is silent as a whole among those that were due in its stratum, a
// silent unit among those of its cluster. So a cluster's frame size stands for its silent units, and m_h for the clusters
// that were drawn.
//
// The variance is that of two stages (Särndal, Swensson and Wretman 1992, §4.3 and §5.6) of the linearised scores
// z = 1_d (y − ȳ_d)/N̂_d: between the m_h totals u_i = Σ w z it is (1−f_h)·m_h/(m_h−1)·Σ(u_i − ū)² with f_h = m_h/M_h, and
// where units of a cluster were silent f_h times (1−r_i/B_i)·r_i/(r_i−1)·Σ(wz − mean)² within it. A cluster with one report
// of several units borrows the spread within the stratum's others; where there is none to borrow, and where a pooled cluster has silent
// units, the stratum's variance is that of ultimate clusters, f_h = 0, which is never too small on average. To this comes Σ π a² σ²
// with π = f_h r_i/B_i: the rest of the noise is in the spread of the scores already. For a pooled cluster that is the noise of its
// sum, once: all its units have one weight.
//
// With a pooled cluster DesignEffect is 0, for not known: what a sample of units would have given takes their spread.
//
// DegreesOfFreedom counts clusters with a report in the domain minus strata that have any. Panel counts units. Errors
// are those of [Mean], said of clusters: Lonely is a stratum with a report from one cluster of several.
func ClusterMean(strata []ClusterSample, confidence float64) (Estimate, error) {
	kept, err := weighClusters(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	var size, value float64 // N̂_d, ȳ_d
	for _, s := range kept {
		for _, c := range s.clusters {
			if part := c.weight * float64(c.Domain.Count); part > 0 {
				size += part
				value += (c.Domain.Mean - value) * (part / size)
			}
		}
	}
	p, err := clusterParts(kept, value, 1/size)
	if err != nil {
		return Estimate{}, err
	}
	e, err := p.clusterEstimate(kept, value, confidence)
	if err != nil {
		return Estimate{}, err
	}
	if !pooled(kept) {
		e.DesignEffect = ratio(p.total(), simpleClusterMean(kept, value, size, e.Reports))
	}
	return e.checked()
}

// ClusterTotal returns the total of the domain, Σ w y with the weights of [ClusterMean]: clusters' totals over the
// clusters' inclusion probability. Variance, degrees of freedom and errors are those of [ClusterMean] with z = 1_d y. It
// pays for clusters of different size, which a mean doesn't.
func ClusterTotal(strata []ClusterSample, confidence float64) (Estimate, error) {
	kept, err := weighClusters(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	value := 0.0
	for _, s := range kept {
		for _, c := range s.clusters {
			value += c.weight * float64(c.Domain.Count) * c.Domain.Mean
		}
	}
	p, err := clusterParts(kept, 0, 1)
	if err != nil {
		return Estimate{}, err
	}
	e, err := p.clusterEstimate(kept, value, confidence)
	if err != nil {
		return Estimate{}, err
	}
	if !pooled(kept) {
		e.DesignEffect = ratio(p.total(), simpleClusterTotal(kept, value))
	}
	return e.checked()
}

// ClusterProportion is [Proportion] for cluster samples: [ClusterMean] of bits with the score interval. Where all bits
// agree, and as the bound on A with noise, the units of a cluster count as one.
func ClusterProportion(strata []ClusterSample, confidence float64) (Estimate, error) {
	e, err := ClusterMean(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	return e.clusterScore(strata, confidence, func(c Cluster) int64 { return c.Domain.Count }, scored{scale: 1})
}

// ClusterShare is [Share] for cluster samples: the share of the domain's units that have one category, from the moments of [Tally.Bin].
// Each cluster's total is made first, so that scores that depend on each other, of one report or one release, need no
// covariance. The noise of reports follows the share as it does for [Share], that of releases is the same for all shares.
func ClusterShare(strata []ClusterSample, how Pure, confidence float64) (Estimate, error) {
	if err := how.Check(); err != nil {
		return Estimate{}, err
	}
	e, err := ClusterMean(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	return e.clusterScore(strata, confidence, func(c Cluster) int64 { return c.Domain.Count },
		scored{scale: 1, slope: how.Noise(1) - how.Noise(0)})
}

// ClusterCount is [Count] for cluster samples: [ClusterTotal] of bits with the score interval for the share of the whole
// population.
func ClusterCount(strata []ClusterSample, confidence float64) (Estimate, error) {
	e, err := ClusterTotal(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	population := 0.0
	for _, s := range strata {
		population += float64(s.Population)
	}
	return e.clusterScore(strata, confidence, func(c Cluster) int64 { return c.Responses }, scored{scale: population})
}

// clusterScore replaces the interval of e by the score interval; by has what a share of 1 is worth, and by how much the noise of one
// report grows with the share. reports says which units of a cluster the share is of. The share's size is the population
// for a count, else estimated.
func (e *Estimate) clusterScore(strata []ClusterSample, confidence float64, reports func(Cluster) int64, by scored) (Estimate, error) {
	kept, err := weighClusters(strata, confidence)
	if err != nil {
		return Estimate{}, err
	}
	size := by.scale
	if by.scale == 1 {
		size = clusterSize(kept)
	}
	each := by.slope
	by.slope = 0
	for _, s := range kept {
		for _, c := range s.clusters {
			w := c.weight / size
			n := float64(reports(c.Cluster))
			by.kish += (1 - s.fraction*c.share()) * w * w * n * n
			by.noise += w * w * c.Domain.Noise
			if !c.Pooled {
				by.slope += each * w * w * n
			}
		}
	}
	e.scoreFrom(by)
	return e.checked()
}

// clusterSize is N̂_d, the estimated number of units in the domain.
func clusterSize(strata []weighedStratum) float64 {
	size := 0.0
	for _, s := range strata {
		for _, c := range s.clusters {
			size += c.weight * float64(c.Domain.Count)
		}
	}
	return size
}

// CollapseClusters merges strata in which fewer than leastClusters clusters have a report, by the rule of [Collapse]. A
// cluster that stands in two merged strata was drawn in each and stays two.
func CollapseClusters(strata []ClusterSample, leastClusters int64) (merged []ClusterSample, mapping []int, notes []string) {
	samples := make([]Sample, len(strata))
	for i, s := range strata {
		samples[i] = Sample{Stratum: s.Stratum, Population: s.Population, Responses: s.responding()}
	}
	named, mapping, _ := Collapse(samples, leastClusters)
	merged = make([]ClusterSample, len(named))
	parts := make([]int, len(named))
	for i, s := range strata {
		into := &merged[mapping[i]]
		parts[mapping[i]]++
		into.Population += s.Population
		into.Clusters += s.Clusters
		into.Due = append(into.Due, s.Due...)
	}
	for i := range merged {
		merged[i].Stratum = named[i].Stratum
		if parts[i] > 1 {
			notes = append(notes, fmt.Sprintf("strata %s are estimated as one: below %d clusters with a report apart",
				named[i].Stratum, leastClusters))
		}
	}
	return merged, mapping, notes
}
