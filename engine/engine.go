package engine

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/quadrat-dev/quadrat/engine/column"
	"github.com/quadrat-dev/quadrat/internal/broker"
	"github.com/quadrat-dev/quadrat/privacy/shuffle"
	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// Engine counts reports and makes results. Apply, Remove and Status are safe for use by many goroutines.
type Engine struct {
	config  Config
	metrics *metrics
	kick    chan struct{} // wakes the marker when the next mark may be due earlier
	asked   chan chan struct{}
	durable chan uint64  // position of the newest checkpoint on disk, for trim
	spent   chan []int64 // of a merger: positions in PARTIALS, by share, of the newest checkpoint on disk, for trimMerged
	health  health
	figures *shuffle.Figures
	out     output        // of Run's goroutine only
	handOut func()        // hands the output on; of Run's goroutine only
	taken   chan struct{} // the queue has room again

	mu       sync.Mutex // guards what follows
	kappas   map[string]*kappa
	restored bool       // the checkpoint is taken in
	used     *list.List // kappas by when their frames were used, the newest first
	tables   tables
	layouts  layouts
	promised int64    // bytes that the windows of all kappas need at least
	order    []string // references, sorted
	sequence uint64   // position in REPORTS up to which everything is in the state
	markMs   int64    // newest mark read
	nowMs    int64    // moment of the message that is being counted
	newest   [broker.Partitions]int64
	levelMs  int64     // watermark before GRACE: what has closed
	markedMs int64     // newest mark that the marker put, as it looked last
	awaited  int64     // when it will put the next one; below 0 for never
	late     []late    // closed windows that late reports came for
	lateAt   time.Time // when the first of them came
	orphans  []*column.Rows
	columns  reports // of the group that is being counted
	said     release // that is being counted
	verdict  verdict

	// Of a part of a cluster:
	marked    uint64     // position of the newest mark handed on
	gathering []gathered // for the handover of the mark that is being counted
	learnt    uint64     // position up to which records are known
	stale     bool       // what others wrote could not be learnt, so that the state is never saved
	received  atomic.Uint64
	inform    func(records bool, rowsMs int64) error // of Run's goroutine only
	chain     chain                                  // likewise
	partials  jetstream.Stream                       // likewise; nil before it was needed
}

// late is a closed window with late reports.
type late struct {
	kappa  *kappa
	window *window
}

// New makes an engine that doesn't run yet.
func New(config Config) (*Engine, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	config = config.withDefaults()
	if config.Checkpoints == nil {
		if err := makeFolder(config.Folder); err != nil {
			return nil, fmt.Errorf("engine: %w", err)
		}
		config.Checkpoints = folder{files: config.Files, path: config.Folder}
	}
	m, err := newMetrics(config.Registerer)
	if err != nil {
		return nil, fmt.Errorf("engine: metrics: %w", err)
	}
	return &Engine{
		config: config, metrics: m, kick: make(chan struct{}, 1), asked: make(chan chan struct{}), durable: make(chan uint64, 1), spent: make(chan []int64, 1), taken: make(chan struct{}, 1), used: list.New(),
		kappas: map[string]*kappa{}, figures: shuffle.NewFigures(config.Shuffler),
	}, nil
}

