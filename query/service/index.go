package service

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/quadrat-dev/quadrat/internal/memory"

	quadratv1 "github.com/quadrat-dev/quadrat/proto/quadrat/v1"
)

// index holds the newest results of every kappa in memory, the newest revision of each, and hands new ones to who
// follows. Adding a result again changes nothing, so the stream may be read twice.
type index struct {
	resultsMax, watchMax int
	held                 *memory.Account // of results
	waiting              *memory.Account // of readers who follow, and results that wait for them
	drops                atomic.Int64    // readers that were dropped because they fell behind

	mu     sync.RWMutex // guards everything below
	kappas map[string]*history
}

// history is one kappa's results. Windows are sorted by start.
type history struct {
	windows  []int64
	results  map[int64]map[resultKey]entry
	count    int
	dropped  int64 // start of the newest window that was dropped to make room, 0 for none
	watchers map[*watcher]struct{}
}

// resultKey names a result within its kappa and window.
type resultKey struct {
	statistic, cell string
	bin             uint32
}

// entry is a result with its position in the stream RESULTS. The result is shared and never changed.
type entry struct {
	sequence uint64
	result   *quadratv1.Result
	bytes    int64 // that the result takes in memory, about
}

// What results and readers take in memory, in bytes.
const (
	resultBytes = 512 // a result, beside thrice its encoding
	placeBytes  = 24  // a place where a result may wait for a reader
	readerBytes = 32 << 10
)

// watcher follows one kappa. It is closed when the kappa is deleted, the service stops, or the reader falls behind.
type watcher struct {
	c    chan entry
	gone chan struct{} // closed when the reader is dropped because it fell behind, before c
}

// slow tells whether the reader was dropped because it fell behind.
func (w *watcher) slow() bool {
	select {
	case <-w.gone:
		return true
	default:
		return false
	}
}

func newIndex(cfg *Config) *index {
	return &index{
		resultsMax: cfg.ResultsMax, watchMax: cfg.WatchMax, held: cfg.Memory.Results, waiting: cfg.Memory.Followers, kappas: map[string]*history{},
	}
}

// cellText is a cell as text that equal cells share.
func cellText(cell map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(cell)) {
		b.WriteString(k)
		b.WriteByte(0)
		b.WriteString(cell[k])
		b.WriteByte(0)
	}
	return b.String()
}

// add takes a result from the stream and tells whether it was news.
func (x *index) add(sequence uint64, r *quadratv1.Result) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.history(r.GetRef())
	start := r.GetWindowStart().AsTime().UnixMilli()
	key := resultKey{r.GetStatistic(), cellText(r.GetCell()), r.GetBin().GetIndex()}
	old, there := h.results[start][key]
	if there && old.result.GetRevision() >= r.GetRevision() {
		return false
	}
	e := entry{sequence: sequence, result: r, bytes: resultBytes + 3*int64(proto.Size(r))}
	if h.dropped == 0 || start > h.dropped {
		h.put(start, key, e, !there) // an older one would stand behind a gap; the archive has it
		x.held.Add(e.bytes - old.bytes)
	}
	for h.count > x.resultsMax && len(h.windows) > 1 {
		x.held.Give(h.dropOldest())
	}
	if x.held.Full() {
		x.makeRoom()
	}
	for w := range h.watchers {
		if !x.pass(w, e) {
			x.drop(h, w)
		}
	}
	return true
}

// pass lets a result wait for a reader. When all that waits takes too much memory, those who have something waiting already get
// nothing more.
func (x *index) pass(w *watcher, e entry) bool {
	if !x.waiting.Take(e.bytes) {
		if len(w.c) > 0 {
			return false
		}
		x.waiting.Add(e.bytes) // who keeps up is not dropped for others
	}
	select {
	case w.c <- e:
		return true
	default:
		x.waiting.Give(e.bytes)
		return false
	}
}

// took gives back the memory of a result that a reader has taken from its watcher.
func (x *index) took(e entry) { x.waiting.Give(e.bytes) }

// drop ends a reader that fell behind; what waited for it goes. The caller holds mu.
func (x *index) drop(h *history, w *watcher) {
	delete(h.watchers, w)
	x.drops.Add(1)
	close(w.gone)
	close(w.c)
	x.discard(w)
}

// discard lets go of what waits for a reader.
func (x *index) discard(w *watcher) {
	for {
		select {
		case e, open := <-w.c:
			if !open {
				return
			}
			x.took(e)
		default:
			return
		}
	}
}

// makeRoom drops the oldest windows of all kappas until an eighth of the memory is free. The newest one of each stays. The caller holds
// mu.
func (x *index) makeRoom() {
	type window struct {
		h     *history
		start int64
	}
	var all []window
	for _, h := range x.kappas {
		for _, start := range h.windows[:max(0, len(h.windows)-1)] {
			all = append(all, window{h: h, start: start})
		}
	}
	slices.SortFunc(all, func(a, b window) int { return cmp.Compare(a.start, b.start) })
	for _, w := range all {
		if x.held.Used() <= x.held.Limit()/8*7 {
			break
		}
		x.held.Give(w.h.dropOldest())
	}
	x.held.Refuse()
}

// history is a kappa's, made when it is missing. The caller holds mu.
func (x *index) history(ref string) *history {
	h, ok := x.kappas[ref]
	if !ok {
		h = &history{results: map[int64]map[resultKey]entry{}, watchers: map[*watcher]struct{}{}}
		x.kappas[ref] = h
	}
	return h
}

func (h *history) put(start int64, key resultKey, e entry, isNew bool) {
	if h.results[start] == nil {
		h.results[start] = map[resultKey]entry{}
		at, _ := slices.BinarySearch(h.windows, start)
		h.windows = slices.Insert(h.windows, at, start)
	}
	h.results[start][key] = e
	if isNew {
		h.count++
	}
}

