package wholedir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"attune/internal/disk"
)

// Dir is a directory that is being written. Names are relative to it; the directories that they name are made.
type Dir struct {
	disk disk.FS
	name string
	dirs []string // to be synced when all files are: outer before inner
	open map[*file]struct{}
}

// filled makes the files of the new directory, and makes them and their names survive the machine.
func filled(fs disk.FS, fresh string, fill func(*Dir) error) (err error) {
	d := &Dir{disk: fs, name: fresh, dirs: []string{fresh}, open: map[*file]struct{}{}}
	defer func() { // what fill left open where it failed, or panicked
		for f := range d.open {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := fill(d); err != nil {
		return err
	}
	for f := range d.open {
		return fmt.Errorf("%s was not closed", f.Name())
	}
	for i := len(d.dirs) - 1; i >= 0; i-- {
		if err := fs.SyncDir(d.dirs[i]); err != nil {
			return err
		}
	}
	return nil
}

// Create makes a file, or empties one that was made before. Close syncs it: its error says that the file is not whole.
func (d *Dir) Create(name string) (disk.File, error) {
	if !filepath.IsLocal(name) {
		return nil, fmt.Errorf("create %s: the name leads out of the directory", name)
	}
	if err := d.mkdir(filepath.Dir(filepath.Clean(name))); err != nil {
		return nil, err
	}
	inner, err := d.disk.OpenFile(filepath.Join(d.name, name), os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	f := &file{File: inner, dir: d}
	d.open[f] = struct{}{}
	return f, nil
}

// mkdir makes the directory of a file, and those above it.
func (d *Dir) mkdir(name string) error {
	if name == "." {
		return nil
	}
	if err := d.mkdir(filepath.Dir(name)); err != nil {
		return err
	}
	path := filepath.Join(d.name, name)
	err := d.disk.Mkdir(path, 0o755)
	if err == nil {
		d.dirs = append(d.dirs, path)
	} else if errors.Is(err, os.ErrExist) {
		err = nil
	}
	return err
}

// Write makes a file of what fill writes.
func (d *Dir) Write(name string, fill func(io.Writer) error) error {
	f, err := d.Create(name)
	if err != nil {
		return err
	}
	err = fill(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// WriteFile makes a file of these bytes.
func (d *Dir) WriteFile(name string, b []byte) error {
	return d.Write(name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Path is where the directory lies while it is written, for readers of what is in it already.
func (d *Dir) Path() string { return d.disk.Path(d.name) }

// file is synced before it is closed.
type file struct {
	disk.File
	dir *Dir
}

func (f *file) Close() error {
	if _, ok := f.dir.open[f]; !ok {
		return os.ErrClosed
	}
	delete(f.dir.open, f)
	return errors.Join(f.Sync(), f.File.Close())
}
