package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/published.tsv names each text that docs/text.md counts, once, with where it was taken from; the files that are here are
// those.
func TestPublishedTextsAreListed(t *testing.T) {
	list, err := os.ReadFile(filepath.Join("..", "..", "docs", "published.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	held := os.Getenv("ATTUNE_TEST_FURTHER")
	if held == "" {
		held = filepath.Join("..", "..", ".cache", "published")
	}
	row := regexp.MustCompile(`^(template|tokenizer)\t([\w.-]+)\t([0-9a-f]{64})\t((?:npm @)?[\w.-]+/[\w.-]+)\t([0-9a-f]{40}|[0-9.]+)\t[^\t/][^\t]*$`)
	count, seen := map[string]int{}, map[string]bool{}
	lines := strings.Split(strings.TrimSpace(string(list)), "\n")
	for _, line := range lines[1:] {
		f := row.FindStringSubmatch(line)
		if f == nil || seen[f[3]] {
			t.Errorf("a line of another form, or a text that is listed already: %q", line)
			continue
		}
		seen[f[3]] = true
		count[f[1]]++
		path := filepath.Join(held, "templates", f[2]+".jinja")
		if f[1] == "tokenizer" {
			path = filepath.Join(held, "tokenizers", f[2], "tokenizer.json")
		}
		b, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if sum := sha256.Sum256(b); err != nil || hex.EncodeToString(sum[:]) != f[3] {
			t.Errorf("%s is not the text that is listed (%v)", path, err)
		}
	}
	if count["template"] != 245 || count["tokenizer"] != 28 {
		t.Errorf("listed are %v; docs/text.md counts 245 templates and 28 tokenizers", count)
	}
}
