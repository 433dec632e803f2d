package wholedir

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"testing"

	"attune/internal/disk"
	"attune/internal/disk/disktest"
)

var oldFiles, newFiles = map[string]string{"a": "old a", "b/c": "old c"}, map[string]string{"a": "the new a", "d/e/f": "the new f", "g": ""}

func files(all map[string]string) func(*Dir) error {
	return func(d *Dir) error {
		for _, name := range []string{"a", "b/c", "d/e/f", "g"} {
			if text, ok := all[name]; ok {
				if err := d.WriteFile(name, []byte(text)); err != nil {
					return err
				}
			}
		}
		return nil
	}
}

func only(t *testing.T, d disk.FS, parent, name string) {
	t.Helper()
	entries, err := d.ReadDir(parent)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	for _, e := range entries {
		if e.Name() != name {
			t.Errorf("left: %s", e.Name())
		}
	}
}

// Whatever goes wrong, and wherever, a reader finds the old directory or the new one, whole; the new one once Write has
// said so; and after a sweep nothing else.
func TestEveryFault(t *testing.T) {
	write := func(all map[string]string) func(disk.FS) error {
		return func(d disk.FS) error { return Write(d, "in/here/dir", files(all)) }
	}
	look := func(before map[string]string, alwaysThere bool) func(*testing.T, disk.FS, bool) {
		return func(t *testing.T, d disk.FS, done bool) {
			wanted := func() {
				t.Helper()
				got := disktest.Files(t, d, "in/here/dir")
				if isNew := maps.Equal(got, newFiles); !isNew && (done || !maps.Equal(got, before)) {
					t.Errorf("done %v, and there is %v", done, got)
				}
			}
			if alwaysThere { // without a sweep
				wanted()
			}
			if err := Sweep(d, "in/here", ""); err != nil {
				t.Fatal(err)
			}
			wanted()
			only(t, d, "in/here", "dir")
		}
	}
	t.Run("new", disktest.Every{Do: write(newFiles), Look: look(nil, true)}.Run)
	t.Run("replaced", disktest.Every{Before: write(oldFiles), Do: write(newFiles), Look: look(oldFiles, true)}.Run)
	cannot := func(root *os.Root) disk.FS { return exchanging{disk.In(root), errors.ErrUnsupported} }
	t.Run("replaced without exchange", disktest.Every{Disk: cannot, Before: write(oldFiles), Do: write(newFiles), Look: look(oldFiles, false)}.Run)
}

// A sweep that is cut off loses nothing either, and the next one goes on.
func TestEveryFaultOfASweep(t *testing.T) {
	disktest.Every{
		Before: func(d disk.FS) error {
			return errors.Join(disk.MakeDir(d, ".dir.tmp-1-1/old"), disk.MakeDir(d, ".dir.tmp-1-1/new"), disk.WriteFile(d, ".dir.tmp-1-1/old/a", []byte("old")), disk.WriteFile(d, ".dir.tmp-1-1/new/a", []byte("half")),
				disk.WriteFile(d, ".other.tmp-1-1", []byte("half")), disk.WriteFile(d, "other", []byte("whole")))
		},
		Do: func(d disk.FS) error { return Sweep(d, ".", "") },
		Look: func(t *testing.T, d disk.FS, done bool) {
			if err := Sweep(d, ".", ""); err != nil {
				t.Fatal(err)
			}
			if got := disktest.Files(t, d, "."); !maps.Equal(got, map[string]string{"dir/a": "old", "other": "whole"}) {
				t.Errorf("done %v, and there is %v", done, got)
			}
		},
	}.Run(t)
}

// disk.Create's files are held to the same.
func TestEveryFaultOfAFile(t *testing.T) {
	put := func(text string) func(disk.FS) error {
		return func(d disk.FS) error {
			if err := disk.MakeDir(d, "in/here"); err != nil {
				return err
			}
			return disk.WriteFile(d, "in/here/file", []byte(text))
		}
	}
	look := func(before map[string]string) func(*testing.T, disk.FS, bool) {
		return func(t *testing.T, d disk.FS, done bool) {
			if err := Sweep(d, "in/here", ""); err != nil {
				t.Fatal(err)
			}
			only(t, d, "in/here", "file")
			got := disktest.Files(t, d, "in/here")
			if isNew := got["file"] == "the new text"; !isNew && (done || !maps.Equal(got, before)) {
				t.Errorf("done %v, and there is %v", done, got)
			}
		}
	}
	t.Run("new", disktest.Every{Do: put("the new text"), Look: look(nil)}.Run)
	t.Run("replaced", disktest.Every{Before: put("old"), Do: put("the new text"), Look: look(map[string]string{"file": "old"})}.Run)
}
