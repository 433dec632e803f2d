package smallfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.json")
	if _, err := Read(path, 8); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
	if err := os.WriteFile(path, []byte("12345678"), 0o600); err != nil {
		t.Fatal(err)
	}
	if b, err := Read(path, 8); err != nil || string(b) != "12345678" {
		t.Errorf("%q, %v", b, err)
	}
	if b, err := Read(path, 7); err == nil || b != nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "at most 7") {
		t.Errorf("one byte too many: %q, %v", b, err)
	}
}

// A device has no size to ask for and no end.
func TestReadStops(t *testing.T) {
	if _, err := os.Stat("/dev/zero"); err != nil {
		t.Skip("needs /dev/zero")
	}
	if _, err := Read("/dev/zero", 1<<10); err == nil || !strings.Contains(err.Error(), "at most 1024") {
		t.Errorf("got %v", err)
	}
}
