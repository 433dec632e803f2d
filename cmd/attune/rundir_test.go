package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/disk"
)

// Whether a directory holds a run is asked under its lock: before that, the run in it may be just about to be written.
func TestRunDirIsLookedAtUnderItsLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run")
	first, err := openRunDir(streams{fs: disk.In}, path, false)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(first.file(runJSON), []byte("{}"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openRunDir(streams{fs: disk.In}, path, false); err == nil || !strings.Contains(err.Error(), "in use") || exitCode(err) != exitUsage {
		t.Errorf("while it is locked: %v", err)
	}
	if err := first.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := openRunDir(streams{fs: disk.In}, path, false); err == nil || !strings.Contains(err.Error(), "holds a run already") || exitCode(err) != exitUsage {
		t.Errorf("with a run in it: %v", err)
	}
	again, err := openRunDir(streams{fs: disk.In}, path, true) // the refusal gave the lock back
	if err != nil {
		t.Fatal(err)
	}
	if err := again.close(); err != nil {
		t.Error(err)
	}
}
