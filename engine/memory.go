package engine

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"unsafe"

	"github.com/nats-io/nats.go/jetstream"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// What things take in memory, in bytes, as Go lays them out; measured by TestStatesTakeWhatTheyAreCountedFor.
const (
	messageBytes = 320 // a message of REPORTS beside its content
	resultBytes  = 1536
	stratumBytes = 192
	windowBytes  = 512 // a window without its groups
	rowBytes     = 8   // a device of a frame, beside its entry and its turn
	groupBytes   = 64
	cellBytes    = 640
	clusterBytes = 96
	supportBytes = 56 // the sets' state of a group without its counts
	momentsBytes = 32
	tailsBytes   = 16
	toldBytes    = 24
	pullBytes    = 9 << 20
)

// pull bounds what a consumer holds ahead of the queue: in messages, and in bytes by two of its requests.
func (e *Engine) pull() jetstream.PullMessagesOpt {
	limit := e.config.Memory.Queue.Limit()
	if limit == 0 {
		return jetstream.PullMaxMessages(pullMessages)
	}
	return jetstream.PullMaxMessagesWithBytesLimit(pullMessages, int(max(limit/4, pullBytes)))
}

// bytes is what a message takes in the queue.
func (m *message) bytes() int64 {
	n := int64(len(m.data)) + messageBytes
	if m.round != nil {
		n += m.round.bytes
	}
	return n
}

// bytes is what was gathered of a window takes, as decoded.
func (g *gathered) bytes() int64 {
	n := int64(unsafe.Sizeof(*g)) + int64(len(g.slots))*int64(unsafe.Sizeof(gatheredSlot{})) + 4*int64(len(g.ranks)) + 8*int64(len(g.values))
	for i := range g.slots {
		s := &g.slots[i]
		n += 8 * int64(len(s.released)+len(s.support.Hits)+len(s.support.Squares))
	}
	return n
}

// ahead is how many parts of handovers are read ahead of each share: so many that those of all shares, full ones, take half the queue's room,
// and at least one. They aren't taken from the account: a share that is ahead must not take the room of one that is waited for.
func (e *Engine) ahead() int {
	most := e.config.QueueMessages/8 + 1
	limit := e.config.Memory.Queue.Limit()
	if limit == 0 {
		return most
	}
	return int(min(max(limit/2/int64(e.config.Part.Shares)/handoverBytes, 1), int64(most)))
}

