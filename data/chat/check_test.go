package chat

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/data/tokenizer"
	"attune/internal/reftest"
)

// modelDir is a directory of a model with one id a byte: <s> 0, </s> 1, <|im_start|> 2, <|im_end|> 3, <pad> 4.
func modelDir(t *testing.T, template, generation string, roles tokenizer.Roles) string {
	t.Helper()
	dir := t.TempDir()
	if err := tokenizer.WriteByteLevel(into(dir), []string{"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>"}, roles, template); err != nil {
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
			"warning tool calls, arguments as text: writes nothing of the calls", "ok markers: <|im_start|>, <|im_end|>: each is a token",
			"ok end of turn: <|im_end|> (id 3) stands behind each answer", "ok stops: generation_config.json stops at <|im_end|>", "ok pad: <pad> (id 4)",
			"ok earlier turns: stay", "ok generation prompt: ", "ok empty thought: none", "ok begin token: begins without <s>, as a text does", "ok date: every day"}},
		{"no generation_config.json", good, "", usual, []string{"ok stops: there is no generation_config.json; eos_token is <|im_end|>"}},
		{"a silent generation_config.json", good, `{}`, usual, []string{"ok stops: generation_config.json names no end token; eos_token is <|im_end|>"}},
		{"nothing says where to stop, no generation_config.json", good, "", tokenizer.Roles{EOS: "</s>"}, []string{`error stops: there is no generation_config.json, and eos_token is </s> (id 1), not <|im_end|> (id 3), which ends a turn: other servers would go on; write {"eos_token_id": 3} to`}},
		{"markers that are no tokens, with others", "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|im_end|>{% endfor %}", stops, usual, []string{
			"warning markers: the template marks turns with <|user|>, <|assistant|>, <|system|>, which are no tokens of this tokenizer; it has <|im_start|>, which the template does not write; take the template that the model was published with"}},
		{"markers that are no tokens, without others", "{% for m in messages %}<|im_start|>[INST]{{ m.content }}[/INST]<|im_end|>{% endfor %}", stops, usual, []string{
			"ok markers: [INST], [/INST]: plain text to this tokenizer, as the model's own template has it"}},
		{"another end behind earlier answers", "{% for m in messages %}<|im_start|>{{ m.content }}{{ '<|im_end|>' if loop.last else '<pad>' }}{% endfor %}" + prompt + "{% endif %}", stops, usual, []string{
			`ok end of turn: <|im_end|> (id 3) stands behind the last answer, <pad> behind earlier ones`}},
		{"an end behind the last answer only", "{% for m in messages %}<|im_start|>{{ m.role + m.content }}{% endfor %}{{ '<|im_end|>' if not add_generation_prompt }}" + prompt + "{% endif %}", stops, usual, []string{
			`warning end of turn: <|im_end|> (id 3) stands only behind the last answer: behind an earlier one the template writes "<|im_start|>user"`}},
		{"no end behind an earlier answer", "{% for m in messages %}{{ m.content }}\n{% endfor %}{{ '<|im_end|>' if not add_generation_prompt }}", stops, usual, []string{
			`warning end of turn: <|im_end|> (id 3) stands only behind the last answer: behind an earlier one the template writes "\n"; set template to one that ends each answer alike`}},
		{"no begin token", "{{ bos_token + '' }}" + good, stops, tokenizer.Roles{EOS: "<|im_end|>"}, []string{
			"error every row: (line 1, column 14) needs bos_token, and the tokenizer has none; set bos_token in tokenizer_config.json, or template", "warning pad: "}},
		{"it stops elsewhere", good, `{"eos_token_id": 1}`, usual, []string{"error stops: stops at [1], not at 3 (<|im_end|>), which ends a turn: other servers would go on; add 3 to eos_token_id"}},
		{"nothing says where to stop", good, `{}`, tokenizer.Roles{EOS: "</s>"}, []string{"error stops: generation_config.json names no end token, and eos_token is </s> (id 1), not <|im_end|> (id 3), which ends a turn", "warning pad: no padding token is named"}},
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
		if c.name == "no begin token" && (len(all) != 3 || strings.Contains(strings.Join(all, ""), "end of turn")) {
			t.Errorf("%s: %s", c.name, strings.Join(all, "\n"))
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
		all, err := tmpl.Explain(tok, talk("Q", "A"), RenderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(drawn(all[0].Rendering), "Q<|im_end|></s>"); got != want {
			t.Errorf("%s: %q, want %q", generation, got, want)
		}
	}
}

// TestDoubts: what may be another model's template is said; the model's own is beyond doubt.
func TestDoubts(t *testing.T) {
	dir := modelDir(t, builtins["chatml"], `{"eos_token_id": 3}`, tokenizer.Roles{BOS: "<s>", EOS: "<|im_end|>", PAD: "<pad>"})
	tok, err := tokenizer.Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := write(t, t.TempDir(), "other.jinja", "{% for m in messages %}<|im_start|>{{ m.content }}</s>{% endfor %}")
	for setting, want := range map[string][]string{
		"auto":    nil,
		"chatml":  nil,
		"zephyr":  {"markers: the template marks turns with <|user|>, <|assistant|>, <|system|>, which are no tokens"},
		"alpaca":  nil,
		"llama3":  {"markers: the template marks turns with <|start_header_id|>, <|end_header_id|>, <|eot_id|>, which", "end of turn: behind an answer the template writes no special token"},
		elsewhere: {"stops: generation_config.json stops at [3], not at 1 (</s>), which ends a turn"},
	} {
		tmpl, err := Resolve(setting, dir)
		if err != nil {
			t.Fatal(err)
		}
		found, err := tmpl.Doubts(tok, dir)
		if err != nil || len(found) != len(want) {
			t.Errorf("%s: %v, %v", setting, found, err)
			continue
		}
		for i, f := range found {
			if got := f.Check + ": " + f.What; !strings.HasPrefix(got, want[i]) || f.Do == "" {
				t.Errorf("%s: got %q (%q), want %q", setting, got, f.Do, want[i])
			}
		}
	}
	if phi, err := Resolve(reftest.Path(t, "chat_templates/phi-3.5-mini.jinja"), dir); err != nil {
		t.Error(err)
	} else if found, err := phi.Doubts(tok, dir); err != nil || len(found) != 2 || !strings.Contains(found[0].What, "<|user|>, <|end|>, <|assistant|>") || !strings.Contains(found[1].What, "only behind the last answer") {
		t.Errorf("phi-3.5: %v, %v", found, err)
	}
}

// into puts files into a directory.
func into(dir string) func(string, []byte) error {
	return func(name string, b []byte) error { return os.WriteFile(filepath.Join(dir, name), b, 0o600) }
}
