package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

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

// others are the ATTUNE_* variables that are no keys of a run file: those of a GPU and its build, and of the program that
// is replaced by attune-cuda.
var others = []string{"ATTUNE_CUDA_INCLUDE", "ATTUNE_CUDA_KERNELS", "ATTUNE_CUDA_LIBS", "ATTUNE_CUDA_PATH", "ATTUNE_HANDED_OVER_BY", "ATTUNE_NVRTC"}

// testPrefixes begin those of the tests and CI, and of the emulated GPU.
var testPrefixes = []string{"ATTUNE_TEST_", "ATTUNE_EMU_"}

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
		if !ours || paths[strings.ToLower(key)] != "" && key == strings.ToUpper(key) || slices.Contains(others, variable) ||
			slices.ContainsFunc(testPrefixes, func(p string) bool { return strings.HasPrefix(variable, p) }) {
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
	if _, is := section(out); is {
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
