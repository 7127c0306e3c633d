package survey

import (
	"fmt"
	"math"
)

// weighedStratum is a stratum with the clusters that have a report and their weights.
type weighedStratum struct {
	ClusterSample
	fraction float64 // f_h = m_h/M_h, or 0 for the variance of ultimate clusters
	clusters []weighedCluster
}

// weighedCluster is a cluster with a report. All its reports have one weight, (M_h/m_h)·(B_i/r_i).
type weighedCluster struct {
	Cluster
	weight float64
}

// share returns r_i/B_i.
func (c weighedCluster) share() float64 { return float64(c.Responses) / float64(c.Size) }

// weighClusters checks everything and weighs the clusters of the strata that have a population.
func weighClusters(strata []ClusterSample, confidence float64) ([]weighedStratum, error) {
	if !(confidence > 0 && confidence < 1) {
		return nil, &Error{Code: Invalid, Detail: "the confidence must lie between 0 and 1"}
	}
	var kept []weighedStratum
	members := int64(0)
	for _, s := range strata {
		if err := s.check(); err != nil {
			return nil, err
		}
		if s.Population == 0 {
			continue
		}
		w := weighedStratum{ClusterSample: s, fraction: float64(s.responding()) / float64(s.Clusters)}
		lone, pairs, hidden := false, false, false
		for _, c := range s.Due {
			if c.Responses == 0 {
				continue
			}
			weighed := weighedCluster{Cluster: c, weight: float64(c.Size) / (w.fraction * float64(c.Responses))}
			w.clusters = append(w.clusters, weighed)
			members += c.Domain.Count
			hidden = hidden || c.Pooled && c.Responses < c.Size
			lone = lone || c.Responses == 1 && c.Size > 1
			pairs = pairs || c.Responses > 1 && !c.Pooled
		}
		if hidden || lone && !pairs {
			if len(w.clusters) == 1 {
				return nil, &Error{Code: Lonely, Stratum: s.Stratum, Detail: "its only cluster doesn't tell how its units differ"}
			}
			w = w.ultimate()
		}
		kept = append(kept, w)
	}
	if members == 0 {
		return nil, &Error{Code: NoDomain, Detail: fmt.Sprintf("%d strata", len(kept))}
	}
	return kept, nil
}

// ultimate takes the finite-population correction away; the weights stay.
func (s weighedStratum) ultimate() weighedStratum {
	s.fraction = 0
	return s
}

// pooled tells whether the spread of some units is hidden.
func pooled(strata []weighedStratum) bool {
	for _, s := range strata {
		for _, c := range s.clusters {
			if c.Pooled {
				return true
			}
		}
	}
	return false
}

// clusterParts returns the variance of Σ scale·w·(y − centre) over the domain.
func clusterParts(strata []weighedStratum, centre, scale float64) (parts, error) {
	var p parts
	for _, s := range strata {
		p.design += s.between(centre, scale) + s.fraction*s.within(centre, scale)
		for _, c := range s.clusters {
			noise := scale * scale * c.weight * c.weight * c.Domain.Noise
			p.noise += noise
			p.share += s.fraction * c.share() * noise
		}
	}
	if !finite(p.design, p.noise, p.share) {
		return p, &Error{Code: Range}
	}
	return p, nil
}

// between returns (1−f)·m/(m−1)·Σ(u_i − ū)².
func (s weighedStratum) between(centre, scale float64) float64 {
	if s.fraction == 1 || len(s.clusters) == 1 {
		return 0
	}
	var u Moments
	for _, c := range s.clusters {
		u.Add(scale*c.weight*float64(c.Domain.Count)*(c.Domain.Mean-centre), 0)
	}
	m := float64(u.Count)
	return (1 - s.fraction) * m / (m - 1) * u.M2
}

