package plan

import (
	"fmt"
	"slices"

	"github.com/quadrat-dev/quadrat/query/script"
)

// kindsRepeated are the statistics whose windows may hold two answers of one device: there are covariances for them.
func kindsRepeated() []string { return []string{"mean", "total", "proportion", "count"} }

// turn is after how many panes a device answers a question again when a lap has so many: with several questions they take turns. The
// two parts of a ratio are one question here, since both stand in one result.
func (q *question) turn(a *asked, lap int64) int64 {
	if a.part != "" {
		return lap
	}
	return lap * int64(q.slots())
}

// apart tells whether no window holds two answers of one device, where that must not be.
func (q *question) apart(lap int64) bool { return q.repeated(lap) == nil }

// repeated is the first question of which a window would hold two answers of one device, for which there is no estimator; nil for none.
func (q *question) repeated(lap int64) *asked {
	if q.panes == 1 {
		return nil
	}
	for i := range q.asked {
		a := &q.asked[i]
		if q.panes > q.turn(a, lap) && (q.clustered() != "" || !slices.Contains(kindsRepeated(), a.stat.Kind)) {
			return a
		}
	}
	return nil
}

// checkPanes refuses a window that would hold two answers of one device where there is no estimator for that.
func (d *design) checkPanes() error {
	a := d.q.repeated(d.lap)
	if a == nil || d.size == 0 {
		return nil
	}
	what, hint := a.stat.Kind, "mean, total, proportion and count can"
	if d.q.clustered() != "" {
		what, hint = what+" of clusters", "samples of devices can"
	}
	w := d.q.script.Window
	if again := d.q.turn(a, d.lap) * d.q.windowMs; again > d.q.windowMs {
		hint += ", or WINDOW " + durationText(again) + " EVERY " + w.Every.String()
	} else {
		hint += ", or leave EVERY out"
	}
	return &script.UnsupportedError{
		Line: w.Every.Pos.Line, Column: w.Every.Pos.Column, Hint: hint,
		Feature: fmt.Sprintf("%s over windows that hold several answers of one device, which answers every %s,", what,
			durationText(d.q.turn(a, d.lap)*d.q.windowMs)),
	}
}

// fall tells by how much the variance of a pane's estimate falls over the panes of a window: of that by sampling as many panes count
// as have different devices, of the noise all. That of devices which answer again is supposed to stay.
func (d *design) fall(i int) (sampling, noise float64) {
	return float64(min(d.q.panes, d.q.turn(&d.q.asked[i], d.lap))), float64(d.q.panes)
}

// panesText says what a window of EVERY means.
func (d *design) panesText() []string {
	if d.q.panes == 1 {
		return nil
	}
	w := d.q.script.Window
	out := []string{fmt.Sprintf("each window of %s is %d panes of %s, and a result comes with each pane: results next to each other share %d "+
		"panes. A device answers for a pane and summarises its readings of the pane; totals and counts are the mean over the panes; margins "+
		"and numbers of reports are of a whole window, panels of a pane", w.Length, d.q.panes, w.Every, d.q.panes-1)}
	for i := range d.q.asked {
		if a := &d.q.asked[i]; a.leads() && d.q.panes > d.q.turn(a, d.lap) {
			out = append(out, fmt.Sprintf("a window of %s holds several answers of one device, which answers every %s: its margin supposes that "+
				"readings stay as they are", a.stat.Name(), durationText(d.q.turn(a, d.lap)*d.q.windowMs)))
		}
	}
	return out
}

// windowText is the WINDOW clause with windows, or panes, of another length.
func (q *question) windowText(windowMs int64) string {
	text := "WINDOW " + durationText(windowMs*q.panes)
	if q.panes > 1 {
		text += " EVERY " + durationText(windowMs)
	}
	return text
}
