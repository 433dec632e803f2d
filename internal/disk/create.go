package disk

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
)

// tempInfix stands in the names of what is being written: .NAME.tmp-PID-N, beside NAME.
const tempInfix = ".tmp-"

// made numbers the temporary names of this process.
var made atomic.Int64

// Create writes a file whole or not at all: fill writes it under a temporary name beside it, it is synced, takes its
// place in one step, and its name is synced. What a kill leaves is wholedir.Sweep's to remove.
func Create(d FS, name string, fill func(io.Writer) error) (err error) {
	name = filepath.Clean(name)
	perm := fs.FileMode(0o644)
	if st, err := d.Lstat(name); err == nil && st.Mode().IsRegular() {
		perm = st.Mode().Perm() // what nobody else could read stays so
	}
	var f File
	temp, err := Temp(name, func(temp string) (err error) {
		f, err = d.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
		return err
	})
	if err != nil {
		return fmt.Errorf("write %s: %w", d.Path(name), err)
	}
	whole := false
	defer func() {
		if !whole { // a panic in fill, too
			_, _ = f.Close(), d.Remove(temp)
		}
	}()
	if err := fill(f); err != nil {
		return fmt.Errorf("write %s: %w", d.Path(name), err)
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = d.Rename(temp, name)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", d.Path(name), err)
	}
	whole = true
	if err := d.SyncDir(filepath.Dir(name)); err != nil {
		return fmt.Errorf("write %s: %w", d.Path(name), err)
	}
	return nil
}

// WriteFile is Create of these bytes.
func WriteFile(d FS, name string, b []byte) error {
	return Create(d, name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Temp makes what is to take the place of name: mk is called with temporary names beside it until one is free.
func Temp(name string, mk func(temp string) error) (string, error) {
	dir, base := filepath.Split(name)
	for range 1000 {
		// a process of the same number may have left its own, so a name is tried, not known
		temp := fmt.Sprintf("%s.%s%s%d-%d", dir, base, tempInfix, os.Getpid(), made.Add(1))
		if err := mk(temp); !errors.Is(err, fs.ErrExist) {
			return temp, err
		}
	}
	return "", fmt.Errorf("%s: a thousand temporary names beside it are taken; remove those named .%s%s*", dir, base, tempInfix)
}

// IsTemp tells a name of Temp's from others, and what it was to become.
func IsTemp(base string) (name string, ok bool) {
	name, ok = strings.CutPrefix(base, ".")
	i := strings.LastIndex(name, tempInfix)
	if !ok || i < 1 || strings.Trim(name[i+len(tempInfix):], "0123456789-") != "" { // somebody else's
		return "", false
	}
	return name[:i], true
}

// MakeDir is MkdirAll whose names survive the machine: the directory above each that was missing is synced.
func MakeDir(d FS, dir string) error {
	dir = filepath.Clean(dir)
	var above []string // of what is missing, the innermost first
	for name := dir; ; name = filepath.Dir(name) {
		_, err := d.Lstat(name)
		if err == nil || name == filepath.Dir(name) {
			break
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		above = append(above, filepath.Dir(name))
	}
	if len(above) == 0 {
		return d.MkdirAll(dir, 0o755) // says so if it is a file
	}
	if err := d.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := len(above) - 1; i >= 0; i-- {
		if err := d.SyncDir(above[i]); err != nil {
			return err
		}
	}
	return nil
}
