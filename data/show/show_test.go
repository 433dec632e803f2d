package show

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"

	"attune/data"
	"attune/data/chat"
	"attune/data/corpus"
	"attune/data/tokenizer"
	"attune/internal/reftest"
)

// options are a builtin template over a tokenizer with one id a byte.
func options(t *testing.T, template string) corpus.Options {
	t.Helper()
	raw, err := tokenizer.ByteLevelJSON([]string{"<|endoftext|>", "<|im_start|>", "<|im_end|>", "</s>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"})
	if err != nil {
		t.Fatal(err)
	}
	eos := map[string]string{"chatml": "<|im_end|>", "zephyr": "</s>", "llama3": "<|eot_id|>", "alpaca": "</s>"}[template]
	tok, err := tokenizer.Parse(raw, []byte(`{"eos_token": "`+eos+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	tmpl, err := chat.Builtin(template)
	if err != nil {
		t.Fatal(err)
	}
	stop, _ := tok.ID(eos)
	return corpus.Options{Template: tmpl, Tokenizer: tok, Stops: []int32{stop}, TrainOn: "all", MaxLength: 1000, Overlength: chat.Refuse}
}

// file writes rows to rows.jsonl.
func file(t testing.TB, lines string) corpus.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(path, []byte(lines+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return corpus.File{Path: path}
}

// printed is what a printer makes of the rows of a file.
func printed(t testing.TB, p Printer, f corpus.File, o corpus.Options, want Numbers) Summary {
	t.Helper()
	sum := Summary{Path: f.Path}
	var err error
	sum.Of, err = Each(t.Context(), f, o, want, func(r Row) error {
		sum.Add(r)
		return p.Row(r)
	})
	if err == nil {
		err = p.File(sum)
	}
	if err == nil {
		err = p.End(sum)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// What is drawn of rows: testdata/rows, one command a template, the rows as its input.
func TestDrawings(t *testing.T) {
	datadriven.RunTest(t, "testdata/rows", func(t *testing.T, d *datadriven.TestData) string {
		o := options(t, d.Cmd)
		var opts TextOptions
		for _, a := range d.CmdArgs {
			switch a.Key {
			case "tokens":
				opts.Tokens = true
			case "color":
				opts.Color = true
			case "max":
				a.Scan(t, 0, &o.MaxLength)
			case "overlength":
				o.Overlength = chat.Policy(a.Vals[0])
			case "train_on":
				o.TrainOn = a.Vals[0]
			case "system":
				o.System, o.SystemRatio = a.Vals[0], 1
			default:
				d.Fatalf(t, "what is %s?", a.Key)
			}
		}
		f := file(t, d.Input)
		var out bytes.Buffer
		printed(t, NewText(&out, About{}, opts), f, o, First(9))
		_, rows, _ := strings.Cut(out.String(), "\n\n") // less the head, which is the same for all
		return strings.ReplaceAll(strings.ReplaceAll(rows, f.Path, "rows.jsonl"), "\x1b", "^")
	})
}

// What the template writes as plain text is not given to the message beside it: neither its markers, where the tokenizer
// has them not, nor a role among them. Special tokens and a role between them stay with the message they open, and so does
// what stands between a message's own words, or is the JSON of its call.
func TestTheTemplatesOwnText(t *testing.T) {
	for name, c := range map[string]struct{ template, row, want string }{
		"plain markers": {"{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + ('<|end|>\n' if m.role == 'user' else '.<|im_end|>') }}{% endfor %}",
			`{"messages":[{"role":"user","content":"Is it \"sour.\""},{"role":"assistant","content":"No\nit is not"}]}`, `
  template      │<|user|>↵
  0 user        │Is·it·"sour."
  template      │<|end|>↵
                │<|assistant|>↵
  1 assistant  +│No↵
               +│it·is·not
  template     +│.«<|im_end|>»
`},
		"in one line": {"{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]{% else %} {{ m.content }}<|im_end|>{% endif %}{% endfor %}",
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"d"}]}`, `
  template      │[INST]·
  0 user        │a
  template      │·[/INST]·
  1 assistant  +│b«<|im_end|>»
  template      │[INST]·
  2 user        │c
  template      │·[/INST]·
  3 assistant  +│d«<|im_end|>»
`},
		"role before a colon": {"{% for m in messages %}<|im_start|>{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}",
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}`, `
  template      │«<|im_start|>»user:·
  0 user        │a«<|im_end|>»
  template      │«<|im_start|>»assistant:·
  1 assistant  +│b«<|im_end|>»
`},
		"a tool call": {`{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}{% for c in m.tool_calls %}<call>{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}</call>{% endfor %}<|im_end|>
{% endfor %}`,
			`{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"","tool_calls":[{"type":"function","function":{"name":"f","arguments":{"x":1}}}]}]}`, `
  0 user        │«<|im_start|>»user↵
                │a«<|im_end|>»↵
  1 assistant   │«<|im_start|>»assistant↵
               +│<call>{"name":·"f",·"arguments":·{"x":·1}}</call>«<|im_end|>»
                │↵
`},
	} {
		path := filepath.Join(t.TempDir(), "t.jinja")
		if err := os.WriteFile(path, []byte(c.template), 0o600); err != nil {
			t.Fatal(err)
		}
		o := options(t, "chatml")
		var err error
		if o.Template, err = chat.Resolve(path, t.TempDir()); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		printed(t, NewText(&out, About{}, TextOptions{}), file(t, c.row), o, First(1))
		if _, got, _ := strings.Cut(out.String(), "%)\n"); !strings.HasPrefix("\n"+got, c.want+"\n") {
			t.Errorf("%s:\n%s\nwant\n%s", name, out.String(), c.want)
		}
	}
}

// rowRead is what NewJSONL makes of a row.
type rowRead struct {
	Error    string
	Text     string
	Examples []struct {
		Text    string
		IDs     []int32
		Tokens  []string
		Offsets [][2]int
		Weights []float32
		Special []int
		Parts   [][2]int
		Trained []struct{ Start, End int }
	}
}

func decoded(t testing.TB, b []byte) (rows []rowRead) {
	t.Helper()
	for line := range bytes.Lines(b) {
		var r rowRead
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		rows = append(rows, r)
	}
	return rows
}

// learnt are ids and weights as a run has them; the first weight of an example counts for nothing.
func learnt(e data.Example) ([]int32, []float32) {
	w := slices.Clone(e.Weights)
	w[0] = 0
	return e.IDs, w
}

// sameAsTraining compares what is shown of a file with what a run reads of it.
func sameAsTraining(t *testing.T, f corpus.File, o corpus.Options) {
	t.Helper()
	sets, reports, err := corpus.ReadAll(t.Context(), []corpus.File{f}, o)
	if err != nil {
		t.Fatal(err)
	}
	defer sets[0].Close()
	var out bytes.Buffer
	want, err := ParseNumbers("1-")
	if err != nil {
		t.Fatal(err)
	}
	sum := printed(t, NewJSONL(&out), f, o, want)
	n := 0
	for _, r := range decoded(t, out.Bytes()) {
		if r.Error != "" {
			t.Fatal(r.Error)
		}
		for _, e := range r.Examples {
			for _, p := range e.Parts {
				got, err := sets[0].Example(n)
				if err != nil {
					t.Fatal(err)
				}
				n++
				ids, weights := learnt(got)
				shown := slices.Clone(e.Weights[p[0]:p[1]])
				shown[0] = 0 // in a later part of a split one: learnt in the part before
				if !slices.Equal(ids, e.IDs[p[0]:p[1]]) || !slices.Equal(weights, shown) {
					t.Fatalf("example %d of %s: shown %v %v, trained %v %v", n, f.Path, e.IDs[p[0]:p[1]], shown, ids, weights)
				}
			}
		}
	}
	r := reports[0]
	got := corpus.Report{Rows: sum.Rows, Examples: sum.Examples, Tokens: sum.Tokens, TrainedTokens: sum.TrainedTokens, Cut: sum.Cut, Split: sum.Split, Dropped: sum.Dropped, TrainedLost: sum.TrainedLost}
	wanted := corpus.Report{Rows: r.Rows, Examples: r.Examples, Tokens: r.Tokens, TrainedTokens: r.TrainedTokens, Cut: r.Cut, Split: r.Split, Dropped: r.Dropped, TrainedLost: r.TrainedLost}
	if n != r.Examples || got.Tokens != wanted.Tokens || got.TrainedTokens != wanted.TrainedTokens || got.Rows != wanted.Rows || got.Cut != wanted.Cut || got.Split != wanted.Split || got.Dropped != wanted.Dropped || got.TrainedLost != wanted.TrainedLost {
		t.Errorf("%s: shown %+v, trained %+v (%d examples shown)", f.Path, got, wanted, n)
	}
}

// Ids and weights are those of training, whatever is cut: parts overlap by a token, and the tokens of no part are lost.
func TestShowsWhatIsTrained(t *testing.T) {
	f := file(t, `{"messages":[{"role":"user","content":"Wie heißt das? 🦩"},{"role":"assistant","content":"Ein Flamingo."}]}
{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b","weight":0.25},{"role":"user","content":"c <|im_end|>"},{"role":"assistant","content":"ddddddddddddddddddddddddddddddddddddddddddddd","train":true}]}
{"messages":[{"role":"user","content":"quite a long question, longer than a part"},{"role":"assistant","content":"No."}]}`)
	text := file(t, `{"text":"some words to go on with"}`+"\n"+`{"text":"w"}`)
	for _, p := range []chat.Policy{chat.Refuse, chat.Truncate, chat.Split, chat.Drop} {
		for _, template := range []string{"chatml", "llama3"} {
			o := options(t, template)
			if o.Overlength = p; p != chat.Refuse {
				o.MaxLength = map[string]int{"chatml": 80, "llama3": 105}[template]
			}
			sameAsTraining(t, f, o)
			if o.MaxLength /= 8; p != chat.Refuse {
				sameAsTraining(t, text, o)
			}
		}
	}
}

// As TestShowsWhatIsTrained, on published rows of each schema with a published tokenizer and template.
func TestShowsWhatIsTrainedOfPublishedRows(t *testing.T) {
	shared := reftest.Path(t)
	for _, c := range []struct {
		tokenizer, template string
		rows                []string // SmolLM2's template knows no tools, and of messages.jsonl some have
	}{
		{"smollm2", "smollm2-instruct", []string{"alpaca.jsonl", "fastchat/dummy_conversation.json", "llama-factory/c4_demo.jsonl"}},
		{"qwen3", "qwen3", []string{"messages.jsonl", "llama-factory/glaive_toolcall_en_demo.json"}},
	} {
		dir := filepath.Join(shared, "tokenizers", c.tokenizer)
		tok, err := tokenizer.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := chat.Resolve(filepath.Join(shared, "chat_templates", c.template+".jinja"), dir)
		if err != nil {
			t.Fatal(err)
		}
		stops, err := tmpl.Stops(tok, dir)
		if err != nil {
			t.Fatal(err)
		}
		o := corpus.Options{Template: tmpl, Tokenizer: tok, Stops: stops, TrainOn: "all", MaxLength: 200, Overlength: chat.Split}
		for _, name := range c.rows {
			rows, err := os.ReadFile(filepath.Join(shared, "data", name))
			if err != nil {
				t.Fatal(err)
			}
			sameAsTraining(t, file(t, first(t, rows, 40)), o)
		}
	}
}

// first are the first n rows of JSON lines or of an array, as lines.
func first(t *testing.T, rows []byte, n int) string {
	t.Helper()
	var lines []string
	var array []json.RawMessage
	if rows[0] == '[' {
		if err := json.Unmarshal(rows, &array); err != nil {
			t.Fatal(err)
		}
	}
	for _, row := range array[:min(n, len(array))] {
		var b bytes.Buffer
		if err := json.Compact(&b, row); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, b.String())
	}
	for line := range strings.Lines(string(rows)) {
		if array == nil && len(lines) < n {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Colour adds nothing but colour: less the marks of special tokens, both texts say the same.
func TestColourIsColourAlone(t *testing.T) {
	o := options(t, "chatml")
	f := file(t, `{"messages":[{"role":"user","content":"\u001b[2J\u009b31m <|im_start|> \u202e"},{"role":"assistant","content":"no\r\n\tno"}]}`)
	var plain, colored bytes.Buffer
	printed(t, NewText(&plain, About{}, TextOptions{}), f, o, First(1))
	printed(t, NewText(&colored, About{}, TextOptions{Color: true}), f, o, First(1))
	if strings.ContainsFunc(plain.String(), func(r rune) bool { return r != '\n' && (r < ' ' || hidden(r) && r != ' ') }) {
		t.Errorf("characters that cannot be seen: %q", plain.String())
	}
	stripped := sgr.ReplaceAllString(colored.String(), "")
	if strings.Contains(stripped, "\x1b") || !strings.Contains(colored.String(), "\x1b[") {
		t.Errorf("other escape sequences than colours: %q", colored.String())
	}
	if want := strings.NewReplacer("«", "", "»", "").Replace(plain.String()); stripped != want {
		t.Errorf("with colours:\n%s\nwithout:\n%s", stripped, want)
	}
}

func TestNumbers(t *testing.T) {
	for s, want := range map[string][]int{"3": {3}, "2-4": {2, 3, 4}, "5-": {5, 6, 7, 8}, "1, 3-4,8": {1, 3, 4, 8}} {
		ns, err := ParseNumbers(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		var got []int
		for n := 1; n <= 8; n++ {
			if ns.has(n) {
				got = append(got, n)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	for _, s := range []string{"", "0", "-3", "4-2", "a", "1-b", "1,,2", "1-99999999999999999999"} {
		if ns, err := ParseNumbers(s); err == nil {
			t.Errorf("%q was read as %v", s, ns)
		}
	}
}
