package chat

import (
	"fmt"
	"strings"
	"testing"

	"attune/data/tokenizer"
)

// modelDir is a directory of a model with one id a byte: <s> 0, </s> 1, <|im_start|> 2, <|im_end|> 3, <pad> 4.
func modelDir(t *testing.T, template, generation string, roles tokenizer.Roles) string {
	t.Helper()
	dir := t.TempDir()
	if err := tokenizer.WriteByteLevel(dir, []string{"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>"}, roles, template); err != nil {
		t.Fatal(err)
	}
	if generation != "" {
		write(t, dir, "generation_config.json", generation)
	}
	return dir
}

func TestCheck(t *testing.T) {
	const turns = "{% for m in messages %}<|im_start|>{{ m.role }}{{ '\\n' + m.content }}<|im_end|>{{ '\\n' }}{% endfor %}"
	const prompt = "{% if add_generation_prompt %}<|im_start|>assistant{{ '\\n' }}"
	good := turns + prompt + "{% endif %}"
	usual := tokenizer.Roles{BOS: "<s>", EOS: "<|im_end|>", PAD: "<pad>"}
	stops := `{"eos_token_id": [3]}`
	for _, c := range []struct {
		name, template, generation string
		roles                      tokenizer.Roles
		want                       []string // level, check: a part of what and do
	}{
		{"good", good, stops, usual, []string{
			"ok user: nothing left out", "ok assistant: nothing left out", "ok several turns: nothing left out", "ok system: nothing", "ok system in the middle: nothing",
			"ok two users in a row: nothing", "warning thoughts: writes nothing of them (rows like this are refused)", "warning tool calls: writes nothing of the calls",
			"warning tool calls, arguments as text: writes nothing of the calls", "ok end of turn: <|im_end|> (id 3)", "ok stops: generation_config.json stops at <|im_end|>", "ok pad: <pad> (id 4)",
			"ok earlier turns: stay", "ok generation prompt: ", "ok empty thought: none", "ok begin token: begins without <s>, as a text does", "ok date: every day"}},
		{"no generation_config.json", good, "", usual, []string{"ok stops: names no end token; eos_token is <|im_end|>"}},
		{"it stops elsewhere", good, `{"eos_token_id": 1}`, usual, []string{"error stops: stops at [1], not at 3 (<|im_end|>), which ends a turn: other servers would go on; add 3 to eos_token_id"}},
		{"nothing says where to stop", good, `{}`, tokenizer.Roles{EOS: "</s>"}, []string{"error stops: neither generation_config.json nor eos_token (\"</s>\") says that <|im_end|> ends a turn", "warning pad: no padding token is named"}},
		{"pad ends a turn", good, stops, tokenizer.Roles{EOS: "</s>", PAD: "<|im_end|>"}, []string{"warning pad: <|im_end|> pads and ends a turn"}},
		{"pad ends a text", good, stops, tokenizer.Roles{EOS: "</s>", PAD: "</s>"}, []string{"warning pad: </s> pads and ends a document"}},
		{"no end of turn", "{% for m in messages %}<|im_start|>{{ m.role + m.content }}{% endfor %}", stops, usual, []string{"error end of turn: no special token", "ok assistant: nothing left out"}},
		{"ends differ", "{% for m in messages %}{{ m.content }}{{ '<|im_end|>' if loop.first or loop.index0 == 1 else '</s>' }}{% endfor %}", stops, usual,
			[]string{"error end of turn: several turns: messages[3] ends with"}},
		{"a block without the end", "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}{% else %}{{ m.content }}{% endif %}<|im_end|>{% endfor %}", stops, usual,
			[]string{"error {% generation %}: end before <|im_end|>"}},
		{"a block with the end", "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}", stops, usual,
			[]string{"ok {% generation %}: hold <|im_end|>"}},
		{"earlier turns change", "{% for m in messages %}<|im_start|>{{ m.role }}{{ '!' if loop.last }}{{ '\\n' + m.content }}<|im_end|>{% endfor %}", stops, usual, []string{"warning earlier turns: (several turns)"}},
		{"prompt thinks", turns + prompt + "<think>{% endif %}", stops, usual, []string{`warning generation prompt: assistant: messages[1] would be generated behind "tart|>assistant\n<think>"`}},
		{"empty thought", "{% for m in messages %}{% if m.role == 'assistant' %}<think></think> {% endif %}{{ m.content }}<|im_end|>{% endfor %}", stops, usual, []string{`ok empty thought: writes "<think></think> "`}},
		{"begin token", "{{ bos_token }}" + good, stops, usual, []string{"ok begin token: writes <s> once"}},
		{"begin token twice", "{{ bos_token }}{{ bos_token }}" + good, stops, usual, []string{"error begin token: writes <s> twice"}},
		{"date", "{{ strftime_now('%Y') }}" + good, stops, usual, []string{"warning date: a run keeps that of its first start"}},
		{"refuses a user", "{{ raise_exception('No users.') if messages[0].role == 'user' }}" + good, stops, usual, []string{"error user: refuses this conversation: No users.", "ok system: nothing left out"}},
	} {
		found, err := Check(modelDir(t, c.template, c.generation, c.roles), "")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		var all []string
		for _, f := range found {
			all = append(all, fmt.Sprintf("%s %s: %s; %s", f.Level, f.Check, f.What, f.Do))
		}
		for _, want := range c.want {
			head, part, _ := strings.Cut(want, ": ")
			ok := false
			for _, line := range all {
				ok = ok || strings.HasPrefix(line, head+": ") && strings.Contains(line, part)
			}
			if !ok {
				t.Errorf("%s: %q is not said in\n%s", c.name, want, strings.Join(all, "\n"))
			}
		}
		if c.name == "good" && len(all) != len(c.want) {
			t.Errorf("%d findings, %d expected:\n%s", len(all), len(c.want), strings.Join(all, "\n"))
		}
	}
	if _, err := Check(t.TempDir(), ""); err == nil {
		t.Error("an empty directory was checked")
	}
}

// TestStopsOfTheModel: at which token a turn ends, where there are two, is what generation_config.json says.
func TestStopsOfTheModel(t *testing.T) {
	template := "{% for m in messages %}{{ m.content }}<|im_end|></s>{% endfor %}"
	for generation, want := range map[string]string{`{"eos_token_id": 1}`: "⟦A<|im_end|></s>⟧", `{"eos_token_id": [1, 3]}`: "⟦A<|im_end|>⟧</s>", ``: "⟦A<|im_end|>⟧</s>"} {
		tmpl, tok := load(t, modelDir(t, template, generation, tokenizer.Roles{EOS: "<pad>"}))
		all, err := tmpl.Explain(tok, talk("Q", "A"), EncodeOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(drawn(all[0].Rendering), "Q<|im_end|></s>"); got != want {
			t.Errorf("%s: %q, want %q", generation, got, want)
		}
	}
}
