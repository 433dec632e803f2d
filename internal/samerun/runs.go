package samerun

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Runs compares two run directories: what is published, if anything is, every line of metrics.jsonl, and the checkpoints
// that want kept. Each string of the result is a difference; none = the same.
func Runs(want, got string) (list []string, err error) {
	if a, b := Product(want), Product(got); a == "" != (b == "") {
		list = append(list, "one of the two has published, the other has not")
	} else if a != "" {
		if list, err = products(a, b); err != nil {
			return list, err
		}
	}
	d, err := metrics(filepath.Join(want, "metrics.jsonl"), filepath.Join(got, "metrics.jsonl"))
	if err != nil {
		return list, err
	}
	list = append(list, d...)
	kept, err := os.ReadDir(filepath.Join(want, "checkpoints"))
	if err != nil {
		return list, err
	}
	for _, e := range kept {
		d, err := checkpoints(filepath.Join(want, "checkpoints", e.Name()), filepath.Join(got, "checkpoints", e.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			d, err = []string{"is not there"}, nil
		}
		if err != nil {
			return list, err
		}
		for _, s := range d {
			list = append(list, e.Name()+": "+s)
		}
	}
	return list, nil
}

// Product is the directory of what a run published, "" where it has not.
func Product(runDir string) string {
	for _, name := range []string{"adapter", "model"} {
		if _, err := os.Stat(filepath.Join(runDir, name)); err == nil {
			return filepath.Join(runDir, name)
		}
	}
	return ""
}
