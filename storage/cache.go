package storage

import "errors"

// Cache keeps parts of objects on this machine's disk, up to a number of bytes, the ones that were read last. Losing it costs time
// and nothing else. It is safe for use by many goroutines and by many stores and readers.
type Cache struct {
	folder string
	most   int64
}

// NewCache keeps parts in a folder, which it makes when it doesn't exist and of which it is the only user. At least 64 MiB.
func NewCache(folder string, bytesMost int64) (*Cache, error) {
	if bytesMost < 64<<20 {
		return nil, &Error{Code: Malformed, Detail: "a cache holds at least 64 MiB"}
	}
	return &Cache{folder: folder, most: bytesMost}, errors.ErrUnsupported
}
