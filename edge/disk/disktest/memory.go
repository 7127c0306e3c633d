// Package disktest is a folder in memory that fails on command: any write may be short, any sync may fail, a process may
// be killed between any two operations, and a crash of the machine keeps of what was not yet synced only a random part,
// of contents as of names. It is for tests alone.
//
//	m := disktest.New(seed)
//	m.FailAfter(7, syscall.ENOSPC) // the eighth operation and all after it fail
//	m.Crash()
package disktest

import (
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/quadrat-dev/quadrat/edge/disk"
)

// Memory is a folder in memory. It is safe for concurrent use.
type Memory struct {
	mu      sync.Mutex // guards all below
	random  *rand.Rand
	files   map[string]*content
	durable map[string]*content // names that a crash can't take
	renames []change            // since the last Sync, oldest first
	left    int                 // operations until failure, -1 for never
	once    bool                // only one of them fails
	fault   error
	space   int64 // bytes that all files together may hold, 0 for any number
	epoch   int   // crashes so far; handles of an earlier epoch are dead
	steps   int   // changing operations so far
}

// change is what happened to names at once: nil for a name that is gone.
type change map[string]*content

// content is a file: what is written and what of it a crash can't take.
type content struct {
	now, durable []byte
	locked       bool
}

// New returns an empty folder.
func New(seed uint64) *Memory {
	return &Memory{
		random: rand.New(rand.NewPCG(seed, 1)), files: make(map[string]*content), durable: make(map[string]*content), left: -1,
	}
}

// FailAfter lets n more changing operations succeed, and then all fail with err.
func (m *Memory) FailAfter(n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.fault, m.once = n, err, false
}

// FailOnce lets n more changing operations succeed; the next one fails with err, and those after it succeed again. A
// write that fails is short.
func (m *Memory) FailOnce(n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.fault, m.once = n, err, true
}

// Steps is the number of changing operations so far, failed ones included.
func (m *Memory) Steps() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.steps
}

// Heal ends the failures.
func (m *Memory) Heal() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.fault, m.space = -1, nil, 0
}

// Space bounds the bytes of all files together; a write beyond it is short and fails with err.
func (m *Memory) Space(bytes int64, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.space, m.fault = bytes, err
}

// Kill ends the process: all handles are dead and all locks free. What was written stays, synced or not.
func (m *Memory) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.left = -1
	for _, c := range m.files {
		c.locked = false
	}
}

// Crash cuts the power: all handles are dead, all locks free. Of what was written since the last sync of a file a random
// beginning stays, and of what happened to names since the last sync of the folder.
func (m *Memory) Crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	m.left = -1
	for _, r := range m.renames[:m.random.IntN(len(m.renames)+1)] {
		m.durable = r.apply(m.durable)
	}
	m.files, m.renames = maps.Clone(m.durable), nil
	for _, c := range m.files {
		common := 0
		for common < min(len(c.now), len(c.durable)) && c.now[common] == c.durable[common] {
			common++
		}
		kept := slices.Clone(c.durable)
		if upTo := common + m.random.IntN(len(c.now)-common+1); upTo > common && m.random.IntN(2) == 0 {
			kept = append(slices.Clone(c.now[:upTo]), tail(c.durable, upTo)...)
		}
		c.now, c.durable, c.locked = slices.Clone(kept), kept, false
	}
}

// apply returns the names after the change.
func (r change) apply(names map[string]*content) map[string]*content {
	for name, c := range r {
		if c == nil {
			delete(names, name)
		} else {
			names[name] = c
		}
	}
	return names
}

// rename makes a change; the caller holds the lock.
func (m *Memory) rename(r change) {
	m.files = r.apply(m.files)
	m.renames = append(m.renames, r)
}

func tail(b []byte, from int) []byte {
	if from >= len(b) {
		return nil
	}
	return b[from:]
}

// Bytes returns what a file holds.
func (m *Memory) Bytes(name string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.files[name]; ok {
		return slices.Clone(c.now)
	}
	return nil
}

