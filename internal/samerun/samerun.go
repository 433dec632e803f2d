// Package samerun compares what two runs left behind and says in words where they part: bytes of tensors, states,
// metrics. What depends on the machine's speed or its number of threads is not looked at.
package samerun

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"attune/internal/smallfile"
)

// times are the keys of metrics.jsonl that a clock decides.
var times = []string{"seconds", "tokens_per_second"}

// unlike are the keys of state.json in which equal runs may differ: the clock's, and where and by whom the last part of
// the run was made.
var unlike = []string{"seconds", "made", "recipe"}

// maxFile bounds state.json and metrics.jsonl, in bytes.
const maxFile = 1 << 30

// checkpoints compares two checkpoints' directories: every safetensors file, and state.json.
func checkpoints(want, got string) ([]string, error) {
	list, err := directories(want, got, func(name string) bool { return filepath.Ext(name) == ".safetensors" })
	if err != nil {
		return nil, err
	}
	d, err := states(filepath.Join(want, "state.json"), filepath.Join(got, "state.json"))
	return append(list, d...), err
}

// products compares two published directories, an adapter or a model: the same files with the same bytes. README.md, which
// names threads and run_dir, is only there.
func products(want, got string) ([]string, error) {
	return directories(want, got, func(name string) bool { return name != "README.md" })
}

// directories compares the names of all files and the bytes of those that are to be read.
func directories(want, got string, read func(name string) bool) (list []string, err error) {
	a, err := names(want)
	if err != nil {
		return nil, err
	}
	b, err := names(got)
	if err != nil {
		return nil, err
	}
	for _, name := range b {
		if !slices.Contains(a, name) {
			list = append(list, fmt.Sprintf("%s is there in %s alone", name, got))
		}
	}
	for _, name := range a {
		if !slices.Contains(b, name) {
			list = append(list, fmt.Sprintf("%s is missing in %s", name, got))
			continue
		}
		if !read(name) {
			continue
		}
		d, err := files(filepath.Join(want, name), filepath.Join(got, name))
		if err != nil {
			return list, err
		}
		if d != "" {
			list = append(list, name+": "+d)
		}
	}
	return list, nil
}

// names are the files below a directory, as paths from there.
func names(dir string) (list []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		list = append(list, rel)
		return err
	})
	return list, err
}

func files(want, got string) (string, error) {
	if filepath.Ext(want) == ".safetensors" {
		return tensors(want, got)
	}
	a, err := os.ReadFile(want)
	if err != nil {
		return "", err
	}
	b, err := os.ReadFile(got)
	if err != nil || bytes.Equal(a, b) {
		return "", err
	}
	return fmt.Sprintf("%d bytes, %d were expected, and not the same", len(b), len(a)), nil
}

// states compares two objects of JSON key by key.
func states(want, got string) ([]string, error) {
	var a, b map[string]any
	for path, v := range map[string]*map[string]any{want: &a, got: &b} {
		text, err := smallfile.Read(path, maxFile)
		if err == nil {
			err = json.Unmarshal(text, v)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	return objects(a, b, unlike), nil
}

// objects are the differences of two objects in all keys but those of except; of objects within them, by their own keys.
func objects(want, got map[string]any, except []string) (list []string) {
	for _, key := range union(want, got) {
		if slices.Contains(except, key) || reflect.DeepEqual(want[key], got[key]) {
			continue
		}
		a, isObject := want[key].(map[string]any)
		if b, ok := got[key].(map[string]any); ok && isObject {
			for _, d := range objects(a, b, nil) {
				list = append(list, key+"."+d)
			}
			continue
		}
		list = append(list, fmt.Sprintf("%s is %s, %s was expected", key, told(got, key), told(want, key)))
	}
	return list
}

func union(a, b map[string]any) []string {
	var keys []string
	for _, m := range []map[string]any{a, b} {
		for k := range m {
			if !slices.Contains(keys, k) {
				keys = append(keys, k)
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func told(m map[string]any, key string) string {
	v, ok := m[key]
	if !ok {
		return "not there"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// metrics compares two metrics.jsonl line by line, up to the first that differs, is missing or there too often.
func metrics(want, got string) ([]string, error) {
	a, err := records(want)
	if err != nil {
		return nil, err
	}
	b, err := records(got)
	if err != nil {
		return nil, err
	}
	for i := range min(len(a), len(b)) {
		if d := objects(a[i], b[i], times); len(d) > 0 {
			return []string{fmt.Sprintf("%s: line %d, of step %v: %s", filepath.Base(got), i+1, a[i]["step"], strings.Join(d, "; "))}, nil
		}
	}
	if len(a) != len(b) {
		return []string{fmt.Sprintf("%s: %d lines, %d were expected", filepath.Base(got), len(b), len(a))}, nil
	}
	return nil, nil
}

func records(path string) ([]map[string]any, error) {
	b, err := smallfile.Read(path, maxFile)
	if err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(b, []byte("\n")) {
		return nil, fmt.Errorf("%s: %w", path, errTorn)
	}
	var list []map[string]any
	for line := range bytes.Lines(b) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(list)+1, err)
		}
		list = append(list, m)
	}
	return list, nil
}

var errTorn = errors.New("the last line is torn")
