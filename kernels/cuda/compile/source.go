package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// source is a .cu file.
type source struct {
	dir, name string
	text      []byte
	headers   map[string][]byte // the files of dir that it includes, directly or not
	hot       map[string]bool   // kernels that must not spill
}

// readSources reads every .cu file of a directory.
func readSources(dir string) ([]*source, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.cu"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no .cu files in %s", dir)
	}
	var list []*source
	for _, path := range paths {
		s := &source{dir: dir, name: filepath.Base(path), headers: map[string][]byte{}}
		if s.text, err = os.ReadFile(path); err != nil {
			return nil, err
		}
		if s.hot, err = hot(s.text); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if err := s.include(s.text); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		list = append(list, s)
	}
	return list, nil
}

var included = regexp.MustCompile(`(?m)^\s*#\s*include\s+"([^"]+)"`)

func (s *source) include(text []byte) error {
	for _, m := range included.FindAllSubmatch(text, -1) {
		name := string(m[1])
		if s.headers[name] != nil {
			continue
		}
		b, err := os.ReadFile(filepath.Join(s.dir, name))
		if err != nil {
			return err
		}
		s.headers[name] = b
		if err := s.include(b); err != nil {
			return err
		}
	}
	return nil
}

// runsOn is whether the file is compiled for an architecture.
func (s *source) runsOn(arch string) bool {
	return arch == "sm_90a" || !strings.HasSuffix(s.name, "_sm90.cu")
}

// module is the file's name without .cu.
func (s *source) module() string { return strings.TrimSuffix(s.name, ".cu") }

// hash is of all that decides what the compiler makes.
func (s *source) hash(version string, flags []string) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q\n", version, flags, s.name, s.text)
	var names []string
	for name := range s.headers {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(h, "%q %q\n", name, s.headers[name])
	}
	return hex.EncodeToString(h.Sum(nil))
}

var (
	paragraph = regexp.MustCompile(`\n[ \t]*\n`)
	mark      = regexp.MustCompile(`(?m)^// hot\b`)
	kernel    = regexp.MustCompile(`(?m)^KERNEL\((\w+),`)
)

// hot are the kernels of the paragraphs that have a line beginning with "// hot".
func hot(text []byte) (map[string]bool, error) {
	names := map[string]bool{}
	for _, p := range paragraph.Split(string(text), -1) {
		if !mark.MatchString(p) {
			continue
		}
		found := kernel.FindAllStringSubmatch(p, -1)
		if len(found) == 0 {
			return nil, fmt.Errorf("a line begins with \"// hot\" and no KERNEL(...) line follows before the next empty line:\n%s", p)
		}
		for _, m := range found {
			names[m[1]] = true
		}
	}
	return names, nil
}

// kept gives what is under hash in a directory, or makes it and keeps it.
func kept(dir, hash string, make func() (image []byte, log string, err error)) ([]byte, string, error) {
	at := filepath.Join(dir, hash)
	image, err := os.ReadFile(at + ".image")
	if err == nil {
		log, err := os.ReadFile(at + ".log")
		if err == nil {
			return image, string(log), nil
		}
	}
	image, log, err := make()
	if err != nil {
		return nil, log, err
	}
	if err := replace(at+".log", []byte(log)); err != nil {
		return nil, log, err
	}
	return image, log, replace(at+".image", image)
}

// replace writes a file whole or not at all.
func replace(path string, b []byte) error {
	if err := os.WriteFile(path+".part", b, 0o644); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
