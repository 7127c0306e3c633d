package engine

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// makeFolder makes the folder of the checkpoint, whose name is then on disk: a checkpoint in a folder that a power cut takes away is none.
func makeFolder(path string) error {
	if err := os.MkdirAll(path, 0o750); err != nil {
		return err
	}
	return disk{}.SyncDir(filepath.Dir(path))
}

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
