package chat

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	if _, err := Resolve("auto", dir); err == nil || !strings.Contains(err.Error(), "set template") {
		t.Errorf("no template: %v", err)
	}
	write(t, dir, "tokenizer_config.json", `{"bos_token": {"content": "<b>"}, "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "{{ bos_token }}D"}]}`)
	tmpl, err := Resolve("", dir)
	if err != nil || tmpl.Source() != "{{ bos_token }}D" {
		t.Fatalf("list: %v", err)
	}
	if r, err := tmpl.Render(talk(""), RenderOptions{}); err != nil || r.Text != "<b>D" {
		t.Errorf("the model's own tokens: %q, %v", r.Text, err)
	}
	write(t, dir, "chat_template.jinja", "own")
	if tmpl, err = Resolve("auto", dir); err != nil || tmpl.Source() != "own" || !strings.HasSuffix(tmpl.Name(), "chat_template.jinja") {
		t.Errorf("chat_template.jinja wins: %v", err)
	}
	if tmpl.SHA256() != "5b3975651c3cab92d044c096dc30a1c2d9525497457472de48c51ecb363d1f4a" {
		t.Errorf("SHA-256 %q", tmpl.SHA256())
	}
	if tmpl, err = Resolve(write(t, dir, "mine.jinja", "mine"), dir); err != nil || tmpl.Source() != "mine" {
		t.Errorf("a file: %v", err)
	}
	if _, err = Resolve("chatlm", dir); err == nil || !strings.Contains(err.Error(), "chatml") {
		t.Errorf("neither file nor builtin: %v", err)
	}
	if _, err = Resolve(write(t, dir, "bad.jinja", "a\n{% if %}"), dir); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Errorf("a broken file: %v", err)
	}
	for _, bad := range []string{"{", `{"chat_template": 5}`, `{"chat_template": [{"name": "x", "template": "y"}]}`} {
		os.Remove(filepath.Join(dir, "chat_template.jinja"))
		write(t, dir, "tokenizer_config.json", bad)
		if _, err := Resolve("auto", dir); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

// TestBuiltins: each writes what its format says, and learns the answer and its end.
func TestBuiltins(t *testing.T) {
	o := RenderOptions{Specials: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}, SpecialTokens: []string{"<s>", "</s>", "<|im_end|>", "<|im_start|>", "<|eot_id|>"}}
	for name, want := range map[string]string{
		"chatml": "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n⟦A<|im_end|>⟧\n",
		"zephyr": "<|user|>\nQ</s>\n<|assistant|>\n⟦A</s>⟧\n",
		"llama3": "<s><|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n⟦A<|eot_id|>⟧",
		"alpaca": "<s>Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nQ\n\n### Response:\n⟦A</s>⟧\n\n",
	} {
		tmpl, err := Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		r, err := tmpl.Render(talk("Q", "A"), o)
		if err != nil || drawn(r) != want {
			t.Errorf("%s: %q, %v\nwant %q", name, drawn(r), err, want)
		}
		p, err := tmpl.Render(talk("Q"), RenderOptions{Specials: o.Specials, AddGenerationPrompt: true})
		if err != nil || !strings.HasPrefix(r.Text, p.Text) || len(p.Text) != strings.Index(r.Text, "A"+r.Text[r.Trained[0].Start+1:]) {
			t.Errorf("%s: the prompt %q is not what the answer stands behind", name, p.Text)
		}
		if _, err := tmpl.Render(talk("Q", "A"), RenderOptions{Specials: map[string]string{"eos_token": "END"}, SpecialTokens: []string{"<x>"}}); err == nil || !strings.Contains(err.Error(), "learn to stop") {
			t.Errorf("%s with a tokenizer that knows none of its markers: %v", name, err)
		}
	}
	if _, err := Builtin("vicuna"); err == nil {
		t.Error("vicuna is no builtin")
	}
}
