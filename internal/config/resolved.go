package config

import "reflect"

// Resolved reads a run file as a run wrote it into its run_dir: it is complete, so no variable and no override is laid
// over it, and it is not held to what the machine has now.
func Resolved(path string) (Config, error) {
	c := Default()
	settings, _, err := settingsOf(path)
	if err != nil {
		return c, err
	}
	p := &problems{file: path}
	p.decode(settings, reflect.ValueOf(&c).Elem(), "")
	if len(p.list) > 0 {
		return c, &Error{File: path, Problems: p.list}
	}
	return c, nil
}
