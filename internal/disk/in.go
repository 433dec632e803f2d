package disk

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrOutside marks a name that leads out of the directory of In.
var ErrOutside = errors.New("leads out of the directory")

// In is the files below root, which stays the caller's: names are relative to it. What a link would reach outside it is
// ErrOutside, and root is the directory that was opened even where its name has come to mean another.
func In(root *os.Root) FS { return below{root} }

type below struct{ root *os.Root }

func (d below) Path(name string) string { return filepath.Join(d.root.Name(), name) }

func (d below) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	f, err := openRegular(name, flag, d.root.Stat, func(flag int) (*os.File, error) { return d.root.OpenFile(name, flag, perm) })
	if err != nil {
		return nil, d.err(err)
	}
	return f, nil
}

func (d below) MkdirAll(name string, perm fs.FileMode) error {
	return d.err(d.root.MkdirAll(filepath.Clean(name), perm))
}

func (d below) Mkdir(name string, perm fs.FileMode) error { return d.err(d.root.Mkdir(name, perm)) }
func (d below) Rename(from, to string) error              { return d.err(d.root.Rename(from, to)) }
func (d below) Remove(name string) error                  { return d.err(d.root.Remove(name)) }
func (d below) RemoveAll(name string) error               { return d.err(d.root.RemoveAll(name)) }

func (d below) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(d.root.FS(), filepath.ToSlash(filepath.Clean(name)))
	return entries, d.err(err)
}

func (d below) Lstat(name string) (fs.FileInfo, error) {
	st, err := d.root.Lstat(name)
	return st, d.err(err)
}

func (d below) SyncDir(name string) error {
	return d.err(syncDir(d.root.Open(name)))
}

func (d below) Exchange(a, b string) error {
	a, b = filepath.Clean(a), filepath.Clean(b)
	from, err := d.root.Open(filepath.Dir(a))
	if err != nil {
		return d.err(err)
	}
	defer from.Close()
	to, err := d.root.Open(filepath.Dir(b))
	if err != nil {
		return d.err(err)
	}
	defer to.Close()
	for _, name := range []string{a, b} {
		if base := filepath.Base(name); base == "." || base == ".." {
			return linkError("exchange", d.Path(a), d.Path(b), ErrOutside)
		}
	}
	err = exchange(int(from.Fd()), filepath.Base(a), int(to.Fd()), filepath.Base(b))
	return linkError("exchange", d.Path(a), d.Path(b), err)
}

// err names the whole path, which people need, in an error of root's ("openat metrics.jsonl: ...").
func (d below) err(err error) error {
	switch e := err.(type) {
	case nil:
		return nil
	case *fs.PathError:
		return &fs.PathError{Op: strings.TrimSuffix(e.Op, "at"), Path: d.Path(e.Path), Err: d.cause(e.Err)}
	case *os.LinkError:
		return &os.LinkError{Op: strings.TrimSuffix(e.Op, "at"), Old: d.Path(e.Old), New: d.Path(e.New), Err: d.cause(e.Err)}
	}
	return err
}

// cause makes ErrOutside of what package os says without a name for it; TestNothingLeadsOut holds its words.
func (d below) cause(err error) error {
	if !strings.Contains(err.Error(), "escapes from parent") {
		return err
	}
	return fmt.Errorf("it %w %s, and attune changes nothing outside; if a symbolic link there does, remove it (%w)", ErrOutside, d.root.Name(), err)
}
