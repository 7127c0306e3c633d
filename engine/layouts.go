package engine

import (
	"slices"
	"strings"
	"weak"
)

// layouts is one layout for all windows, of whatever kappa, whose frames have the same strata, cells and groups. It keeps none alive.
type layouts map[string]weak.Pointer[layout]

// share puts the layout that others have in the place of a window's own. One with a panel stays, since the panel goes before it.
func (l layouts) share(w *window) {
	if w.plan.keeps {
		return
	}
	key := w.layout.fingerprint + "\x00" + strings.Join(w.layout.strata, "\x00")
	if same := l[key].Value(); same != nil && same.is(w.layout) {
		w.layout = same
		return
	}
	l[key] = weak.Make(w.layout)
}

// tidy forgets the layouts that are gone.
func (l layouts) tidy() {
	for key, p := range l {
		if p.Value() == nil {
			delete(l, key)
		}
	}
}

// is tells whether two layouts say the same.
func (l *layout) is(other *layout) bool {
	sameCell := func(a, b cell) bool { return a.text == b.text }
	return l == other || slices.Equal(l.strata, other.strata) && slices.Equal(l.groups, other.groups) &&
		slices.EqualFunc(l.cells, other.cells, sameCell) && slices.Equal(l.clusters, other.clusters)
}
