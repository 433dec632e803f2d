package smallfile

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
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
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if b, err := Read(link, 8); err != nil || string(b) != "12345678" {
		t.Errorf("through a link: %q, %v", b, err)
	}
}

// The system says 0 for the size of its own files, whatever they hold.
func TestReadCounts(t *testing.T) {
	const path = "/proc/self/status"
	want, err := os.ReadFile(path)
	if err != nil {
		t.Skip("needs /proc")
	}
	b, err := Read(path, 1<<20)
	if err != nil || len(b) == 0 || !strings.HasPrefix(string(b), string(want[:20])) {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	if b, err := Read(path, 100); err == nil || b != nil || !strings.Contains(err.Error(), "100 bytes") {
		t.Errorf("more than its size says: %q, %v", b, err)
	}
}

// Nothing waits for the other end of a pipe, and nothing reads what has no end.
func TestOnlyRegularFiles(t *testing.T) {
	dir := t.TempDir()
	pipe, socket := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, what := range map[string]string{pipe: "a pipe", socket: "a socket", dir: "a directory", "/dev/zero": "a device", "/dev/tty": "a device"} {
		if _, err := os.Stat(path); err != nil {
			continue // no such device here
		}
		link := filepath.Join(dir, filepath.Base(path)+".link")
		if err := os.Symlink(path, link); err != nil {
			t.Fatal(err)
		}
		for _, p := range []string{path, link} {
			b, err := Read(p, 1<<10)
			if b != nil || !errors.Is(err, ErrNotRegular) || !strings.Contains(err.Error(), p+" is "+what) {
				t.Errorf("%s: %q, %v", p, b, err)
			}
		}
	}
}
