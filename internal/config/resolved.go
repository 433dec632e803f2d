package config

import "reflect"

// Resolved reads a run file as a run wrote it into its run_dir: it is complete, so no variable and no override is laid
// over it, and it is not held to what the machine has now. Keys that it does not have yet are at their defaults.
func Resolved(path string) (Config, error) {
	settings, _, err := settingsOf(path)
	if err != nil {
		return Default(), err
	}
	return resolved(path, settings)
}

// ResolvedText is Resolved of a text that name keeps.
func ResolvedText(name, text string) (Config, error) {
	settings, err := parse("run.yaml", []byte(text))
	if err != nil {
		return Default(), &Error{File: name, Problems: []string{name + ": " + err.Error()}}
	}
	return resolved(name, settings)
}

func resolved(name string, settings map[string]any) (Config, error) {
	c, p := Default(), &problems{file: name}
	p.decode(settings, reflect.ValueOf(&c).Elem(), "")
	if len(p.list) > 0 {
		return c, &Error{File: name, Problems: p.list}
	}
	return c, nil
}
