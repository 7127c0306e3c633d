package plan

import (
	"fmt"
	"math"
	"time"
)

const (
	statesKept  = 7 * 24 * time.Hour // how long an engine keeps closed windows for late reports, unless it is told otherwise
	statesAloud = 64 << 20           // bytes of them above which a plan says so
	countBytes  = 8
)

// stateBytes predicts what an engine's memory holds of the statistics of categories of one window: a count for each category of each
// stratum and cell that somebody reports from, and of a quantile another one for each edge. A group is heard of unless all its
// expected reports, n of a stratum, fail to be in it (Poisson).
func (d *design) stateBytes(n []float64) float64 {
	heard := 0.0
	for h, s := range d.strata {
		if d.q.clustered() != "" { // each cluster counts for itself
			heard += n[h] * float64(max(1, len(d.cells)))
			continue
		}
		if len(d.cells) == 0 {
			heard += -math.Expm1(-n[h])
		}
		for c := range d.cells {
			heard += -math.Expm1(-n[h] * float64(s.inCell(c)) / float64(max(1, s.units)))
		}
	}
	counts := 0.0
	for i, a := range d.answers {
		counts += float64(a.bins)
		if d.q.asked[i].share > 0 {
			counts += float64(a.bins - 1)
		}
	}
	return heard * counts * countBytes
}

// warnStates says how much memory the closed windows of categories take when that is much.
func (d *design) warnStates(n []float64) []string {
	windows := math.Ceil(float64(statesKept.Milliseconds()) / float64(d.q.windowMs))
	bytes := d.stateBytes(n) * windows
	if bytes <= statesAloud {
		return nil
	}
	return []string{fmt.Sprintf("an engine that keeps closed windows for late reports for %d days holds about %s of counts of categories in memory; "+
		"a longer WINDOW, fewer categories, strata or cells take less", int(statesKept.Hours()/24), sizeText(bytes))}
}

// sizeText writes a number of bytes.
func sizeText(bytes float64) string {
	if bytes < 1<<30 {
		return fmt.Sprintf("%.0f MiB", bytes/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", bytes/(1<<30))
}
