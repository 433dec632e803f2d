// Package wholedir writes a directory whole or not at all: its files are made in a temporary directory beside it,
// synced to disk, and the directory takes its place in one step.
package wholedir

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"attune/internal/disk"
)

const (
	freshName = "new" // in the temporary directory, what is being written; after an exchange the one that was replaced
	oldName   = "old" // in it, the one that was replaced where the system cannot exchange two directories
)

// Write makes dir with the files that fill creates. A dir that is there already is replaced: in one step where the system
// can exchange two directories (Linux, on all common file systems); elsewhere dir is absent for a moment, and Sweep gives
// the old one back to a process that was killed in it. Missing parents are made.
func Write(d disk.FS, dir string, fill func(*Dir) error) (err error) {
	dir = filepath.Clean(dir)
	if err := write(d, dir, fill); err != nil {
		return fmt.Errorf("write %s: %w", d.Path(dir), err)
	}
	return nil
}

func write(d disk.FS, dir string, fill func(*Dir) error) error {
	parent := filepath.Dir(dir)
	if err := disk.MakeDir(d, parent); err != nil {
		return err
	}
	tmp, err := disk.Temp(dir, func(temp string) error { return d.Mkdir(temp, 0o700) })
	if err != nil {
		return err
	}
	stranded := false
	defer func() {
		if !stranded {
			_ = d.RemoveAll(tmp) // what stays is swept
		}
	}()
	fresh := filepath.Join(tmp, freshName)
	if err := d.Mkdir(fresh, 0o755); err != nil {
		return err
	}
	if err := filled(d, fresh, fill); err != nil {
		return err
	}
	if stranded, err = replace(d, dir, tmp); err != nil {
		return err
	}
	return d.SyncDir(parent)
}

// replace puts tmp's new directory where dir is. Where it is stranded, dir is gone and tmp still holds the old one.
func replace(d disk.FS, dir, tmp string) (stranded bool, err error) {
	fresh, old := filepath.Join(tmp, freshName), filepath.Join(tmp, oldName)
	err = d.Exchange(fresh, dir)
	if err == nil {
		return false, nil
	}
	if errors.Is(err, fs.ErrNotExist) { // nothing to replace
		return false, d.Rename(fresh, dir)
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return false, err
	}
	there := true
	if err := d.Rename(dir, old); errors.Is(err, fs.ErrNotExist) {
		there = false
	} else if err != nil {
		return false, err
	}
	if err = d.Rename(fresh, dir); err == nil || !there {
		return false, err
	}
	if back := d.Rename(old, dir); back != nil {
		return true, fmt.Errorf("%w; what was there before lies in %s: %w", err, d.Path(old), back)
	}
	return false, err
}

// Sweep removes what writes, of directories here and of files by disk.Create, whose name begins with prefix left in
// parent when they were cut off. A directory that one of them had taken away without putting the new one there is given
// back. No write may be under way.
func Sweep(d disk.FS, parent, prefix string) error {
	entries, err := d.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep %s: %w", d.Path(parent), err)
	}
	for _, e := range entries {
		name, ok := disk.IsTemp(e.Name())
		if !ok || !strings.HasPrefix(name, prefix) {
			continue
		}
		tmp := filepath.Join(parent, e.Name())
		if e.IsDir() {
			err = giveBack(d, parent, filepath.Join(tmp, oldName), filepath.Join(parent, name))
		}
		if err == nil {
			err = d.RemoveAll(tmp)
		}
		if err != nil {
			return fmt.Errorf("sweep %s: %w", d.Path(parent), err)
		}
	}
	return nil
}

// giveBack renames old to dir where there is an old and no dir.
func giveBack(d disk.FS, parent, old, dir string) error {
	if _, err := d.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	err := d.Rename(old, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil { // before the directory it lay in is removed
		err = d.SyncDir(parent)
	}
	return err
}
