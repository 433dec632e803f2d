package chat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/hostiletest"
)

// bombed is a model directory with one file of such a text.
func bombed(t *testing.T, name, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Files of the largest size take little memory, and a template that is there is still found.
func TestLargeConfigurations(t *testing.T) {
	numbered := func(format string) string {
		var b strings.Builder
		for i := 0; b.Len() < maxConfig-100; i++ {
			fmt.Fprintf(&b, format, i)
		}
		return b.String()
	}
	for _, c := range []struct{ name, file, text, want string }{
		{"keys", "tokenizer_config.json", "{" + numbered(`"%d":0,`) + `"chat_template":"x"}`, ""},
		{"keys beside", "special_tokens_map.json", "{" + numbered(`"%d":0,`) + `"a":0}`, "no chat template"},
		{"templates", "tokenizer_config.json", `{"chat_template":[` + strings.Repeat("{},", maxConfig/3-20) + `{}]}`, "chat_template"},
		{"depth", "tokenizer_config.json", `{"chat_template":` + strings.Repeat("[", maxConfig-20), "depth"},
		{"size", "tokenizer_config.json", strings.Repeat(" ", maxConfig+1), "at most"},
		{"template", "chat_template.jinja", strings.Repeat("x", maxConfig), "larger than 1 MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := bombed(t, c.file, c.text)
			var err error
			took := hostiletest.Allocated(func() { _, err = FromModel(dir) })
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
				t.Errorf("got %.300v, want %q", err, c.want)
			}
			if took > 128<<20 {
				t.Errorf("%d MiB taken for a file of %d", took>>20, len(c.text)>>20)
			}
		})
	}
}

// Every file of a model directory that this package reads is a regular one.
func TestFilesAreRegular(t *testing.T) {
	for _, name := range []string{"tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"} {
		for _, target := range []string{"pipe", "/dev/zero"} {
			dir := bombed(t, "other", "")
			hostiletest.Link(t, dir, name, target)
			if _, err := FromModel(dir); err == nil || !strings.Contains(err.Error(), "a regular file is needed") {
				t.Errorf("%s is a link to %s: %v", name, target, err)
			}
		}
	}
}
