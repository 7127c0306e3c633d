package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/quadrat-dev/quadrat/internal/broker"
)

const (
	partitions         = broker.Partitions
	checkpointName     = "engine.checkpoint"
	checkpointTempName = checkpointName + ".tmp"
)

// save makes a checkpoint: what was made is handed on, the sink commits, then the file appears whole, which the sink is told. With must it tries until
// ctx ends, without it once: then the error is errPutOff when it could not be done. A crash between the sink's commit and the file leaves the older file; the sink then drops what it committed.
func (e *Engine) save(ctx context.Context, must bool) error {
	do := e.attempt
	if must {
		do = e.persist
	}
	e.mu.Lock()
	e.gather()
	encoded := e.encode()
	if e.config.Part != nil {
		encoded = e.encodePart(encoded)
	}
	sequence, positions := e.sequence, e.newest
	e.mu.Unlock()
	if err := e.emit(ctx); err != nil {
		return err
	}
	if err := do(ctx, "commit", func() error { return e.config.Sink.Commit(sequence) }); err != nil {
		return err
	}
	if err := do(ctx, "checkpoint", func() error { return e.config.Checkpoints.Save(ctx, sequence, encoded) }); err != nil {
		return err
	}
	e.config.Sink.Permanent(sequence)
	switch {
	case e.config.Part == nil:
		e.covered(sequence)
	case e.merges():
		e.merged(positions[:e.config.Part.Shares])
	}
	e.out.reports = 0
	e.metrics.saved.Inc()
	e.metrics.position.Set(float64(sequence))
	e.metrics.bytes.Set(float64(len(encoded)))
	return nil
}

// replace writes the checkpoint of a folder: temporary name, fsync, rename, fsync of the folder.
func replace(files Files, folder string, content []byte) error {
	temporary := filepath.Join(folder, checkpointTempName)
	file, err := files.Create(temporary)
	if err != nil {
		return err
	}
	n, err := file.Write(content)
	if err == nil && n < len(content) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := files.Rename(temporary, filepath.Join(folder, checkpointName)); err != nil {
		return err
	}
	return files.SyncDir(folder)
}

// restore takes the state of the checkpoint, when there is one, and brings the sink to its position.
func (e *Engine) restore(ctx context.Context) error {
	var content []byte
	load := func() (err error) { content, err = e.config.Checkpoints.Load(ctx); return err }
	var err error
	if e.config.Part == nil {
		err = load()
	} else {
		err = e.persist(ctx, "checkpoint", load)
	}
	s, half := &snapshot{newest: make([]int64, partitions)}, (*partState)(nil)
	if err == nil && content != nil && e.config.Part != nil {
		half, content, err = decodePart(content, e.config.Part)
	}
	if err == nil && content != nil {
		s, err = decodeCheckpoint(content)
	}
	if err != nil {
		return fmt.Errorf("checkpoint in %s: %w", e.config.Folder, err)
	}
	if err := e.reach(ctx, s.sequence); err != nil {
		return err
	}
	if e.config.Part == nil {
		e.covered(s.sequence)
	}
	e.mu.Lock()
	e.sequence, e.markMs, e.levelMs = s.sequence, s.markMs, s.levelMs
	copy(e.newest[:], s.newest)
	for i := range s.kappas {
		e.adopt(&s.kappas[i])
	}
	if half != nil {
		e.resume(half)
	}
	e.restored = true
	e.mu.Unlock()
	return e.persist(ctx, "restore", func() error { return e.config.Sink.Restore(s.sequence) })
}

// adopt gives a kappa its kept state. A kappa that nobody applied, and windows of revisions that are no longer known,
// are forgotten, which is told. The caller holds mu.
func (e *Engine) adopt(kept *keptKappa) {
	k, known := e.kappas[kept.ref]
	if !known {
		e.config.Log.Warn("engine: the checkpoint's kappa is gone", "kappa", kept.ref)
		return
	}
	k.next, k.oldest, k.running = kept.next, kept.oldest, kept.running
	for i := range kept.windows {
		w := &kept.windows[i].window
		w.plan = k.byRevision(kept.windows[i].planRevision)
		if w.plan == nil || !w.fits() {
			e.config.Log.Warn("engine: a window's plan is gone", "kappa", kept.ref, "revision", kept.windows[i].planRevision)
			continue
		}
		w.inclusion()
		k.windows[w.index] = w
		e.hold(k, w)
		if w.dirty {
			w.dirty = false
			e.lateFor(k, w)
		}
	}
	k.recount()
}

// fits tells whether a kept window has the shape that its plan and layout ask for.
func (w *window) fits() bool {
	statistics := len(w.plan.statistics)
	if !w.fitsPanel() || (w.tails != nil) != w.plan.hasVariance() {
		return false
	}
	if w.plan.clusteredBy != "" {
		return w.fitsClusters() && len(w.told) == statistics*(len(w.layout.cells)+1) && len(w.heard) == w.words() &&
			w.fitsSupports()
	}
	return len(w.layout.clusters) == 0 && len(w.due) == statistics*len(w.layout.groups) && len(w.told) == statistics*(len(w.layout.cells)+1) &&
		len(w.heard) == w.words() && w.fitsSupports()
}
