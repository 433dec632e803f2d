package wholedir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"attune/internal/disk"
)

func put(name, text string) func(*Dir) error {
	return func(d *Dir) error { return d.WriteFile(name, []byte(text)) }
}

func TestWrite(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "a", "b")
	dir := filepath.Join(parent, "c")
	if err := Write(disk.OS(), dir, put("x", "1")); err != nil {
		t.Fatal(err)
	}
	if err := Write(disk.OS(), dir, put("y", "2")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file of the old directory is left")
	}
	boom := errors.New("boom")
	if err := Write(disk.OS(), dir, func(d *Dir) error { return errors.Join(put("z", "3")(d), boom) }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "y")); string(b) != "2" {
		t.Errorf("a failed write changed the directory: %q", b)
	}
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("temporary files are left: %v", left)
	}
}
