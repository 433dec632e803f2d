package wholedir

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// While the new directory is being filled, the old one is whole and stands alone beside it.
func TestOldDirectoryStandsUntilTheEnd(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "out")
	if err := Write(dir, put("x", "old")); err != nil {
		t.Fatal(err)
	}
	err := Write(dir, func(tmp string) error {
		if b, err := os.ReadFile(filepath.Join(dir, "x")); err != nil || string(b) != "old" {
			t.Errorf("while writing, x is %q (%v)", b, err)
		}
		if _, err := os.Stat(filepath.Join(tmp, "x")); err == nil {
			t.Error("the new directory does not begin empty")
		}
		if !strings.HasPrefix(tmp, parent) {
			t.Errorf("%s is not beside %s: a rename could cross file systems", tmp, dir)
		}
		return put("x", "new")(tmp)
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
	err := Write(dir, func(tmp string) error {
		deep := filepath.Join(tmp, "a", "b")
		if err := os.MkdirAll(deep, 0o755); err != nil {
			return err
		}
		return put("c", "text")(deep)
	})
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
	if err := Write("out", put("x", "1")); err != nil {
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
		_ = Write(filepath.Join(parent, "out"), func(string) error { panic("boom") })
	}()
	if left, _ := os.ReadDir(parent); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFaultsNameTheDirectory(t *testing.T) {
	parent := t.TempDir()
	if err := put("file", "")(parent); err != nil {
		t.Fatal(err)
	}
	full := filepath.Join(parent, "file", "out") // under a file
	gone := filepath.Join(parent, "gone")        // fill takes away what it was given
	tests := []struct {
		dir  string
		fill func(string) error
	}{
		{full, put("x", "")},
		{gone, os.Remove},
	}
	for _, tt := range tests {
		err := Write(tt.dir, tt.fill)
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
