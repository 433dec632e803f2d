package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// keyLines finds the line of every key of a YAML or JSON file, by dotted path, so that a complaint can name it, and the keys
// that stand twice in a section: in JSON the first would be lost without a word, the others refuse it themselves.
func keyLines(path string, raw []byte) (lines map[string]int, twice []string) {
	lines = map[string]int{}
	if filepath.Ext(path) == ".toml" {
		return lines, nil
	}
	var root yaml.Node
	if yaml.Unmarshal(raw, &root) != nil || len(root.Content) == 0 {
		return lines, nil
	}
	var walk func(n *yaml.Node, prefix string, depth int)
	walk = func(n *yaml.Node, prefix string, depth int) {
		if depth > 16 { // deeper than any key of a run file; aliases may nest without end
			return
		}
		switch n.Kind {
		case yaml.MappingNode:
			for i := 0; i+1 < len(n.Content); i += 2 {
				key := prefix + n.Content[i].Value
				if lines[key] > 0 {
					twice = append(twice, key)
				}
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
	return lines, twice
}
