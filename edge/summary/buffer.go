package summary

import "github.com/quadrat-dev/quadrat/privacy"

// windowsKept is how many windows of one length a buffer holds: the one that fills, and those that wait to be asked for.
const windowsKept = 4

// Series names readings and the length of the windows that they are summarised in.
type Series struct {
	Capability string
	Reading    string
	WindowMs   int64
}

// Buffer keeps the running summaries of the series that the device's plans ask for. It is not safe for concurrent use.
type Buffer struct {
	series map[Series]*ring
}

// ring holds the summaries of the latest windows of one series.
type ring struct {
	sinceMs int64 // when listening began
	index   [windowsKept]int64
	summary [windowsKept]Summary
}

// NewBuffer returns an empty buffer.
func NewBuffer() *Buffer { return &Buffer{series: make(map[Series]*ring)} }

// Want says which series are asked for from now on. A new one begins to listen now; one that isn't named is forgotten.
func (b *Buffer) Want(nowMs int64, wanted []Series) {
	keep := make(map[Series]*ring, len(wanted))
	for _, s := range wanted {
		if s.WindowMs <= 0 {
			continue
		}
		r, ok := b.series[s]
		if !ok {
			r = &ring{sinceMs: nowMs}
			for i := range r.index {
				r.index[i] = -1
			}
		}
		keep[s] = r
	}
	b.series = keep
}

// Add takes a reading of the moment atMs into every series that it belongs to. A reading of a window that is older than
// those kept is left out.
func (b *Buffer) Add(capability, reading string, atMs int64, x privacy.Micro) {
	if atMs < 0 {
		return
	}
	for s, r := range b.series {
		if s.Capability == capability && s.Reading == reading {
			r.add(atMs/s.WindowMs, s.WindowMs, x)
		}
	}
}

func (r *ring) add(window, windowMs int64, x privacy.Micro) {
	at := window % windowsKept
	if r.index[at] > window {
		return
	}
	if r.index[at] < window {
		r.index[at], r.summary[at] = window, Summary{}
		if window*windowMs < r.sinceMs {
			r.summary[at].MarkPartial()
		}
	}
	r.summary[at].Add(x)
}

// Summary returns the summary of one window of a series; one without readings when there are none or the window is no
// longer kept.
func (b *Buffer) Summary(s Series, window int64) Summary {
	r, ok := b.series[s]
	if !ok || window < 0 || r.index[window%windowsKept] != window {
		return Summary{}
	}
	return r.summary[window%windowsKept]
}