// Apply takes a kappa, or new revisions of one. A record that says deleted removes it. Records of all live kappas must be
// applied before Run, so that the checkpoint finds them. The same record again changes nothing; the record is not kept.
func (e *Engine) Apply(record *quadratv1.KappaRecord) error {
	ref := record.GetKappa().GetRef()
	if record.GetDeleted() != nil {
		e.Remove(ref)
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	var err error
	if k, known := e.kappas[ref]; known {
		err = k.revise(record)
	} else if k, err = newKappaOf(record, &e.tables); err == nil {
		k.figures = e.figures
		e.kappas[ref] = k
		at, _ := slices.BinarySearch(e.order, ref)
		e.order = slices.Insert(e.order, at, ref)
	}
	if err != nil {
		return fmt.Errorf("kappa %s: %w", ref, err)
	}
	e.promise(e.kappas[ref])
	e.tables.tidy(e.kappas)
	if !e.shares() && (e.awaited < 0 || e.kappas[ref].dueAt(e.markedMs) < e.awaited) {
		e.wake()
	}
	return nil
}

// Check tells what Apply would fail with, and changes nothing.
func (e *Engine) Check(record *quadratv1.KappaRecord) error {
	if record.GetDeleted() != nil {
		return nil
	}
	ref := record.GetKappa().GetRef()
	e.mu.Lock()
	defer e.mu.Unlock()
	var err error
	if k, known := e.kappas[ref]; known {
		err = (&kappa{ref: k.ref, plans: k.plans, shared: k.shared}).revise(record)
	} else {
		var fresh *kappa
		if fresh, err = newKappaOf(record, &e.tables); err == nil {
			err = e.room(fresh)
		}
	}
	if err != nil {
		return fmt.Errorf("kappa %s: %w", ref, err)
	}
	return nil
}

// Remove forgets a kappa: its open windows never close. What the sink holds of it stays.
func (e *Engine) Remove(ref string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	k, known := e.kappas[ref]
	if !known {
		return
	}
	if k.rows != nil {
		e.orphans = append(e.orphans, k.rows)
	}
	e.forgetMemory(k)
	delete(e.kappas, ref)
	at, _ := slices.BinarySearch(e.order, ref)
	e.order = slices.Delete(e.order, at, at+1)
	e.late = slices.DeleteFunc(e.late, func(l late) bool { return l.kappa == k })
}

// Checkpoint returns once everything that was counted before the call is durable, in the sink as well. It waits for Run
// and ends with ctx.
func (e *Engine) Checkpoint(ctx context.Context) error {
	done := make(chan struct{})
	select {
	case e.asked <- done:
	case <-ctx.Done():
		return fmt.Errorf("engine: checkpoint: %w", ctx.Err())
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("engine: checkpoint: %w", ctx.Err())
	}
}

// wake makes the marker look again when the next mark is due.
func (e *Engine) wake() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// ErrKilled is the cause of a context that stops Run as a killed process stops: without a last checkpoint. Crash tests use it.
var ErrKilled = errors.New("engine: killed")

// Run works until ctx ends; then it makes a last checkpoint. It fails when the checkpoint can't be read or REPORTS
// can't be consumed at all. Call it once.
func (e *Engine) Run(ctx context.Context) error { return e.run(ctx, true) }

// run is Run; without orderly it stops as a killed process does.
func (e *Engine) run(ctx context.Context, orderly bool) error {
	e.inform = e.informer(ctx)
	e.handOut = func() { _ = e.emit(ctx) } // it fails when ctx has ended; then the output stays
	if err := e.restore(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("engine: %w", err)
	}
	inner, cancel := context.WithCancel(ctx)
	queue := make(chan message, e.config.QueueMessages)
	ticks := make(chan struct{}, 1)
	failed := make(chan error, 1)
	var group sync.WaitGroup
	from := e.sequence
	group.Go(func() { failed <- e.read(inner, from, queue) })
	group.Go(func() { e.mark(inner) })
	group.Go(func() { e.tick(inner, ticks) })
	again := make(chan time.Time, 1)
	group.Go(func() { e.tickAgain(inner, again, ticks) })
	if e.merges() {
		group.Go(func() { e.trimMerged(inner) })
	}
	if !e.shares() {
		group.Go(func() { e.trim(inner) })
	}
	err := e.work(ctx, job{queue: queue, ticks: ticks, again: again, failed: failed})
	cancel()
	group.Wait()
	if errors.Is(err, ErrFenced) {
		return err
	}
	if !orderly || e.stale || errors.Is(context.Cause(ctx), ErrKilled) {
		return nil
	}
	last, stop := context.WithTimeout(context.WithoutCancel(ctx), lastPatience)
	defer stop()
	if saveErr := e.save(last, true); saveErr != nil {
		err = errors.Join(err, fmt.Errorf("engine: last checkpoint: %w", saveErr))
	}
	return err
}

// gather moves the rows of all kappas into the output. The caller holds mu.
func (e *Engine) gather() {
	for _, ref := range e.order {
		if k := e.kappas[ref]; k.rows != nil {
			e.orphans = append(e.orphans, k.rows)
			k.rows, k.rowsBytes = nil, 0
		}
	}
	for _, rows := range e.orphans {
		if rows.Len() > 0 {
			e.out.batches = append(e.out.batches, rows.NewBatch())
		}
	}
	clear(e.orphans)
	e.orphans = e.orphans[:0]
}

// momentOf is the server's clock when a message was stored, so that a replay tells the same of it; that of now for a message
// of before it was kept.
func (e *Engine) momentOf(m *message) int64 {
	if ms := storedMs(m.data); ms > 0 {
		return ms
	}
	return e.config.Clock.Now().UnixMilli()
}

// take counts one message of REPORTS. The caller holds mu.
func (e *Engine) take(m *message, out *output) {
	if m.sequence <= e.sequence || e.stale {
		return
	}
	if m.round != nil {
		e.merge(m, out)
		return
	}
	if m.markMs > 0 {
		e.beforeMark(m.markMs)
		if e.stale {
			return
		}
		e.sequence = m.sequence
		e.markMs = max(e.markMs, m.markMs)
		e.advance(out)
		e.revise(out)
		e.handOn(m, out)
		return
	}
	e.sequence = m.sequence
	e.nowMs = max(e.momentOf(m), e.markMs)
	err := decodeBatch(m.data, &e.columns, func(r *reports) { e.count(r, m, out) }, &e.said, func(r *release) { e.countRelease(r, m, out) })
	if err != nil {
		e.metrics.refused(causeMalformed, 1)
		e.bury(causeMalformed, m, m.data, out)
	}
	e.advance(out)
}

// count counts one group of a message.
func (e *Engine) count(r *reports, m *message, out *output) {
	v := &e.verdict
	v.reset()
	if k, known := e.find(r.kappa); known {
		e.countInto(k, r, v, m, out)
	} else {
		v.refuseAll(causeKappa, len(r.device))
	}
	e.metrics.counted(v)
	for c, places := range v.refused {
		if len(places) > 0 {
			e.bury(cause(c), m, r.appendGroup(nil, places), out)
		}
	}
}

// find gives the kappa of a reference, which a part may have to learn of first.
func (e *Engine) find(ref []byte) (k *kappa, known bool) {
	k, known = e.kappas[string(ref)]
	if !known && e.learn() {
		k, known = e.kappas[string(ref)]
	}
	return k, known
}

// countInto counts a group of reports of a kappa, or refuses all of them with one cause.
func (e *Engine) countInto(k *kappa, r *reports, v *verdict, m *message, out *output) {
	w, refused, ok := e.admit(k, r.window, r.revision, out)
	if !ok {
		v.refuseAll(refused, len(r.device))
		return
	}
	w.count(r, v, k.rows, m.sequence)
	if v.counted > 0 {
		e.accept(k, w, v.counted, m, out)
	}
}

// admit gives the window that answers of a revision belong to, opened and with its frame, or why none is counted there.
func (e *Engine) admit(k *kappa, index int64, revision uint64, out *output) (w *window, refused cause, ok bool) {
	w, known := k.windows[index]
	p := k.at(index)
	if !known && (p == nil || uint64(p.revision) != revision) && e.learn() {
		p = k.at(index)
	}
	if known {
		p = w.plan // a window keeps the plan that it was opened with
	}
	if p == nil || uint64(p.revision) != revision {
		return nil, causeRevision, false
	}
	if p.paused {
		return nil, causeDue, false
	}
	start, _ := p.span(index)
	if index >= math.MaxInt64/p.windowMs || start > e.nowMs+e.config.Tolerance.Milliseconds() { // a larger number begins anew at 0
		return nil, causeFuture, false
	}
	if index < k.next && (!known || index < k.oldest+k.before()) {
		return nil, causeExpired, false
	}
	if !known || w.frame == nil {
		e.ask(false, start)
	}
	if !known {
		w, out.opened = k.open(e.config.Frames, p, index)
		e.hold(k, w)
	}
	k.load(e.config.Frames, w)
	e.keepFrame(k)
	if w.damaged {
		return nil, causeDamaged, false
	}
	if k.rows == nil {
		k.rows = column.NewRows(k.name, k.ref)
	}
	return w, 0, true
}

// accept notes that so many answers of a message were counted in a window.
func (e *Engine) accept(k *kappa, w *window, counted int, m *message, out *output) {
	out.reports += counted
	e.weighRows(k)
	if k.rows.Len() >= e.config.RecordRows {
		out.batches = append(out.batches, k.rows.NewBatch())
		k.rowsBytes = 0
	}
	if w.index < k.next {
		e.metrics.late.Add(float64(counted))
		e.lateFor(k, w)
	}
	if int(m.partition) < len(e.newest) {
		_, end := w.plan.span(w.index)
		e.newest[m.partition] = max(e.newest[m.partition], end)
	}
}

// lateFor remembers that a closed window must be revised.
func (e *Engine) lateFor(k *kappa, w *window) {
	if w.dirty {
		return
	}
	w.dirty = true
	if len(e.late) == 0 {
		e.lateAt = e.config.Clock.Now()
		e.wake()
	}
	e.late = append(e.late, late{kappa: k, window: w})
}

// advance closes every window that the watermark has passed. The level before GRACE is the newest mark, or the least of
// what the partitions have reached where they all went beyond it.
func (e *Engine) advance(out *output) {
	level := e.markMs
	if !e.shares() {
		level = max(level, slices.Min(e.newest[:]))
	}
	if level <= e.levelMs {
		return
	}
	e.levelMs = level
	for _, ref := range slices.Clone(e.order) {
		if k, there := e.kappas[ref]; there {
			e.advanceKappa(k, out)
			e.relieve()
			e.breathe()
		}
	}
	e.shed()
	e.layouts.tidy()
}

// missedWindows is how many windows of a kappa close at one mark before room is made among all: many do when nobody was there to put marks.
const missedWindows = 64

// advanceKappa closes the windows of a kappa that the level has passed. However many they are, what is made of them and what is kept stays
// within its accounts; kappas may come and go.
func (e *Engine) advanceKappa(k *kappa, out *output) {
	closed := 0
	if len(k.windows) == 0 {
		k.next = max(k.next, e.oldest(k)) // nobody may ask for results that old
	}
	for {
		p := k.at(k.next)
		if p == nil { // its revision was dropped before it closed
			k.next = k.plans[0].from
			continue
		}
		_, end := p.span(k.next)
		if end+p.graceMs > e.levelMs {
			break
		}
		if !p.paused {
			e.close(k, p, out)
		}
		k.next++
		if closed++; closed%missedWindows == 0 {
			e.drop(k)
			e.shed()
		}
		e.relieve()
		if e.kappas[k.ref] != k {
			return // deleted meanwhile
		}
	}
	e.drop(k)
}

// oldest is the first window of a kappa that may still be revised.
func (e *Engine) oldest(k *kappa) int64 {
	return floorDiv(e.levelMs-e.config.Retention.Milliseconds(), k.plans[0].windowMs)
}

// drop forgets the closed windows of a kappa that nobody may revise any more.
func (e *Engine) drop(k *kappa) {
	for oldest := e.oldest(k); k.oldest < min(oldest, k.next)-k.before(); k.oldest++ {
		if w := k.windows[k.oldest]; w != nil && w.dirty {
			break
		}
		e.letGo(k, k.oldest)
	}
}

// close makes the first results of the kappa's next window.
func (e *Engine) close(k *kappa, p *plan, out *output) {
	w, opened := k.open(e.config.Frames, p, k.next)
	if opened {
		e.hold(k, w)
	}
	e.keepFrame(k)
	out.opened = out.opened || opened
	e.result(k, w, out)
}

// result makes the first results of a window that has closed; a share hands on what it has gathered.
func (e *Engine) result(k *kappa, w *window, out *output) {
	w.revision = 1
	if e.shares() {
		e.hand(w, true)
	} else {
		e.tell(out, k.results(w, e.config.ResponseFloor))
		e.tellStrata(out, w.strataOf())
	}
	k.keep(w, e.config.ChangeAnswers)
	w.frame = nil
	e.metrics.closed.Inc()
}

// revise makes the next results of closed windows with late reports. It runs at marks, so that a replay revises at the
// same place of the stream.
func (e *Engine) revise(out *output) {
	if !e.shares() {
		e.reopen()
	}
	sortLate(e.late)
	for _, l := range e.late {
		l.window.dirty = false
		l.window.revision++
		if e.shares() {
			e.hand(l.window, false)
			l.window.frame = nil
			continue
		}
		e.tell(out, l.kappa.results(l.window, e.config.ResponseFloor))
		l.window.frame = nil
		e.metrics.revised.Inc()
	}
	e.late = e.late[:0]
}

// sortLate puts windows in the order in which their results are made.
func sortLate(windows []late) {
	slices.SortFunc(windows, func(a, b late) int {
		return cmp.Or(strings.Compare(a.kappa.ref, b.kappa.ref), cmp.Compare(a.window.index, b.window.index))
	})
}
