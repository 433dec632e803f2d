package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/internal/reftest"
)

// The README's "Look at your data first" is what data show prints of that row with SmolLM2's tokenizer and template, less the
// head that it says is left out. scripts/readme.sh runs the commands of "Use it".
func TestREADMEShowsWhatIsPrinted(t *testing.T) {
	model, template := reftest.Path(t, "tokenizers", "smollm2"), reftest.Path(t, "chat_templates", "smollm2-instruct.jinja")
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, said, ok := strings.Cut(string(readme), "    $ attune data show heron.jsonl --model path/to/SmolLM2-135M-Instruct\n")
	said, _, ended := strings.Cut(said, "\n\n(")
	if !ok || !ended {
		t.Fatal("README.md shows no heron.jsonl")
	}
	want := strings.ReplaceAll(strings.TrimPrefix(said, "    "), "\n    ", "\n") + "\n"
	rows := writeFile(t, "heron.jsonl", `{"messages": [{"role": "user", "content": "What is a heron?"}, {"role": "assistant", "content": "A wading bird,\nmostly grey."}]}`)
	out := wantShown(t, exitOK, nil, rows, "--model", model, "--template", template)
	head, got, _ := strings.Cut(strings.ReplaceAll(out, rows, "heron.jsonl"), "\n\n")
	if n := strings.Count(head, "\n") + 1; got != want || n != 4 {
		t.Errorf("printed, behind a head of %d lines:\n%s\nin README.md:\n%s", n, got, want)
	}
}
