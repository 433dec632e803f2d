package chat

import (
	"encoding/json"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"attune/data"
	"attune/data/tokenizer"
	"attune/internal/reftest"
)

func published(t *testing.T, name string) *Template {
	t.Helper()
	tmpl, err := FromFile(filepath.Join(reftest.Path(t, "chat_templates"), name+".jinja"))
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

func mine(t *testing.T, source string) *Template {
	t.Helper()
	tmpl, err := compile("mine.jinja", source)
	if err != nil {
		t.Fatal(err)
	}
	return tmpl
}

var markerOptions = RenderOptions{Specials: map[string]string{"bos_token": "<s>", "eos_token": "</s>"}, SpecialTokens: markers}

func drawnAll(t *testing.T, tmpl *Template, conv data.Conversation, o RenderOptions) []string {
	t.Helper()
	rs, err := tmpl.RenderAll(conv, o)
	if err != nil {
		t.Fatalf("%s: %v", tmpl.Name(), err)
	}
	var all []string
	for _, r := range rs {
		all = append(all, drawn(r))
	}
	return all
}

// TestEmptyThoughts: an empty thought that the template writes is not trained, whatever its marks are and wherever it
// stands; one that the row has is.
func TestEmptyThoughts(t *testing.T) {
	off := markerOptions
	off.Kwargs = map[string]any{"enable_thinking": false}
	noThink := data.Conversation{Messages: []data.Message{{Role: "system", Content: "Be brief. /no_think"}, {Role: "user", Content: "Q"}, {Role: "assistant", Content: "A"}}}
	const user = "<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\n"
	const turn = "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
	const rest = "<|im_end|>{% else %}{{ m.content }}<|im_end|>{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
	for _, c := range []struct {
		name string
		tmpl *Template
		conv data.Conversation
		want string
	}{
		{"unknown marks", mine(t, turn+"<muse>{{ m.reasoning_content }}</muse> {{ m.content }}"+rest+"{% endif %}"), talk("Q", "A"), user + "<muse></muse> ⟦A<|im_end|>⟧\n"},
		{"unknown marks, thought", mine(t, turn+"<muse>{{ m.reasoning_content }}</muse> {{ m.content }}"+rest+"{% endif %}"),
			data.Conversation{Messages: []data.Message{{Role: "user", Content: "Q"}, {Role: "assistant", Content: "A", ReasoningContent: "T"}}}, user + "⟦<muse>T</muse> A<|im_end|>⟧\n"},
		{"opened by the prompt", mine(t, turn+"<think>\n{{ m.reasoning_content }}\n</think>\n\n{{ m.content }}"+rest+"<think>\n{% endif %}"), talk("Q", "A"), user + "<think>\n\n</think>\n\n⟦A<|im_end|>⟧\n"},
		{"opened by the prompt, unknown", mine(t, turn+"<muse>\n{{ m.reasoning_content }}\n</muse>\n\n{{ m.content }}"+rest+"<muse>\n{% endif %}"), talk("Q", "A"), user + "<muse>\n\n</muse>\n\n⟦A<|im_end|>⟧\n"},
		{"published marks, thoughts unknown", mine(t, turn+"<|channel>thought\n<channel|>{{ m.content }}"+rest+"{% endif %}"), talk("Q", "A"), user + "<|channel>thought\n<channel|>⟦A<|im_end|>⟧\n"},
		{"in a block", mine(t, turn+"{% generation %}<think>\n\n</think>\n\n{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}{{ '\n' }}{% endfor %}"), talk("Q", "A"),
			user + "<think>\n\n</think>\n\n⟦A<|im_end|>⟧\n"},
		{"in a block, unknown", mine(t, turn+"{% generation %}<muse>{{ m.reasoning_content }}</muse>{{ m.content }}<|im_end|>{% endgeneration %}{% else %}{{ m.content }}<|im_end|>{% endif %}{{ '\n' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"),
			talk("Q", "A"), user + "<muse></muse>⟦A<|im_end|>⟧\n"},
		{"of the row", mine(t, turn+"{{ m.content }}"+rest+"{% endif %}"), talk("Q", "<think>\n\n</think>\n\nA"), user + "⟦<think>\n\n</think>\n\nA<|im_end|>⟧\n"},
		{"before calls", mine(t, turn+"<think></think>{{ m.content }}[TOOL_CALLS]{{ m.tool_calls | tojson }}"+rest+"{% endif %}"),
			data.Conversation{Messages: []data.Message{{Role: "user", Content: "Q"}, {Role: "assistant", ToolCalls: json.RawMessage(`[{"name":"f"}]`)}}}, user + "<think></think>⟦[TOOL_CALLS][{\"name\": \"f\"}]<|im_end|>⟧\n"},
		{"no answer", mine(t, turn+"<think>\n\n</think>\n\n{{ m.content }}"+rest+"{% endif %}"), talk("Q", ""), user + "<think>\n\n</think>\n\n⟦<|im_end|>⟧\n"},
	} {
		if got := drawnAll(t, c.tmpl, c.conv, markerOptions); !slices.Equal(got, []string{c.want}) {
			t.Errorf("%s:\n got %q\nwant %q", c.name, got, c.want)
		}
	}
	// SmolLM3 writes it within its block, which begins with the turn's header.
	now := off
	now.Now = time.Date(2025, 3, 14, 0, 0, 0, 0, time.UTC)
	got := drawnAll(t, published(t, "smollm3"), noThink, now)
	if want := "⟦<|im_start|>assistant\n⟧<think>\n\n</think>\n⟦A<|im_end|>\n⟧"; !strings.HasSuffix(got[0], want) {
		t.Errorf("smollm3: %q", got)
	}
	if got, want := drawnAll(t, published(t, "qwen3"), talk("Q", "A"), off), user+"<think>\n\n</think>\n\n⟦A<|im_end|>⟧\n"; got[0] != want {
		t.Errorf("qwen3 that is not to think: %q", got)
	}
}

// TestNothingIsLeftOut: words of a row that a template does not write are refused with the cure, and only those.
func TestNothingIsLeftOut(t *testing.T) {
	system := func(s string) data.Conversation {
		return data.Conversation{Messages: []data.Message{{Role: "system", Content: s}, {Role: "user", Content: "Q"}, {Role: "assistant", Content: "A"}}}
	}
	tools := talk("Q", "A")
	tools.Tools = json.RawMessage(`[{"type":"function","function":{"name":"f"}}]`)
	thought := talk("Q", "A")
	thought.Messages[1].ReasoningContent = "T"
	unlearnt := talk("Q", "A", "Q", "A")
	unlearnt.Messages[1].ReasoningContent, unlearnt.Messages[1].Train = "T", new(bool)
	only := func(role string) *Template {
		return mine(t, `{% for m in messages %}{% if m.role in ['assistant', '`+role+`'] %}{{ m.content.split('</think>')[-1] }}</s>{% endif %}{% endfor %}`)
	}
	sys := markerOptions
	sys.System = "Be brief."
	flag := mine(t, `{% if messages[0].role == 'system' and '/no_think' in messages[0].content %}quiet{% endif %}{% for m in messages if m.role != 'system' %}{{ m.content }}</s>{% endfor %}`)
	for _, c := range []struct {
		name string
		tmpl *Template
		conv data.Conversation
		o    RenderOptions
		says string
	}{
		{"system", only("user"), system("S"), markerOptions, "messages[0], of the role system, is lost: mine.jinja writes nothing of it; remove the message, or set template"},
		{"blank system", only("user"), system(" \n"), markerOptions, ""},
		{"system as a switch", flag, system("/no_think"), markerOptions, ""},
		{"system, no switch", flag, system("Be brief."), markerOptions, "is lost"},
		{"user", only("system"), talk("Q", "A"), markerOptions, "messages[0], of the role user, is lost"},
		{"blank user", only("system"), talk("", "A"), markerOptions, ""},
		{"tools", only("user"), tools, markerOptions, "the row has tools, but mine.jinja writes nothing of them; remove them"},
		{"system prompt of the run", only("user"), talk("Q", "A"), sys, "the system prompt is lost: mine.jinja writes nothing of it; remove system"},
		{"thoughts", only("user"), thought, markerOptions, "messages[1] has thoughts (reasoning_content), but mine.jinja writes nothing of them; remove them"},
		{"thoughts of a turn that is only read", only("user"), unlearnt, markerOptions, ""},
		{"thoughts in the content", only("user"), talk("Q", "<think>T</think>A"), markerOptions, "the content of messages[1] begins with thoughts, but mine.jinja leaves them out"},
		{"an empty thought in the content", only("user"), talk("Q", "<think>\n</think>A"), markerOptions, ""},
	} {
		_, err := c.tmpl.RenderAll(c.conv, c.o)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	// A prompt is held to the same.
	p := markerOptions
	p.AddGenerationPrompt = true
	if _, err := only("user").Render(data.Conversation{Messages: system("S").Messages[:2]}, p); err == nil || !strings.Contains(err.Error(), "is lost") {
		t.Errorf("a prompt without its system message: %v", err)
	}
	// Published templates that leave thoughts out of what is learnt.
	if _, err := published(t, "deepseek-r1-distill-llama").RenderAll(talk("Q", "<think>T</think>A"), RenderOptions{SpecialTokens: []string{"<｜end▁of▁sentence｜>"}}); err == nil || !strings.Contains(err.Error(), "leaves them out") {
		t.Errorf("deepseek-r1: %v", err)
	}
}

// TestBlockAroundAnotherMessage: a {% generation %} block that holds a user's words is refused.
func TestBlockAroundAnotherMessage(t *testing.T) {
	tmpl := mine(t, `{% generation %}{% for m in messages %}{{ m.content }}</s>{% endfor %}{% endgeneration %}`)
	_, err := tmpl.RenderAll(talk("Q", "A"), markerOptions)
	if err == nil || !strings.Contains(err.Error(), "the answer of messages[1] holds words of messages[0]") {
		t.Error(err)
	}
}

// TestServedOtherwise: a turn that stands behind another text than generation would give is said.
func TestServedOtherwise(t *testing.T) {
	o := RenderOptions{Specials: map[string]string{"bos_token": "<s>"}, SpecialTokens: []string{"<｜end▁of▁sentence｜>"}}
	rs, err := published(t, "deepseek-r1-distill-llama").RenderAll(multi, o)
	if err != nil {
		t.Fatal(err)
	}
	want := []Opening{{1, ">Q1<｜Assistant｜><think>\n", ">Q1<｜Assistant｜>A1<｜end▁of▁sentence｜>"}, {3, ">Q2<｜Assistant｜><think>\n", ">Q2<｜Assistant｜>A2<｜end▁of▁sentence｜>"}}
	if len(rs) != 1 || !rs[0].Unserved || !slices.Equal(rs[0].Openings, want) {
		t.Errorf("got %+v, want %+v", rs[0].Openings, want)
	}
	for _, name := range []string{"chatml", "qwen3", "llama-3.1-instruct", "mistral-v3-tekken", "gemma-2-it", "smollm3"} {
		rs, err := published(t, name).RenderAll(multi, markerOptions)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, r := range rs {
			if r.Unserved {
				t.Errorf("%s: %+v", name, r.Openings)
			}
		}
	}
}

// TestABlankOfTheUserIsNotTrained: where the words of two messages meet, a token of both is not learnt.
func TestABlankOfTheUserIsNotTrained(t *testing.T) {
	tok, err := tokenizer.Load(reftest.Path(t, "tokenizers/smollm2"))
	if err != nil {
		t.Fatal(err)
	}
	trained := func(source string, conv data.Conversation) string {
		es, err := mine(t, source).EncodeAll(tok, conv, RenderOptions{})
		if err != nil {
			t.Fatal(err)
		}
		var ids []int32
		for i, w := range es[0].Weights {
			if w != 0 {
				ids = append(ids, es[0].IDs[i])
			}
		}
		return tok.Decode(ids, false)
	}
	const end = `{% if m.role == 'assistant' %}<|im_end|>{% endif %}{% endfor %}`
	if got := trained(`{% for m in messages %}{{ m.content }}`+end, talk("Say ", "hello there")); got != " there<|im_end|>" {
		t.Errorf("behind a user's blank %q", got)
	}
	if got := trained(`{% for m in messages %} {{ m.content }}`+end, talk("Say", "hello there")); got != " hello there<|im_end|>" {
		t.Errorf("behind the template's blank %q", got)
	}
	if got := trained(`{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>{% else %}{{ m.content }}{% endif %}{% endfor %}`,
		talk("Say", " hel", "lo there", " yes")); got != " hel yes" {
		t.Errorf("blocks without an end %q", got)
	}
}

// TestManyTurns: a row of so many turns that looking at each would take forever is refused, and the number said.
func TestManyTurns(t *testing.T) {
	words := make([]string, 8000)
	for i := range words {
		words[i] = "w"
	}
	conv := talk(words...)
	tmpl, err := Builtin("chatml")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tmpl.RenderAll(conv, markerOptions); err == nil || !strings.Contains(err.Error(), "the row has 8000 turns, of which 4000 are trained") {
		t.Errorf("got %v", err)
	}
	o := markerOptions
	o.TrainOn = "last"
	if rs, err := tmpl.RenderAll(conv, o); err != nil || len(rs[0].Trained) != 1 {
		t.Errorf("the last of them alone: %v", err)
	}
}

// TestWhyNothingIsTrained: of the causes that a row has nothing to learn, the one that it is.
func TestWhyNothingIsTrained(t *testing.T) {
	dir := modelDir(t, builtins["chatml"], "", tokenizer.Roles{EOS: "<|im_end|>"})
	tmpl, tok := load(t, dir)
	off, tiny, zero := false, 1e-50, 0.0
	for _, c := range []struct {
		name, trainOn string
		change        func(m []data.Message) []data.Message
		says          string
	}{
		{"no answer", "all", func(m []data.Message) []data.Message { return m[:1] }, "it has no assistant turn; add the answer"},
		{"the last is off", "last", func(m []data.Message) []data.Message { m[3].Train = &off; return m }, "train_on is last, and the last assistant turn, messages[3], says train: false; change one"},
		{"the last has no weight", "last", func(m []data.Message) []data.Message { m[3].Weight = &tiny; return m }, "messages[3], says weight: 1e-50; change one"},
		{"all are off", "all", func(m []data.Message) []data.Message { m[1].Train, m[3].Train = &off, &off; return m }, "each assistant turn says train: false; take that"},
		{"off and without weight", "all", func(m []data.Message) []data.Message { m[1].Train, m[3].Weight = &off, &zero; return m }, "each assistant turn says train: false or weight: 0; take that"},
	} {
		conv := talk("Q", "A", "Q", "A")
		conv.Messages = c.change(conv.Messages)
		_, err := tmpl.EncodeAll(tok, conv, RenderOptions{TrainOn: c.trainOn})
		if !errors.Is(err, ErrNothingTrained) || !strings.Contains(err.Error(), "would be trained: ") || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", c.name, err, c.says)
		}
	}
	bpe, err := tokenizer.Load(reftest.Path(t, "tokenizers/smollm2"))
	if err != nil {
		t.Fatal(err)
	}
	joined := mine(t, `{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{{ m.content }}{% endgeneration %}<|im_end|>{% else %}{{ m.content }}{% endif %}{% endfor %}`)
	if _, err := joined.EncodeAll(bpe, talk(" hel", "lo"), RenderOptions{}); !errors.Is(err, ErrNothingTrained) || !strings.Contains(err.Error(), "the template leaves no token to its assistant turns alone") {
		t.Errorf("one token of two messages: %v", err)
	}
}