// Put makes a file hold these bytes, durably; nil removes it.
func (m *Memory) Put(name string, b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := change{name: nil}
	if b != nil {
		r[name] = &content{now: slices.Clone(b), durable: slices.Clone(b)}
	}
	m.files, m.durable = r.apply(m.files), r.apply(m.durable)
}

// Total is the number of bytes in all files.
func (m *Memory) Total() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.total()
}

func (m *Memory) total() int64 {
	var n int64
	for _, c := range m.files {
		n += int64(len(c.now))
	}
	return n
}

// step counts an operation; the caller holds the lock.
func (m *Memory) step() error {
	m.steps++
	if m.left == 0 {
		if m.once {
			m.left = -1
		}
		return m.fault
	}
	if m.left > 0 {
		m.left--
	}
	return nil
}

// Open opens a file.
func (m *Memory) Open(name string, create bool) (disk.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.files[name]
	if !ok {
		if !create {
			return nil, fs.ErrNotExist
		}
		if err := m.step(); err != nil {
			return nil, err
		}
		c = &content{}
		m.rename(change{name: c})
	}
	return &handle{m: m, c: c, epoch: m.epoch}, nil
}

// Remove deletes a file.
func (m *Memory) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step(); err != nil {
		return err
	}
	m.rename(change{name: nil})
	return nil
}

// Rename gives a file another name.
func (m *Memory) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, ok := m.files[from]
	if !ok {
		return fs.ErrNotExist
	}
	if err := m.step(); err != nil {
		return err
	}
	m.rename(change{from: nil, to: c})
	return nil
}

// Names lists the files.
func (m *Memory) Names() ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var names []string
	for n := range m.files {
		names = append(names, n)
	}
	slices.Sort(names)
	return names, nil
}

// Sync makes names durable.
func (m *Memory) Sync() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.step(); err != nil {
		return err
	}
	m.durable, m.renames = maps.Clone(m.files), nil
	return nil
}

type handle struct {
	m     *Memory
	c     *content
	epoch int
	held  bool
}

func (h *handle) dead() bool { return h.epoch != h.m.epoch }

func (h *handle) ReadAt(b []byte, at int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.dead() || at > int64(len(h.c.now)) {
		return 0, io.EOF
	}
	n := copy(b, h.c.now[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (h *handle) WriteAt(b []byte, at int64) (int, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.dead() {
		return 0, fs.ErrClosed
	}
	whole := len(b)
	err := h.m.step()
	if err != nil {
		b = b[:h.m.random.IntN(len(b)+1)]
	}
	if grows := max(0, at+int64(len(b))-int64(len(h.c.now))); h.m.space > 0 && h.m.total()+grows > h.m.space {
		room := max(0, h.m.space-h.m.total())
		b, err = b[:max(0, int64(len(b))-(grows-room))], h.m.fault
	}
	if end := int(at) + len(b); end > len(h.c.now) {
		h.c.now = append(h.c.now, make([]byte, end-len(h.c.now))...)
	}
	n := copy(h.c.now[at:], b)
	if err == nil && n < whole {
		err = io.ErrShortWrite
	}
	return n, err
}

func (h *handle) Size() (int64, error) {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	return int64(len(h.c.now)), nil
}

func (h *handle) Truncate(size int64) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if err := h.m.step(); err != nil || h.dead() {
		return err
	}
	h.c.now = slices.Clone(h.c.now[:min(size, int64(len(h.c.now)))])
	return nil
}

func (h *handle) Sync() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.dead() {
		return fs.ErrClosed
	}
	if err := h.m.step(); err != nil {
		return err
	}
	h.c.durable = slices.Clone(h.c.now)
	return nil
}

func (h *handle) Lock() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.c.locked {
		return disk.ErrLocked
	}
	h.c.locked, h.held = true, true
	return nil
}

func (h *handle) Close() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.held && !h.dead() {
		h.c.locked, h.held = false, false
	}
	return nil
}
