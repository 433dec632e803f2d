package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"attune/internal/smallfile"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// Error is everything that is wrong with a run file, one line a complaint.
type Error struct {
	File     string
	Problems []string
}

func (e *Error) Error() string {
	if len(e.Problems) == 1 {
		return e.Problems[0]
	}
	return fmt.Sprintf("%d things to mend:\n  %s", len(e.Problems), strings.Join(e.Problems, "\n  "))
}

// maxFile bounds a run file: a larger one is not a run file.
const maxFile = 1 << 20

// Load reads the run file at path ("" = none), lays ATTUNE_* variables and then the --set overrides ("train.epochs=2") over
// it, and checks the result. Paths in the file are made relative to where it lies, those of overrides to where one
// stands. The error, if any, is an *Error with all complaints.
func Load(path string, sets []string) (Config, error) {
	c := Default()
	p := &problems{file: path}
	if path != "" {
		settings, raw, err := settingsOf(path)
		if err != nil {
			return c, err
		}
		var twice []string
		p.lines, twice = keyLines(path, raw)
		for _, key := range twice {
			p.add(key, "stands twice; keep one")
		}
		p.decode(settings, reflect.ValueOf(&c).Elem(), "")
		c.rebase(filepath.Dir(path))
		p.lines = nil
	}
	p.origin = "environment: "
	p.decode(environment(), reflect.ValueOf(&c).Elem(), "")
	p.misspelt(os.Environ())
	p.origin = "--set "
	for _, s := range sets {
		p.decode(override(s, p), reflect.ValueOf(&c).Elem(), "")
	}
	p.origin = ""
	if path != "" {
		p.origin = path + ": "
	}
	c.validate(p)
	if len(p.list) > 0 {
		return c, &Error{File: path, Problems: p.list}
	}
	return c, nil
}

// settingsOf reads the settings of a run file, and gives its text with them. An error is an *Error.
func settingsOf(path string) (map[string]any, []byte, error) {
	raw, err := readFile(path)
	var settings map[string]any
	if err == nil {
		settings, err = parse(path, raw)
	}
	if err != nil {
		return nil, nil, &Error{File: path, Problems: []string{err.Error()}}
	}
	return settings, raw, nil
}

func readFile(path string) ([]byte, error) {
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return nil, fmt.Errorf("%s: is a directory; name the run file in it", path)
	}
	b, err := smallfile.Read(path, maxFile)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file; `attune init` writes one", path)
	case err != nil:
		return nil, fmt.Errorf("read run file: %w", err)
	}
	return b, nil
}

// parse reads YAML, TOML or JSON by viper's codecs, told apart by the file's extension. viper itself would leave out keys
// without a value and empty sections, and read train.epochs and Train as names of a section.
func parse(path string, raw []byte) (map[string]any, error) {
	kind := strings.TrimPrefix(filepath.Ext(path), ".")
	switch kind {
	case "yaml", "yml", "toml", "json":
	default:
		return nil, fmt.Errorf("%s: a run file ends in .yaml, .yml, .toml or .json", path)
	}
	if err := bounded(kind, raw); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	settings := map[string]any{}
	codec, err := viper.NewCodecRegistry().Decoder(kind)
	if err == nil {
		err = codec.Decode(raw, settings)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s", path, shown(strings.Join(strings.Fields(err.Error()), " ")))
	}
	if (kind == "yaml" || kind == "yml") && documents(raw) > 1 {
		return nil, fmt.Errorf("%s: holds more than one document; only the first would be read, keep one and no line ---", path)
	}
	return settings, nil
}

// documents counts the documents of a YAML text as far as the second.
func documents(raw []byte) int {
	d, n := yaml.NewDecoder(bytes.NewReader(raw)), 0
	for n < 2 {
		var doc yaml.Node
		if d.Decode(&doc) == io.EOF {
			break
		}
		n++ // one that cannot be read is one, too
	}
	return n
}
