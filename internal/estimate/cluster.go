package estimate

import (
	"slices"

	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey/design"
)

// Columns of exported reports of a cluster sample.
const (
	clusterColumn = "cluster"
	deviceColumn  = "device"
	sizeColumn    = "cluster_population"
	numberColumn  = "stratum_clusters"
	// noCluster is the cluster of devices that lack the attribute: each is a cluster of its own.
	noCluster        = "(missing)"
	stratumColumn    = "stratum"
	populationColumn = "stratum_population"
)

// What is said of a cluster sample that isn't estimated as the server does.
const (
	sizedFlags     = "--stratum stratum --cluster cluster,device --fpc stratum_clusters,cluster_population"
	unsizedCluster = "of a cluster sample this export lacks the sizes of clusters: where devices that were due stayed silent, the server's results differ"
	otherDesign    = "where devices that were due stayed silent, the server's results differ: for those give " + sizedFlags
)

// recognise says how exported reports of a cluster sample are estimated, from the columns that they have. With the
// columns of two stages a cluster with one report borrows as in the server, unless --lonely says otherwise.
func (p *plan) recognise(names []string) {
	p.clustered = slices.Contains(names, clusterColumn) && slices.Contains(names, deviceColumn)
	p.sized = p.clustered && slices.Contains(names, sizeColumn) && slices.Contains(names, numberColumn)
	if p.served() && p.Lonely == "" {
		p.lonely = design.LonelyBorrow
	}
}

// served says whether the flags ask for what the server computes.
func (p *plan) served() bool {
	return p.sized && p.Stratum == stratumColumn && slices.Equal(p.Cluster, []string{clusterColumn, deviceColumn}) &&
		slices.Equal(p.FPC, []string{numberColumn, sizeColumn})
}

// caveat says where the estimate of a cluster sample may differ from the server's; empty where it doesn't.
func (p *plan) caveat() string {
	switch {
	case !p.clustered || len(p.Cluster) == 0 || p.served():
		return ""
	case p.sized:
		return otherDesign
	}
	return unsizedCluster
}

// clusters refuses to take reports of a cluster sample for one of devices: the standard error would be too small.
func (r *runner) clusters() error {
	if !r.clustered || len(r.Cluster) > 0 {
		return nil
	}
	for k, code := range r.table.Label(clusterColumn).Codes {
		if code >= 0 && (r.inside == nil || r.inside[k]) {
			flags := "--cluster cluster --pi pi, and no --fpc"
			if r.sized {
				flags = sizedFlags
			}
			return &UsageError{"cluster", "these reports are of a cluster sample: give " + flags}
		}
	}
	return nil
}

// population returns the units of the frame that some exported reports of a cluster sample stand for, whose weights don't
// add up to it; 0 for other samples, and where calibration says what they add up to. Each stratum says its own.
func (p *plan) population(t *tabular.Table, rows []int32, stratum *design.Factor) float64 {
	if !p.clustered || p.Stratum != stratumColumn || len(p.Cluster) == 0 || p.margins != nil || p.auxiliary != nil {
		return 0
	}
	sum, seen := 0.0, make([]bool, len(stratum.Levels))
	for i, n := range pick(t.Number(populationColumn), rows) {
		if code := stratum.Codes[i]; code >= 0 && !seen[code] {
			seen[code] = true
			sum += n
		}
	}
	return sum
}

// units returns the clusters of some rows. In exported reports a device without one is a cluster of its own.
func (p *plan) units(t *tabular.Table, name string, rows []int32) *design.Factor {
	f := factor(t, name, rows)
	if !p.clustered || name != clusterColumn {
		return f
	}
	lone := int32(-1)
	for code, level := range f.Levels {
		if level == noCluster {
			lone = int32(code)
		}
	}
	if lone < 0 {
		return f
	}
	devices := factor(t, deviceColumn, rows)
	shift := int32(len(f.Levels))
	out := &design.Factor{Codes: append([]int32(nil), f.Codes...), Levels: append(append([]string(nil), f.Levels...), devices.Levels...)}
	for k, code := range out.Codes {
		if code == lone {
			out.Codes[k] = -1
			if device := devices.Codes[k]; device >= 0 {
				out.Codes[k] = shift + device
			}
		}
	}
	return out
}