// reserve waits until the queue has room for a message: meanwhile nothing more is pulled from the broker, which keeps it on disk. A
// message that is larger than all the room waits until it is alone. It tells whether ctx goes on.
func (e *Engine) reserve(ctx context.Context, m *message) bool {
	queue := e.config.Memory.Queue
	for !queue.Take(m.bytes()) {
		if queue.Used() == 0 {
			queue.Add(m.bytes())
			return true
		}
		select {
		case <-e.taken:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// release gives the room of a message back.
func (e *Engine) release(m *message) {
	e.config.Memory.Queue.Give(m.bytes())
	select {
	case e.taken <- struct{}{}:
	default:
	}
}

// weighRows brings the account of rows up to what waits in a kappa.
func (e *Engine) weighRows(k *kappa) {
	now := k.rows.Bytes()
	e.config.Memory.Rows.Add(now - k.rowsBytes)
	k.rowsBytes = now
}

// tell puts results and strata of a window into the output and their bytes into the account of rows.
func (e *Engine) tell(out *output, results []*quadratv1.Result) {
	out.results = append(out.results, results...)
	e.config.Memory.Rows.Add(int64(len(results)) * resultBytes)
}

func (e *Engine) tellStrata(out *output, strata closedStrata) {
	out.strata = append(out.strata, strata)
	e.config.Memory.Rows.Add(int64(len(strata.strata)) * stratumBytes)
}

// relieve hands on what was made when it takes all its room, in the middle of closing windows. The caller holds mu, which is let go
// meanwhile: kappas may come and go.
func (e *Engine) relieve() {
	if e.handOut == nil || !e.config.Memory.Rows.Full() {
		return
	}
	e.config.Memory.Rows.Refuse()
	e.gather()
	e.mu.Unlock()
	e.handOut()
	e.mu.Lock()
}

// breathe lets who waits for mu have it, in the middle of closing windows: those of ten thousand kappas may close at one mark. The caller
// holds mu; kappas may come and go, as with relieve.
func (e *Engine) breathe() {
	if e.handOut != nil {
		e.mu.Unlock()
		e.mu.Lock() // it goes to those who have waited for long
	}
}

// bytes is what a window takes: a function of its shape, the same whatever was counted, so that a replay lets the same windows go. The
// single answers of FIXED panels have a bound of their own, Config.ChangeAnswers.
func (w *window) bytes() int64 {
	groups := int64(len(w.due))
	n := int64(windowBytes) + groups*(8+momentsBytes) + 8*int64(len(w.pi)+len(w.heard)+len(w.dueGroups)) + toldBytes*int64(len(w.told))
	if w.tails != nil {
		n += groups * tailsBytes
	}
	if w.supports == nil {
		return n
	}
	for i := range w.due {
		n += supportBytes
		b := w.plan.statistics[w.statisticAt(i)].bins
		if b == nil {
			continue
		}
		n += 8 * int64(b.Categories)
		if b.Cumulative() {
			n += 8 * int64(b.Categories)
		}
		if w.released != nil {
			n += 24 + 8*int64(b.Categories)
		}
	}
	return n
}

// bytes is what a frame takes.
func (f *frame) bytes() int64 {
	return int64(unsafe.Sizeof(*f)) + int64(unsafe.Sizeof(entry{}))*int64(cap(f.devices.entries)) + rowBytes*int64(len(f.rows)) +
		4*int64(len(f.byTurn)+len(f.lapFrom)) + groupBytes*int64(len(f.groups)) + cellBytes*int64(len(f.cells)) + clusterBytes*int64(len(f.clusters))
}

// hold counts a window that was opened or read from a checkpoint.
func (e *Engine) hold(k *kappa, w *window) {
	if e.layouts == nil {
		e.layouts = layouts{}
	}
	e.layouts.share(w)
	if k.newest != nil && k.newest.is(w.layout) {
		k.newest.layout = w.layout
	}
	w.held = w.bytes()
	e.config.Memory.States.Add(w.held)
}

// letGo forgets a window of a kappa; there may be none.
func (e *Engine) letGo(k *kappa, index int64) {
	w := k.windows[index]
	if w == nil {
		return
	}
	k.discard(w)
	delete(k.windows, index)
	e.config.Memory.States.Give(w.held)
}

// shed lets the oldest closed windows go when all windows take more than they may, until a quarter of the room is free: late reports for
// them are refused as expired from now on. Those that the next windows are compared with stay, and those that wait for their
// revision. A share lets nothing go, since what it hands on must be a function of the log alone.
func (e *Engine) shed() {
	states := e.config.Memory.States
	if !states.Full() || e.config.Part != nil {
		return
	}
	type closed struct {
		kappa      *kappa
		index, end int64
	}
	var all []closed
	for _, ref := range e.order {
		k := e.kappas[ref]
		for _, w := range k.sorted() {
			if w.index >= k.next-k.before()-int64(len(w.plan.statistics)) || w.dirty {
				break
			}
			_, end := w.plan.span(w.index)
			all = append(all, closed{kappa: k, index: w.index, end: end})
		}
	}
	slices.SortFunc(all, func(a, b closed) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.kappa.ref, b.kappa.ref), cmp.Compare(a.index, b.index))
	})
	gone := 0
	for _, c := range all {
		if states.Used() <= states.Limit()/4*3 {
			break
		}
		e.letGo(c.kappa, c.index)
		c.kappa.oldest = max(c.kappa.oldest, c.index+1)
		gone++
	}
	states.Refuse()
	e.metrics.shed.Add(float64(gone))
	e.config.Log.Warn("engine: windows take more memory than they may; the oldest can't be revised any more", "windows", gone)
}

// keepFrame counts a frame that a kappa has compiled or used, and lets the frames of kappas go that were not used for longest when all
// take more than they may. They are compiled again when a report needs them.
func (e *Engine) keepFrame(k *kappa) {
	if k.newest == nil {
		return
	}
	frames := e.config.Memory.Frames
	if now := k.newest.bytes(); now != k.frameBytes {
		frames.Add(now - k.frameBytes)
		k.frameBytes = now
	}
	if k.used == nil {
		k.used = e.used.PushFront(k)
	} else {
		e.used.MoveToFront(k.used)
	}
	for frames.Full() && e.used.Back() != k.used {
		frames.Refuse()
		e.dropFrame(e.used.Back().Value.(*kappa))
	}
}

