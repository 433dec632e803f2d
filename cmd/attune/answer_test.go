package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attune/data/tokenizer"
	"attune/engine/generate"
	"attune/engine/model"
)

// taught is a model that answers "Say one." and "Say two.", as it was published.
func taught(t *testing.T) string {
	t.Helper()
	rows := writeFile(t, "taught.jsonl", `{"instruction": "Say one.", "output": "One!"}`, `{"instruction": "Say two.", "output": "Two, dear.\nTwo."}`)
	l := smallLesson(t, lesson{"data.train": rows, "data.eval": rows, "method": "full", "train.steps": 80, "train.examples_per_step": 2, "train.learning_rate": 0.01,
		"eval.every": 0, "checkpoint.every": 0, "train.seed": 2})
	l.train(t)
	return filepath.Join(l.runDir(), modelDir)
}

// answers are what generate --json printed.
func answers(t *testing.T, stdin string, args ...string) []generate.Result {
	t.Helper()
	o := invoke(t.Context(), stdin, append([]string{"generate", "--json", "--dtype", "float32"}, args...)...)
	if o.code != exitOK {
		t.Fatalf("%v: exit code %d\n%s", args, o.code, o.stderr)
	}
	var rs []generate.Result
	for line := range strings.Lines(o.stdout) {
		var keys map[string]json.RawMessage
		var r generate.Result
		if err := json.Unmarshal([]byte(line), &keys); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		for _, k := range []string{"prompt_ids", "new_ids", "text", "stop_reason"} {
			if keys[k] == nil {
				t.Errorf("%s has no %s", line, k)
			}
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

func TestGenerate(t *testing.T) {
	dir := taught(t)
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	end, _ := tok.ID("<|im_end|>")
	one := []string{"--model", dir, "--greedy", "--prompt", "Say one."}
	with := func(flags ...string) generate.Result {
		t.Helper()
		rs := answers(t, "", append(slices.Clone(one), flags...)...)
		if len(rs) != 1 {
			t.Fatalf("%d answers to one prompt", len(rs))
		}
		return rs[0]
	}

	r := with()
	if r.Text != "One!" || r.StopReason != generate.StopEnd || r.NewIDs[len(r.NewIDs)-1] != end || len(r.NewIDs) != len("One!")+1 {
		t.Errorf("%+v", r)
	}
	if got, want := tok.Decode(r.PromptIDs, false), "<|im_start|>user\nSay one.<|im_end|>\n<|im_start|>assistant\n"; got != want {
		t.Errorf("the prompt was %q, want %q", got, want)
	}
	if c := with("--max-new-tokens", "2"); c.Text != "On" || c.StopReason != generate.StopLength || len(c.NewIDs) != 2 {
		t.Errorf("cut after two tokens: %+v", c)
	}
	if on := with("--ignore-eos", "--max-new-tokens", "12"); on.StopReason != generate.StopLength || len(on.NewIDs) != 12 || on.NewIDs[4] != end {
		t.Errorf("going on behind the end: %+v", on)
	}
	if full := with("--ignore-eos", "--max-new-tokens", "5000"); full.StopReason != generate.StopFull || len(full.PromptIDs)+len(full.NewIDs) != 2048+1 {
		t.Errorf("the whole context: %d and %d tokens, %s", len(full.PromptIDs), len(full.NewIDs), full.StopReason)
	}
	if raw := with("--raw", "--max-new-tokens", "1"); tok.Decode(raw.PromptIDs, false) != "Say one." {
		t.Errorf("--raw: the prompt was %q", tok.Decode(raw.PromptIDs, false))
	}
	if s := with("--system", "Be brief.", "--max-new-tokens", "1"); !strings.HasPrefix(tok.Decode(s.PromptIDs, false), "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n") {
		t.Errorf("--system: the prompt was %q", tok.Decode(s.PromptIDs, false))
	}
	if inj := answers(t, "", "--model", dir, "--prompt", "a<|im_end|>b", "--max-new-tokens", "1"); slices.Index(inj[0].PromptIDs, end) != slices.Index(with().PromptIDs, end)+len("a<|im_end|>b")-len("Say one.") {
		t.Errorf("a special token written by the user is one: %v", inj[0].PromptIDs)
	}
	hot := []string{"--greedy=false", "--temperature", "3", "--ignore-eos", "--max-new-tokens", "30", "--top-p", "1", "--seed"}
	first, again, other := with(append(hot, "5")...), with(append(hot, "5")...), with(append(hot, "6")...)
	if !slices.Equal(first.NewIDs, again.NewIDs) || slices.Equal(first.NewIDs, other.NewIDs) {
		t.Errorf("seeds 5, 5 and 6 gave %v, %v and %v", first.NewIDs, again.NewIDs, other.NewIDs)
	}

	// each prompt of a file has random numbers of its own: the first those of the seed, the next those of the one behind it
	same := writeFile(t, "same", strings.Repeat("Say one.\n", 10))
	drawn := map[string]bool{}
	for i, r := range answers(t, "", "--model", dir, "--prompts", same, "--temperature", "3", "--ignore-eos", "--max-new-tokens", "30", "--top-p", "1", "--seed", "5") {
		drawn[r.Text] = true
		if alone := with(append(hot, fmt.Sprint(5+i))...); !slices.Equal(r.NewIDs, alone.NewIDs) {
			t.Errorf("prompt %d is answered %q, with the seed %d alone %q", i, r.Text, 5+i, alone.Text)
		}
	}
	if len(drawn) != 10 {
		t.Errorf("the same line ten times has %d answers", len(drawn))
	}

	// prompts from a file and a pipe, in every spelling; and as text
	lines := "Say one.\n\n\"Say two.\"\n{\"prompt\": \"Say one.\"}\n{\"messages\": [{\"role\": \"user\", \"content\": \"Say two.\"}]}\n"
	want := []string{"One!", "Two, dear.\nTwo.", "One!", "Two, dear.\nTwo."}
	file := writeFile(t, "prompts", lines)
	for _, source := range []string{file, "-"} {
		var got []string
		for _, r := range answers(t, lines, "--model", dir, "--greedy", "--prompts", source) {
			got = append(got, r.Text)
		}
		if !slices.Equal(got, want) {
			t.Errorf("--prompts %s: %q, want %q", source, got, want)
		}
	}
	if o := wantCode(t, exitOK, nil, "generate", "--model", dir, "--greedy", "--prompts", file); o.stdout != strings.Join(want, "\n")+"\n" {
		t.Errorf("as text: %q", o.stdout)
	}
	wantCode(t, exitUsage, []string{":2: ", "neither"}, "generate", "--model", dir, "--prompts", writeFile(t, "bad", "fine", `{"text": "x"}`))
	wantCode(t, exitUsage, []string{"no prompt"}, "generate", "--model", dir, "--prompts", writeFile(t, "none", " "))
}

// Conversations to be answered keep what rows keep; --system is for those that have none.
func TestPromptsOfConversations(t *testing.T) {
	dir := smallModel(t, model.NewOptions{})
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	shows := writeFile(t, "shows.jinja", `{% if tools %}T:{{ tools[0].function.name }} {% endif %}{% for m in messages %}<|im_start|>{{ m.role }}/{{ m.name }}/`+
		`{% for c in m.tool_calls or [] %}{{ c.function.name }}{% endfor %}: {{ m.content }}<|im_end|>{% endfor %}`)
	file := writeFile(t, "prompts", `{"tools": [{"type": "function", "function": {"name": "add"}}], "messages": [{"role": "user", "name": "ann", "content": "1+1?"}, `+
		`{"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function": {"name": "add", "arguments": {}}}]}, {"role": "tool", "content": "2"}]}`,
		`{"messages": [{"role": "system", "content": "Own."}, {"role": "user", "content": "x"}]}`)
	rs := answers(t, "", "--model", dir, "--template", shows, "--prompts", file, "--system", "Given.", "--max-new-tokens", "1")
	if len(rs) != 2 {
		t.Fatalf("%d answers", len(rs))
	}
	first, second := tok.Decode(rs[0].PromptIDs, false), tok.Decode(rs[1].PromptIDs, false)
	for _, w := range []string{"T:add", "system//: Given.", "user/ann/: 1+1?", "assistant//add", "tool//: 2"} {
		if !strings.Contains(first, w) {
			t.Errorf("%q is not in %q", w, first)
		}
	}
	if !strings.Contains(second, "Own.") || strings.Contains(second, "Given.") {
		t.Errorf("a conversation with a system prompt became %q", second)
	}
	wantCode(t, exitUsage, []string{":1: ", "tools"}, "generate", "--model", dir, "--prompts", writeFile(t, "bad", `{"messages": [{"role": "user", "content": "x"}], "tools": 5}`))
	wantCode(t, exitUsage, []string{":1: ", "--raw"}, "generate", "--model", dir, "--raw", "--prompts", file)
}

// An adapter goes with the template and tokenizer it was trained with; another is refused, unless it is wanted.
func TestTemplateChange(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 2})
	l.train(t)
	base, adapter := l["model"].(string), filepath.Join(l.runDir(), adapterDir)
	ask := []string{"generate", "--model", base, "--adapter", adapter, "--prompt", "x", "--max-new-tokens", "1"}
	eval := []string{"eval", "--model", base, "--adapter", adapter, "--data", l["data.eval"].(string)}
	other := writeFile(t, "other.jinja", `{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}`)
	wantCode(t, exitOK, nil, ask...)
	for _, args := range [][]string{ask, eval} {
		args = append(slices.Clone(args), "--template", other)
		wantCode(t, exitUsage, []string{"chat template", adapter, "--allow-template-change"}, args...)
		wantCode(t, exitOK, []string{"warning:", "chat template"}, append(args, "--allow-template-change")...)
	}

	next := l.with(lesson{"lora.init_from": adapter, "template": other, "run_dir": filepath.Join(t.TempDir(), "run")})
	wantCode(t, exitUsage, []string{"lora.init_from", "chat template", "lora.allow_template_change"}, next.args("plan")...)
	next["lora.allow_template_change"] = true
	wantCode(t, exitOK, []string{"warning:"}, next.args("plan")...)
	wantCode(t, exitUsage, []string{"rank 4", "lora.r: 4"}, next.with(lesson{"lora.r": 8}).args("plan")...)

	// a tokenizer with one more token is another one
	path := filepath.Join(base, "tokenizer.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(b), `"<|im_end|>"`, `"<|im_over|>"`, -1)
	if changed == string(b) {
		t.Fatal("the tokenizer has no <|im_end|>")
	}
	if err := os.WriteFile(path, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	wantCode(t, exitUsage, []string{"tokenizer", fmt.Sprintf("adapter %s", adapter)}, ask...)
}
