// Package wholedir writes a directory whole or not at all: its files are made in a temporary directory beside it,
// synced to disk, and the directory is renamed into place.
package wholedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Write makes dir with the files that fill puts into the directory it is given. A dir that is there already is replaced;
// killed at any moment, dir is the old one, the new one or absent, never a part of one. Missing parents are made.
func Write(dir string, fill func(tmp string) error) (err error) {
	dir = filepath.Clean(dir)
	parent, base := filepath.Split(dir)
	if parent == "" {
		parent = "."
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	tmp, err := os.MkdirTemp(parent, "."+base+".tmp-")
	if err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	defer os.RemoveAll(tmp)
	fresh := filepath.Join(tmp, "new")
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if err := fill(fresh); err != nil {
		return err
	}
	if err := syncAll(fresh); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if err := os.Rename(dir, filepath.Join(tmp, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if err := sync(parent); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	return nil
}

// syncAll syncs every file under dir, and the directories after what they hold.
func syncAll(dir string) error {
	var dirs []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			dirs = append(dirs, path)
			return nil
		}
		return sync(path)
	})
	for i := len(dirs) - 1; i >= 0 && err == nil; i-- {
		err = sync(dirs[i])
	}
	return err
}

func sync(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
