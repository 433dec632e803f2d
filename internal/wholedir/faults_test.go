package wholedir

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/disk"
)

// While the new directory is being filled, the old one is whole and stands alone beside it.
func TestOldDirectoryStandsUntilTheEnd(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	if err := Write(disk.OS(), dir, put("x", "old")); err != nil {
		t.Fatal(err)
	}
	err := Write(disk.OS(), dir, func(d *Dir) error {
		if b, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || string(b) != "old" {
			t.Errorf("while writing, x is %q (%v)", b, err)
		}
		if _, err := os.Stat(filepath.Join(d.Path(), "x")); err == nil {
			t.Error("the new directory does not begin empty")
		}
		if !strings.HasPrefix(d.Path(), parent) {
			t.Errorf("%s is not beside %s: a rename could cross file systems", d.Path(), dir)
		}
		return put("x", "new")(d)
	})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "x")); string(b) != "new" {
		t.Errorf("after writing, x is %q", b)
	}
}

func TestDirectoriesInside(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out") + string(filepath.Separator) // as a shell completes it
	err := Write(disk.OS(), dir, put(filepath.Join("a", "b", "c"), "text"))
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a", "b", "c")); err != nil || string(b) != "text" {
		t.Errorf("%q, %v", b, err)
	}
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o755 {
		t.Errorf("the directory's mode is %v (%v); others could not read it", st.Mode(), err)
	}
}

func TestRelativeName(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := Write(disk.OS(), "out", put("x", "1")); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(filepath.Join("out", "x")); string(b) != "1" {
		t.Errorf("x is %q", b)
	}
	if left, _ := os.ReadDir("."); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

// A panic in fill leaves nothing behind either.
func TestPanicCleansUp(t *testing.T) {
	parent := t.TempDir()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_ = Write(disk.OS(), filepath.Join(parent, "out"), func(d *Dir) error {
			if _, err := d.Create("open"); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFaultsNameTheDirectory(t *testing.T) {
	parent := t.TempDir()
	if err := os.WriteFile(filepath.Join(parent, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(parent, "file", "out") // under a file
	gone := filepath.Join(parent, "gone")        // fill takes away what it was given
	tests := []struct {
		dir  string
		fill func(*Dir) error
	}{
		{full, put("x", "")},
		{gone, func(d *Dir) error { return os.Remove(d.Path()) }},
		{filepath.Join(parent, "outside"), put("../x", "")},
		{filepath.Join(parent, "absolute"), put(filepath.Join(parent, "x"), "")},
		{filepath.Join(parent, "open"), func(d *Dir) error {
			_, err := d.Create("x")
			return err
		}},
		{filepath.Join(parent, "both"), func(d *Dir) error { return errors.Join(put("x", "")(d), put("x/y", "")(d)) }},
	}
	for _, tt := range tests {
		err := Write(disk.OS(), tt.dir, tt.fill)
		if err == nil || !strings.HasPrefix(err.Error(), "write "+tt.dir+": ") {
			t.Errorf("%s: got %v", tt.dir, err)
		}
		if _, err := os.Stat(tt.dir); err == nil {
			t.Errorf("%s was made", tt.dir)
		}
	}
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}
