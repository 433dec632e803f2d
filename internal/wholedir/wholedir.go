// Package wholedir writes a directory whole or not at all: its files are made in a temporary directory beside it,
// synced to disk, and the directory takes its place in one step.
package wholedir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	tempInfix = ".tmp-" // in .NAME.tmp-123, beside NAME
	freshName = "new"   // in it, what is being written; after an exchange the one that was replaced
	oldName   = "old"   // in it, the one that was replaced where the system cannot exchange two directories
)

// errNoExchange says that the system or the file system cannot exchange two directories in one step.
var errNoExchange = errors.New("two directories cannot be exchanged here")

// Write makes dir with the files that fill puts into the directory it is given. A dir that is there already is replaced:
// in one step where the system can exchange two directories (Linux, on all common file systems); elsewhere dir is absent
// for a moment, and Sweep gives the old one back to a process that was killed in it. Missing parents are made.
func Write(dir string, fill func(tmp string) error) (err error) {
	dir = filepath.Clean(dir)
	parent, base := filepath.Split(dir)
	if parent == "" {
		parent = "."
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	tmp, err := os.MkdirTemp(parent, "."+base+tempInfix)
	if err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	stranded := false
	defer func() {
		if !stranded {
			os.RemoveAll(tmp)
		}
	}()
	fresh := filepath.Join(tmp, freshName)
	if err := os.Mkdir(fresh, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if err := fill(fresh); err != nil {
		return err
	}
	if err := syncAll(fresh); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if stranded, err = replace(dir, tmp, exchange); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	if err := sync(parent); err != nil {
		return fmt.Errorf("write %s: %w", dir, err)
	}
	return nil
}

// replace puts tmp's new directory where dir is. Where it is stranded, dir is gone and tmp still holds the old one.
func replace(dir, tmp string, exchange func(a, b string) error) (stranded bool, err error) {
	fresh, old := filepath.Join(tmp, freshName), filepath.Join(tmp, oldName)
	err = exchange(fresh, dir)
	if err == nil {
		return false, nil
	}
	if errors.Is(err, fs.ErrNotExist) { // nothing to replace
		return false, os.Rename(fresh, dir)
	}
	if !errors.Is(err, errNoExchange) {
		return false, err
	}
	there := true
	if err := os.Rename(dir, old); errors.Is(err, fs.ErrNotExist) {
		there = false
	} else if err != nil {
		return false, err
	}
	if err = os.Rename(fresh, dir); err == nil || !there {
		return false, err
	}
	if back := os.Rename(old, dir); back != nil {
		return true, fmt.Errorf("%w; what was there before lies in %s: %w", err, old, back)
	}
	return false, err
}

// Sweep removes what writes of directories whose name begins with prefix left in parent when they were cut off. A
// directory that one of them had taken away without putting the new one there is given back. No write may be under way.
func Sweep(parent, prefix string) error {
	entries, err := os.ReadDir(parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("sweep %s: %w", parent, err)
	}
	for _, e := range entries {
		name, ok := strings.CutPrefix(e.Name(), ".")
		i := strings.LastIndex(name, tempInfix)
		if !ok || i < 0 || !strings.HasPrefix(name, prefix) {
			continue
		}
		tmp := filepath.Join(parent, e.Name())
		if err := giveBack(filepath.Join(tmp, oldName), filepath.Join(parent, name[:i])); err != nil {
			return fmt.Errorf("sweep %s: %w", parent, err)
		}
		if err := os.RemoveAll(tmp); err != nil {
			return fmt.Errorf("sweep %s: %w", parent, err)
		}
	}
	return nil
}

// giveBack renames old to dir where there is an old and no dir.
func giveBack(old, dir string) error {
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(old, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
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