// dropFrame lets the frames of a kappa go.
func (e *Engine) dropFrame(k *kappa) {
	if k.used == nil {
		return
	}
	e.used.Remove(k.used)
	e.config.Memory.Frames.Give(k.frameBytes)
	k.used, k.newest, k.compiled, k.frameBytes = nil, nil, nil, 0
	for _, w := range k.windows {
		w.frame = nil
	}
}

// forgetMemory gives back what a kappa that goes has taken. Its rows go their way.
func (e *Engine) forgetMemory(k *kappa) {
	for index := range k.windows {
		e.letGo(k, index)
	}
	e.dropFrame(k)
	e.promised -= k.need
}

// promise counts what a kappa's windows need at least, now that its plans are new. The caller holds mu.
func (e *Engine) promise(k *kappa) {
	need := e.weigh(k.plans[len(k.plans)-1]).LeastBytes
	e.promised += need - k.need
	k.need = need
}

// NoRoomError is why a kappa is refused for which there is no memory.
type NoRoomError struct {
	// Need and Left are bytes: what the kappa needs at least, and what is left of the share of windows.
	Need, Left int64
}

// Error says what is needed, what is left, and what to do.
func (e *NoRoomError) Error() string {
	return fmt.Sprintf("its windows need %s of memory at least and %s are left: group or stratify by fewer values, ask for fewer statistics or "+
		"categories, take longer windows or a shorter grace, delete another kappa, or give the server more (--memory)", spellBytes(e.Need), spellBytes(max(e.Left, 0)))
}

// spellBytes writes a number of bytes for people.
func spellBytes(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
}

// Weight is what a plan's windows take in memory.
type Weight struct {
	WindowBytes int64 // one window
	LeastBytes  int64 // those that must be there: open, and those that open ones are compared with
	KeptBytes   int64 // all that may be revised, if there is room for them
}

// Weigh tells what a revision's windows would take.
func (e *Engine) Weigh(r *quadratv1.PlanRevision) (Weight, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, err := newPlanOf(r, &e.tables)
	if err != nil {
		return Weight{}, err
	}
	e.tables.tidy(e.kappas)
	return e.weigh(p), nil
}

// weigh takes the combinations of stratum, cell and cluster from the plan; one that doesn't say them has as many as
// strata.
func (e *Engine) weigh(p *plan) Weight {
	groups := max(int64(p.combinations), int64(len(p.strata)), 1)
	cells := int64(p.cells) + 1
	statistics := int64(len(p.statistics))
	states := groups * statistics
	n := int64(windowBytes) + states*(8+momentsBytes) + 8*int64(len(p.strata))*statistics + toldBytes*cells*statistics + p.panel/8
	if p.clusteredBy != "" {
		n += 8 * states
	}
	if p.hasVariance() {
		n += states * tailsBytes
	}
	if p.binned() {
		n += states * supportBytes
	}
	for i := range p.statistics {
		if b := p.statistics[i].bins; b != nil {
			each := 8 * int64(b.Categories)
			if b.Cumulative() {
				each *= 2
			}
			if p.gateways {
				each += 24 + 8*int64(b.Categories)
			}
			n += groups * each
		}
	}
	open := 2 + (p.graceMs+e.config.Tolerance.Milliseconds()+p.windowMs-1)/p.windowMs + statistics + p.panes - 1
	least := open * n
	if p.keeps {
		least += open * 8 * p.panel
	}
	least += groupBytes*groups + cellBytes*cells
	return Weight{WindowBytes: n, LeastBytes: least, KeptBytes: least + n*e.config.Retention.Milliseconds()/p.windowMs}
}

// room refuses a new kappa for which there is none. The caller holds mu.
func (e *Engine) room(k *kappa) error {
	limit := e.config.Memory.States.Limit()
	left := limit - e.promised - e.tables.bytes
	if need := e.weigh(k.plans[len(k.plans)-1]).LeastBytes; limit > 0 && need > left {
		e.config.Memory.States.Refuse()
		e.tables.sweep(e.kappas)
		return &NoRoomError{Need: need, Left: left}
	}
	return nil
}
