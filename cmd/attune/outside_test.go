package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Whatever lies in run_dir under the names of a run's files, nothing outside it is made, changed or removed, and the run is
// refused in one sentence before it has written anything.
func TestNothingOutsideRunDir(t *testing.T) {
	base := smallLesson(t, lesson{"train.steps": 4, "checkpoint.every": 2, "eval.every": 2})
	for _, name := range writtenInRunDir {
		for _, to := range []string{"there", "gone"} { // links to what is there, and to what the run would make
			t.Run(name+" to what is "+to, func(t *testing.T) {
				l := base.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
				outside := t.TempDir()
				target := filepath.Join(outside, to)
				if to == "there" {
					if filepath.Ext(name) == "" {
						if err := errors.Join(os.Mkdir(target, 0o755), os.WriteFile(filepath.Join(target, "kept"), []byte("kept"), 0o644)); err != nil {
							t.Fatal(err)
						}
					} else if err := os.WriteFile(target, []byte("kept"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				link := filepath.Join(l.runDir(), name)
				if err := errors.Join(os.Mkdir(l.runDir(), 0o755), os.Symlink(target, link)); err != nil {
					t.Fatal(err)
				}
				before := tree(t, outside)
				for _, flag := range []string{"--resume", "--resume=false"} {
					o := wantCode(t, exitUsage, []string{"attune: " + link + " is a symbolic link"}, l.args("train", flag)...)
					if after := tree(t, outside); after != before || strings.Count(o.stderr, "\n") != 1 {
						t.Errorf("said %q; outside was\n%s\nand is\n%s", o.stderr, before, after)
					}
				}
				if entries, err := os.ReadDir(l.runDir()); err != nil || len(entries) != 1 {
					t.Errorf("run_dir holds %v (%v)", entries, err)
				}
			})
		}
	}
}

// tree lists a directory with all files' contents.
func tree(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			fmt.Fprintln(&b, path)
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %.100q\n", path, text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// writtenInRunDir are names under which a run leaves something in run_dir.
var writtenInRunDir = []string{runYAML, runJSON, metricsName, logName, lossPNG, lockName, checkpointsDir, templatesDir, adapterDir, modelDir}

// What a run leaves in run_dir is what it looks for links under; and what is neither file nor directory there is refused, too.
func TestNamesInRunDir(t *testing.T) {
	for _, method := range []string{"lora", "full"} {
		l := smallLesson(t, lesson{"method": method, "train.steps": 2, "checkpoint.every": 1})
		l.train(t)
		entries, err := os.ReadDir(l.runDir())
		if err != nil || len(entries) < 8 {
			t.Fatal(entries, err)
		}
		for _, e := range entries {
			if !slices.Contains(writtenInRunDir, e.Name()) {
				t.Errorf("%s is not listed", e.Name())
			}
		}
	}
	l := smallLesson(t, nil)
	for _, name := range writtenInRunDir {
		path := filepath.Join(t.TempDir(), "run")
		pipe := filepath.Join(path, name)
		if err := errors.Join(os.Mkdir(path, 0o755), unix.Mkfifo(pipe, 0o600)); err != nil {
			t.Fatal(err)
		}
		wantCode(t, exitUsage, []string{pipe + " is ", "; remove it, or set another run_dir"}, l.with(lesson{"run_dir": path}).args("train")...)
	}
}
