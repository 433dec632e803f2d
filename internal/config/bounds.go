package config

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Bounds on run files that their readers do not have. Those of YAML and JSON bound how deep a file nests and what its aliases
// stand for; that of TOML calls itself at every bracket and makes a section at every dot; YAML's and TOML's compare each key with all others of its section.
const (
	maxKeys  = 1 << 10 // of a section of a YAML file
	maxMarks = 1 << 14 // opening brackets, equals signs and dots of a TOML file
)

// bounded refuses what would take long to read.
func bounded(kind string, raw []byte) error {
	switch kind {
	case "toml":
		n := 0
		for _, mark := range []string{"[", "{", "=", "."} {
			n += bytes.Count(raw, []byte(mark))
		}
		if n > maxMarks {
			return fmt.Errorf("%d brackets, equals signs and dots; a run file has at most %d", n, maxMarks)
		}
	case "yaml", "yml":
		var root yaml.Node
		if yaml.Unmarshal(raw, &root) == nil { // otherwise the decoder says what is wrong
			return fewKeys(&root)
		}
	}
	return nil
}

// fewKeys looks at every section that is written out; aliases stand for those.
func fewKeys(n *yaml.Node) error {
	if keys := len(n.Content) / 2; n.Kind == yaml.MappingNode && keys > maxKeys {
		return fmt.Errorf("line %d: a section of %d keys; one of a run file has at most %d", n.Line, keys, maxKeys)
	}
	for _, c := range n.Content {
		if err := fewKeys(c); err != nil {
			return err
		}
	}
	return nil
}
