package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever lies in run_dir under the names of a run's files, nothing outside it is made, changed or removed.
func TestNothingOutsideRunDir(t *testing.T) {
	for _, name := range writtenInRunDir {
		for _, to := range []string{"there", "gone"} { // links to what is there, and to what the run would make
			t.Run(name+" to what is "+to, func(t *testing.T) {
				l := smallLesson(t, lesson{"train.steps": 4, "checkpoint.every": 2, "eval.every": 2})
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
				if err := errors.Join(os.Mkdir(l.runDir(), 0o755), os.Symlink(target, filepath.Join(l.runDir(), name))); err != nil {
					t.Fatal(err)
				}
				before := tree(t, outside)
				o := invoke(t.Context(), "", l.args("train")...)
				if after := tree(t, outside); after != before {
					t.Errorf("exit code %d; outside was\n%s\nand is\n%s", o.code, before, after)
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
var writtenInRunDir = []string{runYAML, runJSON, adapterDir, lossPNG}
