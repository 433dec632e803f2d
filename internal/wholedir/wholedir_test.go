package wholedir

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func put(name, text string) func(string) error {
	return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
}

func TestWrite(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "a", "b")
	dir := filepath.Join(parent, "c")
	if err := Write(dir, put("x", "1")); err != nil {
		t.Fatal(err)
	}
	if err := Write(dir, put("y", "2")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "x")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a file of the old directory is left")
	}
	boom := errors.New("boom")
	if err := Write(dir, func(tmp string) error { return errors.Join(put("z", "3")(tmp), boom) }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "y")); string(b) != "2" {
		t.Errorf("a failed write changed the directory: %q", b)
	}
	if left, _ := os.ReadDir(parent); len(left) != 1 {
		t.Errorf("temporary files are left: %v", left)
	}
}