// dropOldest drops the oldest window and gives the memory that its results took.
func (h *history) dropOldest() (bytes int64) {
	for _, e := range h.results[h.windows[0]] {
		bytes += e.bytes
	}
	h.dropped = max(h.dropped, h.windows[0])
	h.count -= len(h.results[h.windows[0]])
	delete(h.results, h.windows[0])
	h.windows = slices.Delete(h.windows, 0, 1)
	return bytes
}

// since is the results of windows that start in [since, until), a zero time leaving that side open; of them the newest
// windows that hold at most limit results, 0 for all; and whether the index may lack older ones that were asked for.
func (x *index) since(span Span) (entries []entry, older bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	h, ok := x.kappas[span.Ref]
	if !ok {
		return nil, true
	}
	for _, start := range slices.Backward(h.windows) {
		at := time.UnixMilli(start)
		if !span.Until.IsZero() && !at.Before(span.Until) {
			continue
		}
		if !span.Since.IsZero() && at.Before(span.Since) {
			return inOrder(entries), false
		}
		window := sorted(h.results[start])
		if span.Limit > 0 && len(entries)+len(window) >= span.Limit {
			entries = append(entries, window[:span.Limit-len(entries)]...)
			return inOrder(entries), false
		}
		entries = append(entries, window...)
	}
	return inOrder(entries), true
}

// overall is the results of a statistic over all cells, of the windows that start at a moment or later, oldest first.
func (x *index) overall(ref, statistic string, since time.Time) (entries []entry) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	h, ok := x.kappas[ref]
	if !ok {
		return nil
	}
	from, _ := slices.BinarySearch(h.windows, since.UnixMilli())
	for _, start := range h.windows[from:] {
		if e, ok := h.results[start][resultKey{statistic: statistic}]; ok {
			entries = append(entries, e)
		}
	}
	return entries
}

// last is the results of the newest window.
func (x *index) last(ref string) []entry {
	x.mu.RLock()
	defer x.mu.RUnlock()
	h, ok := x.kappas[ref]
	if !ok || len(h.windows) == 0 {
		return nil
	}
	return inOrder(sorted(h.results[h.windows[len(h.windows)-1]]))
}

// sorted is the results of one window, those over all cells first.
func sorted(window map[resultKey]entry) []entry {
	return inOrder(slices.Collect(maps.Values(window)))
}

func inOrder(entries []entry) []entry {
	slices.SortFunc(entries, func(a, b entry) int { return compareResults(a.result, b.result) })
	return entries
}

// compareResults orders by window, then statistic, then cell, the one over all cells first.
func compareResults(a, b *quadratv1.Result) int {
	return cmp.Or(
		a.GetWindowStart().AsTime().Compare(b.GetWindowStart().AsTime()),
		cmp.Compare(a.GetStatistic(), b.GetStatistic()),
		cmp.Compare(len(a.GetCell()), len(b.GetCell())),
		cmp.Compare(cellText(a.GetCell()), cellText(b.GetCell())),
		cmp.Compare(a.GetBin().GetIndex(), b.GetBin().GetIndex()),
	)
}

// watch follows a kappa. The entries are those that the index holds and keep wants; what comes later comes over c, with
// nothing between them lost or told twice. It fails when there is no memory for one more who follows; unwatch gives it back.
func (x *index) watch(ref string, keep func(entry) bool) (held []entry, w *watcher, err error) {
	if !x.waiting.Take(x.watcherBytes()) {
		return nil, nil, errCrowded()
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	h := x.history(ref)
	for _, start := range h.windows {
		for _, e := range sorted(h.results[start]) {
			if keep(e) {
				held = append(held, e)
			}
		}
	}
	w = &watcher{c: make(chan entry, x.watchMax), gone: make(chan struct{})}
	h.watchers[w] = struct{}{}
	return held, w, nil
}

func errCrowded() error {
	return &Error{Code: TooMany, Message: "too many readers follow results; come again later"}
}

// watcherBytes is what a reader takes for whom nothing waits.
func (x *index) watcherBytes() int64 { return readerBytes + placeBytes*int64(x.watchMax) }

// unwatch ends a watcher; it may have ended already. Call it once.
func (x *index) unwatch(ref string, w *watcher) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiting.Give(x.watcherBytes())
	x.discard(w)
	if h, ok := x.kappas[ref]; ok {
		delete(h.watchers, w)
	}
}

// closeRef ends everyone who follows a kappa.
func (x *index) closeRef(ref string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if h, ok := x.kappas[ref]; ok {
		h.closeWatchers()
	}
}

// closeAll ends everyone who follows anything.
func (x *index) closeAll() {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, h := range x.kappas {
		h.closeWatchers()
	}
}

func (h *history) closeWatchers() {
	for w := range h.watchers {
		close(w.c)
	}
	clear(h.watchers)
}

// forget drops a kappa's results.
func (x *index) forget(ref string) {
	x.closeRef(ref)
	x.mu.Lock()
	defer x.mu.Unlock()
	if h, ok := x.kappas[ref]; ok {
		for len(h.windows) > 0 {
			x.held.Give(h.dropOldest())
		}
	}
	delete(x.kappas, ref)
}

// size is the number of results held and of readers that follow.
func (x *index) size() (results, watchers int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, h := range x.kappas {
		results += h.count
		watchers += len(h.watchers)
	}
	return results, watchers
}

// SortResults orders results as the API gives them: by window, statistic and cell, the one over all cells first.
func SortResults(results []*quadratv1.Result) { slices.SortFunc(results, compareResults) }
