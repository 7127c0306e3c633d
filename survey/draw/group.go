package draw

import "math/rand/v2"

// members lists the units of each group 0 … groups−1, in frame order.
func members(labels []int, groups int) ([][]int, error) {
	out := make([][]int, groups)
	for k, g := range labels {
		if g < 0 || g >= groups {
			return nil, invalid("unit %d: the group %d is not among 0 … %d", k, g, groups-1)
		}
		out[g] = append(out[g], k)
	}
	return out, nil
}

// Stratified draws a simple random sample of sizes[h] units, independently, from the units of each stratum h; strata holds
// each unit's stratum, 0 … len(sizes)−1. A stratum with units and the size 0 would never be seen and is an error, as is a
// size above the stratum's units.
func Stratified(src rand.Source, strata, sizes []int) (Sample, error) {
	units, err := members(strata, len(sizes))
	if err != nil {
		return Sample{}, err
	}
	r := rand.New(src)
	pi := make([]float64, len(strata)) // 0: not drawn
	total := 0
	for h, n := range sizes {
		population := len(units[h])
		switch {
		case n < 0 || n == 0 && population > 0:
			return Sample{}, invalid("stratum %d: want a size of at least 1, not %d", h, n)
		case n > population:
			return Sample{}, infeasible(population, "stratum %d: %d units of %d", h, n, population)
		}
		total += n
		for _, i := range choose(r, population, n) {
			pi[units[h][i]] = float64(n) / float64(population)
		}
	}
	if total == 0 {
		return Sample{}, invalid("want at least one unit")
	}
	return gather(pi, nil), nil
}

// gather makes a sample of the units with a probability above 0, ascending.
func gather(pi []float64, groups []int) Sample {
	var s Sample
	for k, p := range pi {
		if p == 0 {
			continue
		}
		s.Units = append(s.Units, k)
		s.Pi = append(s.Pi, p)
		if groups != nil {
			s.Groups = append(s.Groups, groups[k])
		}
	}
	return s
}

// OneStage draws a simple random sample of m clusters and takes all their units; π = m/M. clusters holds each unit's cluster,
// 0 … M−1, and each of these has a unit.
func OneStage(src rand.Source, clusters []int, m int) (Sample, error) {
	return staged(src, clusters, m, nil)
}

// TwoStage draws a simple random sample of m clusters, then of sizes[i] units in each chosen cluster i, independently; π =
// (m/M)(n_i/N_i). sizes has an entry from 1 to N_i for every cluster, chosen or not, since it must be fixed before.
func TwoStage(src rand.Source, clusters []int, m int, sizes []int) (Sample, error) {
	if sizes == nil {
		return Sample{}, invalid("want the sizes of the second stage")
	}
	return staged(src, clusters, m, sizes)
}

func staged(src rand.Source, clusters []int, m int, sizes []int) (Sample, error) {
	count := 0
	for _, g := range clusters {
		count = max(count, g+1)
	}
	if count > len(clusters) {
		return Sample{}, invalid("%d clusters of %d units: one has no unit", count, len(clusters))
	}
	if err := checkSize(count, m); err != nil {
		return Sample{}, err
	}
	units, err := members(clusters, count)
	if err != nil {
		return Sample{}, err
	}
	if sizes != nil && len(sizes) != count {
		return Sample{}, invalid("%d sizes for %d clusters", len(sizes), count)
	}
	for i, u := range units {
		switch {
		case len(u) == 0:
			return Sample{}, invalid("cluster %d has no unit", i)
		case sizes != nil && sizes[i] < 1:
			return Sample{}, invalid("cluster %d: want a size of at least 1, not %d", i, sizes[i])
		case sizes != nil && sizes[i] > len(u):
			return Sample{}, infeasible(len(u), "cluster %d: %d units of %d", i, sizes[i], len(u))
		}
	}
	r := rand.New(src)
	first := float64(m) / float64(count)
	pi := make([]float64, len(clusters))
	for _, i := range choose(r, count, m) {
		n := len(units[i])
		if sizes != nil {
			n = sizes[i]
		}
		for _, j := range choose(r, len(units[i]), n) {
			pi[units[i][j]] = first * (float64(n) / float64(len(units[i])))
		}
	}
	return gather(pi, clusters), nil
}
