package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

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
