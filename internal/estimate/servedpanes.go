package estimate

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/quadrat-dev/quadrat/internal/restate"
	"github.com/quadrat-dev/quadrat/internal/tabular"
)

// Folders of an export, and columns of exported strata.
const (
	reportsFolder = "reports"
	strataFolder  = "strata"
	panelColumn   = "panel"
	drawnColumn   = "clusters"
	panesColumn   = "window_panes"
	turnColumn    = "turn_panes"
)

// drawnPane is what strata tell of a statistic in a pane.
type drawnPane struct {
	strata               []restate.Drawn
	length               time.Duration
	revision, span, turn int64
}

func (k *sampleKey) series() seriesKey { return seriesKey{k.kappa, k.statistic} }

// isFolder tells whether there is such a folder. Whoever opens it meets what else may be wrong.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// exported finds the tables of an export: its reports in place of the folder that holds results and strata, too, and the strata; data
// itself and nothing where it is no such folder.
func exported(data string) (reports, strata string) {
	reports = data
	if inside := filepath.Join(data, reportsFolder); isFolder(inside) {
		reports = inside
	} else if filepath.Base(data) != reportsFolder || !isFolder(data) {
		return data, ""
	}
	if strata = filepath.Join(filepath.Dir(filepath.Clean(reports)), strataFolder); !isFolder(strata) {
		strata = ""
	}
	return reports, strata
}

// readStrata reads the strata that lie beside the reports, for kappas whose results are about several panes.
func (r *server) readStrata() error {
	if r.strata == "" {
		return nil
	}
	names, err := tabular.Columns(r.strata)
	if err != nil {
		return err
	}
	if !slices.Contains(names, panesColumn) {
		return &UsageError{"data", "the strata beside the reports lack the column " + panesColumn + ": export them again"}
	}
	labels := []string{windowColumn, endColumn, statisticColumn, stratumColumn}
	if slices.Contains(names, kappaColumn) {
		labels = append(labels, kappaColumn)
	}
	table, err := tabular.Read(r.strata, tabular.Want{
		Labels: labels, Numbers: []string{populationColumn, panelColumn, drawnColumn, revisionColumn, panesColumn, turnColumn},
	})
	if err != nil {
		return err
	}
	t := rows{table}
	starts, err := t.moments(windowColumn)
	if err != nil {
		return err
	}
	ends, err := t.moments(endColumn)
	if err != nil {
		return err
	}
	for row := range t.Rows {
		start, end := t.Label(windowColumn).Codes[row], t.Label(endColumn).Codes[row]
		if !(t.maybe(panesColumn, row) > 1) {
			continue
		}
		if start < 0 || end < 0 || t.number(turnColumn, row) < 1 || !ends[end].After(starts[start]) {
			return t.At(panesColumn, row+1, "a row without its window, or without turn_panes")
		}
		key := sampleKey{t.text(kappaColumn, row), t.text(statisticColumn, row), starts[start]}
		r.hops[key.series()] = true
		r.drawn[key] = r.drawn[key].with(restate.Drawn{
			Stratum: t.text(stratumColumn, row), Population: t.whole(populationColumn, row), Clusters: t.whole(drawnColumn, row), Panel: t.whole(panelColumn, row),
		})
		p := r.drawn[key]
		p.length, p.revision, p.span, p.turn = ends[end].Sub(starts[start]), t.whole(revisionColumn, row), t.whole(panesColumn, row), t.whole(turnColumn, row)
	}
	return nil
}

// with is a pane with one more stratum.
func (p *drawnPane) with(d restate.Drawn) *drawnPane {
	if p == nil {
		p = &drawnPane{}
	}
	p.strata = append(p.strata, d)
	return p
}

// draw tells the windows of their strata, and makes those in which nobody answered: as the same was asked in the window with answers
// that is next before them, or after.
func (r *server) draw() error {
	known := map[seriesKey][]sampleKey{}
	for key := range r.asked {
		known[key.series()] = append(known[key.series()], key)
	}
	for key, p := range r.drawn {
		others := known[key.series()]
		if len(others) == 0 {
			continue // not asked for, or nobody answered at all
		}
		if r.windows[key] == nil {
			nearest := slices.MinFunc(others, func(a, b sampleKey) int {
				far := func(k sampleKey) time.Duration {
					if k.start.After(key.start) {
						return math.MaxInt64 / 2
					}
					return key.start.Sub(k.start)
				}
				return cmp.Or(cmp.Compare(far(a), far(b)), a.start.Compare(b.start))
			})
			w, err := restate.NewWindow(r.asked[nearest], true)
			if err != nil {
				return fmt.Errorf("%s: %w", key.statistic, err)
			}
			r.asked[key], r.windows[key] = r.asked[nearest], w
		}
		for _, d := range p.strata {
			if err := r.windows[key].Draw(d); err != nil {
				return &UsageError{"data", "strata beside the reports: " + err.Error()}
			}
		}
	}
	return nil
}

// hop puts panes together, so that windows are those of the results.
func (r *server) hop() error {
	made, asked := map[sampleKey]*restate.Window{}, map[sampleKey]restate.Asked{}
	for key, w := range r.windows {
		if !r.hops[key.series()] {
			made[key], asked[key] = w, r.asked[key]
			continue
		}
		newest := r.drawn[key]
		start := key.start.Add(-newest.length * time.Duration(newest.span-1))
		var panes []restate.Pane
		for at := start; !at.After(key.start); at = at.Add(newest.length) {
			one := sampleKey{key.kappa, key.statistic, at}
			if p := r.drawn[one]; p != nil {
				panes = append(panes, restate.Pane{
					Window: r.windows[one], Start: at, Index: at.UnixMilli() / p.length.Milliseconds(), Revision: p.revision, Turn: p.turn,
				})
			}
		}
		whole, err := restate.Hop(panes, newest.span)
		if err != nil {
			return fmt.Errorf("%s: %w", key.statistic, err)
		}
		to := sampleKey{key.kappa, key.statistic, start}
		made[to], asked[to] = whole, r.asked[key]
	}
	r.windows, r.asked = made, asked
	return nil
}
