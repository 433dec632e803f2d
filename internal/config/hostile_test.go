package config

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/hostiletest"

	"golang.org/x/sys/unix"
)

// bombs are run files of at most a megabyte that say much more than they hold.
func bombs() map[string]string {
	var laughs, merges, keys strings.Builder
	laughs.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	merges.WriteString("a0: &a0 {k: 1}\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&laughs, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
		fmt.Fprintf(&merges, "a%d: &a%d {k%d: *a%d, l%d: *a%d, <<: [*a%d, *a%d]}\n", i, i, i, i-1, i, i-1, i-1, i-1)
	}
	for i := range 60_000 {
		fmt.Fprintf(&keys, "k%d: {a: 1}\n", i)
	}
	many := "a: &a [" + strings.Repeat("x, ", 50_000) + "x]\nb: [" + strings.Repeat("*a, ", 200_000) + "*a]\n"
	return map[string]string{
		"laughs.yaml":        laughs.String() + "template_kwargs: {a: *a29}\n",
		"merges.yaml":        merges.String() + "template_kwargs: *a29\n",
		"long.yaml":          many + "template_kwargs: {b: *a}\n",
		"itself.yaml":        "template_kwargs: &a {b: *a}\n",
		"sequence.yaml":      "template_kwargs: {b: " + strings.Repeat("[", 500_000) + "\n",
		"mapping.yaml":       "template_kwargs: " + strings.Repeat("{a: ", 200_000) + "\n",
		"indented.yaml":      "template_kwargs:\n" + strings.Repeat("- ", 500_000) + "x\n",
		"questions.yaml":     strings.Repeat("? ", 500_000) + "x\n",
		"keys.yaml":          keys.String(),
		"keys.toml":          strings.ReplaceAll(strings.ReplaceAll(keys.String(), "{a: 1}", "1"), ":", " ="),
		"flow.yaml":          "template_kwargs: {" + strings.Repeat("a, ", 300_000) + "a}\n",
		"tags.yaml":          "template_kwargs: " + strings.Repeat("!a ", 300_000) + "\n",
		"documents.yaml":     strings.Repeat("---\n", 250_000),
		"one.json":           `{"template_kwargs": ` + strings.Repeat(`{"a":`, 200_000),
		"list.json":          `{"template_kwargs": {"a":` + strings.Repeat("[", 1_000_000),
		"array.toml":         "template_kwargs = " + strings.Repeat("[", 1_000_000),
		"closed.toml":        "template_kwargs = " + strings.Repeat("[", 500_000) + strings.Repeat("]", 500_000) + "\n",
		"inline.toml":        "template_kwargs = " + strings.Repeat("{a=", 300_000),
		"dots.toml":          "[template_kwargs" + strings.Repeat(".a", 500_000) + "]\nx = 1\n",
		"tables.toml":        strings.Repeat("[[data.train]]\n", 60_000),
		"name" + ".yaml":     strings.Repeat("k", 1<<20-10) + ": 1\n",
		"value" + ".yaml":    "method: " + strings.Repeat("k", 1<<20-20) + "\n",
		"control.yaml":       "\"a\\e[31m\": 1\n",
		"text at number.yml": "train: {steps: \"" + strings.Repeat("9", 1<<20-40) + "\"}\n",
	}
}

// No run file takes much memory or time, whatever it says.
func TestBombs(t *testing.T) {
	for name, text := range bombs() {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			var err error
			took := hostiletest.Allocated(func() { _, err = Load(path, nil) })
			if err == nil {
				t.Fatal("accepted")
			}
			said := err.Error()
			if len(said) > 16<<10 || strings.Count(said, "\n") > mostProblems+1 || strings.ContainsRune(said, '\x1b') {
				t.Errorf("a complaint of %d bytes and %d lines: %.300q", len(said), strings.Count(said, "\n"), said)
			}
			t.Logf("%d MiB: %.200q", took>>20, said)
			if took > 512<<20 {
				t.Errorf("%d MiB taken for a run file of %d bytes", took>>20, len(text))
			}
		})
	}
}

// A run file is a regular file.
func TestRunFileIsAFile(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mkfifo(filepath.Join(dir, "pipe.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "zero.yaml")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pipe.yaml", "zero.yaml"} {
		if _, err := Load(filepath.Join(dir, name), nil); err == nil || !strings.Contains(err.Error(), "a regular file is needed") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
