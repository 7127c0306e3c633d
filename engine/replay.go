package engine

import (
	"errors"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// errReplay says that a message of another kappa, revision or closed window came to a Replay.
var errReplay = errors.New("replay: reports of another kappa or revision")

// Replay counts messages of REPORTS into the windows of one kappa, by the engine's own code, without a stream, a sink or a
// checkpoint. It is for measuring; it never makes results. Not safe for concurrent use.
type Replay struct {
	kappa   *kappa
	frames  Frames
	columns reports
	said    release
	verdict verdict
}

// NewReplay makes a Replay of a kappa.
func NewReplay(record *quadratv1.KappaRecord, frames Frames) (*Replay, error) {
	k, err := newKappa(record)
	if err != nil {
		return nil, err
	}
	return &Replay{kappa: k, frames: frames}, nil
}

// Take decodes one message, leaves out devices that were heard before, and counts the others. It fails for a message that
// can't be read or that holds reports of another kappa or revision.
func (r *Replay) Take(message []byte) (counted int, err error) {
	failed := decodeBatch(message, &r.columns, func(c *reports) {
		if w := r.open(c.kappa, c.window, c.revision); w != nil {
			r.verdict.reset()
			w.count(c, &r.verdict, nil, 0)
			counted += r.verdict.counted
			return
		}
		err = errReplay
	}, &r.said, func(c *release) {
		w := r.open(c.kappa, c.window, c.revision)
		if w == nil {
			err = errReplay
		} else if refused, ok := w.countRelease(c); ok && refused != causeDuplicate {
			counted++
		}
	})
	return counted, errors.Join(failed, err)
}

// open gives the window of a report, nil for one of another kappa or revision.
func (r *Replay) open(ref []byte, index int64, revision uint64) *window {
	p := r.kappa.at(index)
	if p == nil || string(ref) != p.ref || uint64(p.revision) != revision {
		return nil
	}
	w, _ := r.kappa.open(r.frames, p, index)
	return w
}

// Forget drops all windows; the next message opens its window anew.
func (r *Replay) Forget() { clear(r.kappa.windows) }