// within returns Σ (1−r_i/B_i)·r_i·S_i² over the clusters with silent units, S_i² being the variance of a unit's
// contribution among the r_i, or that of all clusters together for a cluster with one report.
func (s weighedStratum) within(centre, scale float64) float64 {
	var pooled, degrees float64 // of scores, without weight
	for _, c := range s.clusters {
		if c.Responses > 1 && !c.Pooled {
			pooled += c.Domain.spreadWithZeros(c.Responses, centre)
			degrees += float64(c.Responses - 1)
		}
	}
	sum := 0.0
	for _, c := range s.clusters {
		if c.Responses == c.Size {
			continue
		}
		square := 0.0
		switch {
		case c.Responses > 1:
			square = c.Domain.spreadWithZeros(c.Responses, centre) / float64(c.Responses-1)
		case degrees > 0:
			square = pooled / degrees
		}
		a := scale * c.weight
		sum += (1 - c.share()) * float64(c.Responses) * a * a * square
	}
	return sum
}

// clusterEstimate returns everything but the design effect.
func (p parts) clusterEstimate(strata []weighedStratum, value, confidence float64) (Estimate, error) {
	e := Estimate{Value: value, Confidence: confidence}
	var responses, degrees, answered int64
	var weights, squares float64 // of the clusters' shares of the domain
	for _, s := range strata {
		for _, c := range s.Due {
			e.Panel += c.Size
		}
		inDomain := int64(0)
		for _, c := range s.clusters {
			responses += c.Responses
			e.Reports += c.Domain.Count
			if c.Domain.Count > 0 {
				inDomain++
				share := c.weight * float64(c.Domain.Count)
				weights += share
				squares += share * share
			}
		}
		answered += inDomain
		degrees += max(0, inDomain-1)
	}
	e.ResponseRate = float64(responses) / float64(e.Panel)
	if degrees < 1 {
		return Estimate{}, &Error{Code: NoFreedom, Detail: fmt.Sprintf("%d clusters in the domain", answered)}
	}
	e.DegreesOfFreedom = float64(degrees)
	total := p.total()
	e.VariancePrivacy = min(p.noise, total)
	e.VarianceSampling = total - e.VariancePrivacy
	e.StdError = math.Sqrt(total)
	half := quantileT(confidence, e.DegreesOfFreedom) * e.StdError
	e.Low, e.High = value-half, value+half
	switch equal := weights * weights / squares; {
	case answered < fewReports:
		e.Warnings = append(e.Warnings, fmt.Sprintf("only %d clusters with reports: the interval is approximate", answered))
	case equal < fewReports:
		e.Warnings = append(e.Warnings, fmt.Sprintf("clusters of very different size, %d of them worth %.3g of one size: the "+
			"interval may be too short", answered, equal))
	}
	return e, nil
}

// simpleClusterMean is simpleMean over clusters.
func simpleClusterMean(strata []weighedStratum, value, size float64, members int64) float64 {
	var squares, noise float64
	for _, s := range strata {
		for _, c := range s.clusters {
			w, shift := c.weight/size, c.Domain.Mean-value
			squares += w * (c.Domain.M2 + float64(c.Domain.Count)*shift*shift)
			noise += w * c.Domain.Noise
		}
	}
	return simple(squares, noise, float64(members), size)
}

// simpleClusterTotal is simpleTotal over clusters.
func simpleClusterTotal(strata []weighedStratum, value float64) float64 {
	var population, responses float64
	for _, s := range strata {
		population += float64(s.Population)
		for _, c := range s.clusters {
			responses += float64(c.Responses)
		}
	}
	mean := value / population
	var squares, noise float64
	for _, s := range strata {
		for _, c := range s.clusters {
			w := c.weight / population
			d, outside := float64(c.Domain.Count), float64(c.Responses-c.Domain.Count)
			squares += w * (c.Domain.M2 + d*(c.Domain.Mean-mean)*(c.Domain.Mean-mean) + outside*mean*mean)
			noise += w * c.Domain.Noise
		}
	}
	return population * population * simple(squares, noise, responses, population)
}
