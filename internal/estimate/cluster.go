package estimate

import (
	"github.com/quadrat-dev/quadrat/internal/tabular"
	"github.com/quadrat-dev/quadrat/survey/design"
)

// Columns of exported reports of a cluster sample.
const (
	clusterColumn = "cluster"
	deviceColumn  = "device"
	// noCluster is the cluster of devices that lack the attribute: each is a cluster of its own.
	noCluster = "(missing)"
)

// silentClusters is what an export of a cluster sample can't know.
const silentClusters = "of a cluster sample the export keeps the weights of the design: where devices that were due stayed silent, the server's results differ"

// clusters refuses to take reports of a cluster sample for one of devices: the standard error would be too small.
func (r *runner) clusters() error {
	if !r.clustered || len(r.Cluster) > 0 {
		return nil
	}
	for k, code := range r.table.Label(clusterColumn).Codes {
		if code >= 0 && (r.inside == nil || r.inside[k]) {
			return &UsageError{"cluster", "these reports are of a cluster sample: give --cluster cluster --pi pi, and no --fpc"}
		}
	}
	return nil
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
