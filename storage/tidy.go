package storage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// tidyUp removes objects of a share that no catalog has named for its Delay, and looks for objects that none will ever name.
func (s *Store) tidyUp(ctx context.Context) error {
	if s.share == nil {
		return nil
	}
	if err := s.share.held(); err != nil {
		return err
	}
	return errors.Join(s.removeCondemned(ctx), s.removeStrays(ctx))
}

// removeCondemned removes what is condemned for long enough. That they are condemned stands in a catalog that was in force, and no
// name is given twice: so no later owner needs one of them, even if this one has lost the share without knowing it.
func (s *Store) removeCondemned(ctx context.Context) error {
	last := s.cfg.Clock.Now().Add(-s.share.Delay).UnixMilli()
	s.mu.Lock()
	objects := slices.DeleteFunc(slices.Clone(s.catalog.condemned), func(o condemned) bool { return o.SinceMs > last })
	s.mu.Unlock()
	removed := map[string]bool{}
	var fault error
	for _, o := range objects {
		if err := s.share.Bucket.Remove(ctx, prefixOf(s.share.Name)+o.Object); err != nil {
			fault = fmt.Errorf("share %s: %w", s.share.Name, err)
			break // the others would fare no better now
		}
		removed[o.Object] = true
	}
	if len(removed) == 0 {
		return fault
	}
	return errors.Join(fault, s.change(func(c *catalog) bool { c.pardon(removed); return true }, nil))
}

// removeStrays lists the share's objects now and then, and removes those that no catalog will ever name, once they have been seen for
// the share's Delay: leftovers of owners who died or were late, files that were given up, and catalogs that others have followed.
func (s *Store) removeStrays(ctx context.Context) error {
	now := s.cfg.Clock.Now()
	if now.Before(s.listAt) {
		return nil
	}
	strays, err := s.listStrays(ctx)
	if err != nil {
		return fmt.Errorf("share %s: %w", s.share.Name, err)
	}
	seen := make(map[string]time.Time, len(strays))
	for _, object := range strays {
		since, known := s.strays[object]
		if !known {
			since = now
		}
		seen[object] = since
	}
	s.strays, s.listAt = seen, now.Add(max(s.share.Delay/4, time.Second))
	for object, since := range seen {
		if now.Sub(since) < s.share.Delay {
			continue
		}
		if err := s.share.Bucket.Remove(ctx, prefixOf(s.share.Name)+object); err != nil {
			return fmt.Errorf("share %s: %w", s.share.Name, err)
		}
		delete(seen, object)
	}
	return nil
}

// listStrays gives the objects that no catalog will ever name.
func (s *Store) listStrays(ctx context.Context) ([]string, error) {
	var found []string
	prefix := prefixOf(s.share.Name)
	for name, err := range s.share.Bucket.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if object := strings.TrimPrefix(name, prefix); lawfulObject(object) {
			found = append(found, object)
		}
	}
	s.swap.Lock() // so that no object is on its way from being made to being named
	defer s.swap.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	known := make(map[string]bool, len(s.catalog.segments)+len(s.catalog.condemned))
	for i := range s.catalog.segments {
		known[s.catalog.segments[i].object()] = true
	}
	for _, o := range s.catalog.condemned {
		known[o.Object] = true
	}
	return slices.DeleteFunc(found, func(object string) bool { return known[object] || !s.share.stray(object) }), nil
}
