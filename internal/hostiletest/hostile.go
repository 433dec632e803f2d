// Package hostiletest has what tests of hostile files have in common. It is for tests only.
package hostiletest

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Allocated is how many bytes f takes from the heap, whether it gives them back or not.
func Allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Link puts a link to target in the place of the file name of dir. The target "pipe" is a pipe that nobody writes to.
func Link(t testing.TB, dir, name, target string) {
	t.Helper()
	if target == "pipe" {
		if err := unix.Mkfifo(filepath.Join(dir, target), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}
