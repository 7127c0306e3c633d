package engine

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
)

// folder keeps the checkpoint in a file.
type folder struct {
	files Files
	path  string
}

func (f folder) Load(context.Context) ([]byte, error) {
	content, err := f.files.ReadFile(filepath.Join(f.path, checkpointName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

func (f folder) Save(_ context.Context, _ uint64, checkpoint []byte) error {
	return replace(f.files, f.path, checkpoint)
}
