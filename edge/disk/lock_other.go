//go:build !unix

package disk

import (
	"errors"
	"os"
)

// lock refuses: without a lock two processes could spend the same budget.
func lock(*os.File) error { return errors.ErrUnsupported }
