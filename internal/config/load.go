package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
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
		raw, err := readFile(path)
		if err != nil {
			return c, &Error{File: path, Problems: []string{err.Error()}}
		}
		settings, err := parse(path, raw)
		if err != nil {
			return c, &Error{File: path, Problems: []string{err.Error()}}
		}
		p.lines = keyLines(path, raw)
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

func readFile(path string) ([]byte, error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s: there is no such file; `attune init` writes one", path)
	case err != nil:
		return nil, fmt.Errorf("read run file: %w", err)
	case st.IsDir():
		return nil, fmt.Errorf("%s: is a directory; name the run file in it", path)
	case st.Size() > maxFile:
		return nil, fmt.Errorf("%s: has %d bytes; a run file has at most %d", path, st.Size(), maxFile)
	}
	return os.ReadFile(path)
}

// parse has viper read YAML, TOML or JSON, by the file's extension.
func parse(path string, raw []byte) (map[string]any, error) {
	kind := strings.TrimPrefix(filepath.Ext(path), ".")
	switch kind {
	case "yaml", "yml", "toml", "json":
	default:
		return nil, fmt.Errorf("%s: a run file ends in .yaml, .yml, .toml or .json", path)
	}
	v := viper.New()
	v.SetConfigType(kind)
	if err := v.ReadConfig(bytes.NewReader(raw)); err != nil {
		var pe viper.ConfigParseError
		if errors.As(err, &pe) {
			err = pe.Unwrap()
		}
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return v.AllSettings(), nil
}

// environment collects ATTUNE_TRAIN_LEARNING_RATE and its like.
func environment() map[string]any {
	v := viper.New()
	v.SetEnvPrefix("attune")
	v.SetEnvKeyReplacer(strings.NewReplacer(".", "_"))
	leaves(reflect.TypeOf(Config{}), "", func(path string, _ field) {
		// BindEnv fails only without a key
		_ = v.BindEnv(path)
	})
	settings := v.AllSettings()
	walkStrings(settings)
	return settings
}

// notSettings are the ATTUNE_* variables that are no keys of a run file: they are the tests' and CI's.
var notSettings = []string{"ATTUNE_PYTHON", "ATTUNE_RECIPE", "ATTUNE_SHARED", "ATTUNE_SMOLLM2", "ATTUNE_TEST_AS_PROGRAM", "ATTUNE_TEST_PEAK_FILE"}

// misspelt complains about the ATTUNE_* variables that name no key: viper asks only for those that do. environ is as
// os.Environ gives it.
func (p *problems) misspelt(environ []string) {
	paths, names := map[string]string{}, []string(nil)
	leaves(reflect.TypeOf(Config{}), "", func(path string, _ field) {
		name := strings.ReplaceAll(path, ".", "_")
		paths[name], names = path, append(names, name)
	})
	slices.Sort(environ)
	for _, pair := range environ {
		variable, _, _ := strings.Cut(pair, "=")
		key, ours := strings.CutPrefix(variable, "ATTUNE_")
		if !ours || paths[strings.ToLower(key)] != "" && key == strings.ToUpper(key) || slices.Contains(notSettings, variable) {
			continue
		}
		hint := "unset it"
		if n := nearest(strings.ToLower(key), names); n != "" {
			hint = "did you mean ATTUNE_" + strings.ToUpper(n) + "?"
			p.marked = append(p.marked, paths[n])
		}
		p.add(variable, "names no key of the run file; "+hint)
	}
}

// walkStrings gives environment values the types their text has in YAML.
func walkStrings(m map[string]any) {
	for k, val := range m {
		switch x := val.(type) {
		case string:
			m[k] = yamlValue(x)
		case map[string]any:
			walkStrings(x)
		}
	}
}

// yamlValue reads a number, a word or a list; what YAML would take for a section ("Note: be brief") is text.
func yamlValue(text string) any {
	var out any
	if err := yaml.Unmarshal([]byte(text), &out); err != nil || out == nil {
		return text
	}
	if _, section := out.(map[string]any); section {
		return text
	}
	return out
}

// override turns key=value into the nested settings it stands for.
func override(s string, p *problems) map[string]any {
	key, value, ok := strings.Cut(s, "=")
	key = strings.TrimSpace(key)
	if !ok || key == "" {
		p.list = append(p.list, fmt.Sprintf("--set %q: write key=value, as in --set train.epochs=2", s))
		return nil
	}
	var tree any = yamlValue(value)
	parts := strings.Split(key, ".")
	for i := len(parts) - 1; i >= 0; i-- {
		tree = map[string]any{parts[i]: tree}
	}
	return tree.(map[string]any)
}

// rebase makes the paths of a run file relative to its directory.
func (c *Config) rebase(dir string) {
	fix := func(p *string) {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
	fix(&c.Model)
	fix(&c.RunDir)
	fix(&c.LoRA.InitFrom)
	if strings.HasSuffix(c.Template, ".jinja") {
		fix(&c.Template)
	}
	c.Data.Train, c.Data.Eval = slices.Clone(c.Data.Train), slices.Clone(c.Data.Eval) // copies of the Config share them
	for _, sources := range [][]Source{c.Data.Train, c.Data.Eval} {
		for i := range sources {
			fix(&sources[i].Path)
		}
	}
}

// Portable is the run without the directories it lay in, for a file that is given to others: paths are base names.
func (c Config) Portable() Config {
	c.Absolute() // "." has a name, too
	base := func(p *string) {
		if *p != "" {
			*p = filepath.Base(*p)
		}
	}
	base(&c.Model)
	base(&c.RunDir)
	base(&c.LoRA.InitFrom)
	if strings.HasSuffix(c.Template, ".jinja") {
		base(&c.Template)
	}
	for _, sources := range [][]Source{c.Data.Train, c.Data.Eval} {
		for i := range sources {
			base(&sources[i].Path)
		}
	}
	return c
}

// Absolute makes every path of the run absolute, for a copy that is read from elsewhere.
func (c *Config) Absolute() {
	if wd, err := os.Getwd(); err == nil {
		c.rebase(wd)
	}
}

// keyLines finds the line of every key of a YAML or JSON file, by dotted path, so that a complaint can name it.
func keyLines(path string, raw []byte) map[string]int {
	lines := map[string]int{}
	if filepath.Ext(path) == ".toml" {
		return lines
	}
	var root yaml.Node
	if yaml.Unmarshal(raw, &root) != nil || len(root.Content) == 0 {
		return lines
	}
	var walk func(n *yaml.Node, prefix string, depth int)
	walk = func(n *yaml.Node, prefix string, depth int) {
		if depth > 16 { // deeper than any key of a run file; aliases may nest without end
			return
		}
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := prefix + strings.ToLower(n.Content[i].Value)
				lines[key] = n.Content[i].Line
				walk(n.Content[i+1], key+".", depth+1)
			}
		case yaml.SequenceNode:
			for i, item := range n.Content {
				key := fmt.Sprintf("%s[%d]", strings.TrimSuffix(prefix, "."), i)
				lines[key] = item.Line
				walk(item, key+".", depth+1)
			}
		}
	}
	walk(root.Content[0], "", 0)
	return lines
}

// nearest is the known key closest to the one written, or "" where none is close.
func nearest(key string, known []string) string {
	best, distance := "", len(key)/2+2
	for _, k := range known {
		if d := levenshtein.ComputeDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	return best
}
