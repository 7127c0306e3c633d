package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/quadrat-dev/quadrat/edge/disk"
)

// lockName is the file in the data folder that a server holds locked. It is empty, stays, and means nothing by itself: the lock goes
// with the process, however that ends.
const lockName = "lock"

// own takes the data folder for this process alone. Of two servers on one folder each would write into streams, checkpoints and
// catalogs that the other takes for its own, and lose what was answered. Where the system knows no such locks nothing is checked.
func (s *Server) own(context.Context) error {
	f, err := disk.OS(s.config.Data).Open(lockName, true)
	if err != nil {
		return fmt.Errorf("--data: %w", err)
	}
	s.owned = f
	err = f.Lock()
	if errors.Is(err, disk.ErrLocked) {
		return fmt.Errorf("--data %s: another server runs on this folder: stop it, or give this one a folder of its own: %w", s.config.Data, err)
	}
	if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return fmt.Errorf("--data %s: %w", s.config.Data, err)
	}
	return nil
}
