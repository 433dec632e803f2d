package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"attune/internal/disk"

	"golang.org/x/sys/unix"
)

// runDir is the directory of one run, locked while it is open.
type runDir struct {
	path string
	lock *os.File
}

func (d *runDir) file(name string) string { return filepath.Join(d.path, name) }

// Names in a run directory.
const (
	runYAML        = "run.yaml"
	runJSON        = "run.json"
	metricsName    = "metrics.jsonl"
	logName        = "log.jsonl"
	checkpointsDir = "checkpoints"
	templatesDir   = "templates"
	adapterDir     = "adapter"
	modelDir       = "model"
	lossPNG        = "loss.png"
)

// openIfThere is openRunDir where the directory exists, nil where it does not.
func openIfThere(path string, resume bool) (*runDir, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return openRunDir(path, resume)
}

// openRunDir makes the directory and takes its lock. One that holds a run is refused unless resume is set.
func openRunDir(path string, resume bool) (*runDir, error) {
	d := &runDir{path: path}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make run_dir: %w", err)
	}
	f, err := os.OpenFile(d.file(".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock run_dir: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, errors.Join(usagef("run_dir %s is in use by another attune; wait for it, or set another run_dir", path), f.Close())
	}
	d.lock = f
	// only now: the run that held the lock until a moment ago has written its run.json by then
	if _, err := os.Stat(d.file(runJSON)); err == nil && !resume {
		return nil, errors.Join(usagef("run_dir %s holds a run already; go on with it by --resume, or set another run_dir", path), d.close())
	}
	return d, nil
}

// close gives the lock back, if there is one. The file stays: removing it would let two runs lock two files of the same
// name.
func (d *runDir) close() error {
	if d == nil {
		return nil
	}
	return d.lock.Close()
}

func writeJSONFile(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := disk.WriteFile(disk.OS(), path, append(b, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}
