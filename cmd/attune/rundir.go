package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"attune/internal/disk"
	"attune/internal/smallfile"
)

// runDir is the directory of one run, locked while it is open.
type runDir struct {
	path string
	root *os.Root
	fs   disk.FS // of root: the one way in which the run writes
	lock *lock
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

// mustBe says what the names of a run directory are where they are there: a link or a pipe is neither.
func mustBe() map[string]fs.FileMode {
	names := map[string]fs.FileMode{}
	for _, file := range []string{runYAML, runJSON, metricsName, logName, lossPNG, lockName} {
		names[file] = 0
	}
	for _, dir := range []string{checkpointsDir, templatesDir, adapterDir, modelDir} {
		names[dir] = fs.ModeDir
	}
	return names
}

// openIfThere is openRunDir where the directory exists, nil where it does not.
func openIfThere(s streams, path string, resume bool) (*runDir, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return openRunDir(s, path, resume)
}

// openRunDir makes the directory and takes its lock. One that holds a run is refused unless resume is set.
func openRunDir(s streams, path string, resume bool) (*runDir, error) {
	if err := disk.MakeDir(disk.OS(), path); err != nil {
		return nil, fmt.Errorf("make run_dir: %w", err)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, fmt.Errorf("open run_dir: %w", err)
	}
	d := &runDir{path: path, root: root, fs: s.fs(root)}
	if err := d.take(resume, flock); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// take looks at what is there and takes the lock.
func (d *runDir) take(resume bool, flock func(*os.File) error) error {
	if err := d.ordinary(); err != nil {
		return err
	}
	l, err := takeLock(d.root, flock)
	var held *heldError
	switch {
	case errors.As(err, &held):
		return usagef("run_dir %s is %w; wait for it, or set another run_dir", d.path, err)
	case err != nil:
		return fmt.Errorf("lock run_dir: %w", err)
	}
	d.lock = l
	// only now: the run that held the lock until a moment ago has written its run.json by then
	if _, err := d.fs.Lstat(runJSON); err == nil && !resume {
		return usagef("run_dir %s holds a run already; go on with it by --resume, or set another run_dir", d.path)
	}
	return nil
}

// ordinary refuses a directory in which a name of the run's is no plain file or directory: what a run writes lies in run_dir,
// and nothing outside is changed.
func (d *runDir) ordinary() error {
	want := mustBe()
	for _, name := range slices.Sorted(maps.Keys(want)) {
		st, err := d.fs.Lstat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return fmt.Errorf("look at run_dir: %w", err)
		case st.Mode()&fs.ModeSymlink != 0:
			return usagef("%s is a symbolic link, and a run writes in its run_dir only; remove the link, or set another run_dir", d.file(name))
		case !want[name].IsDir():
			if err := smallfile.Regular(d.file(name), st); err != nil {
				return usagef("%w; remove it, or set another run_dir", err)
			}
		case !st.IsDir():
			return usagef("%s is no directory, as a run makes one of that name; remove it, or set another run_dir", d.file(name))
		}
	}
	return nil
}

// close gives the lock back, if there is one.
func (d *runDir) close() error {
	if d == nil {
		return nil
	}
	var err error
	if d.lock != nil {
		err = d.lock.release()
	}
	return errors.Join(err, d.root.Close())
}

func (d *runDir) writeJSON(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return disk.WriteFile(d.fs, name, append(b, '\n'))
}
