package corpus

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attune/data/chat"
	"attune/data/tokenizer"
)

func refusal(t *testing.T, f File, o Options) string {
	t.Helper()
	_, _, err := ReadAll(t.Context(), []File{f}, o)
	return fmt.Sprint(err)
}

func TestShareOfCutRows(t *testing.T) {
	long := strings.Repeat("x", 50)
	lines := make([]string, 20)
	for i := range lines {
		lines[i] = pair("q", "a")
	}
	lines[3], lines[7], lines[12] = pair("q", long), pair("q", long+"y"), pair("q", long)
	f := rows(t, lines...)
	longest := turn("user", "q") + turn("assistant", long+"y")
	for _, policy := range []chat.Policy{chat.Truncate, chat.Drop} {
		o := options(t)
		o.MaxLength, o.Overlength = 40, policy
		if _, r := readOne(t, f, o); r.Cut+r.Dropped != 3 {
			t.Errorf("%s: %d cut, %d dropped", policy, r.Cut, r.Dropped)
		}
		most := 0.15
		o.MaxCutShare = &most
		readOne(t, f, o) // three of twenty are not more than that
		most = 0.1
		want := fmt.Sprintf("%s: 3 of 20 rows (15 %%) would be cut or left out (data.overlength: %s), more than data.max_cut_share 0.1 allows; "+
			"raise data.max_length from 40 (the longest row has %d tokens), set data.overlength to split, or raise data.max_cut_share", f.Path, policy, longest)
		if got := refusal(t, f, o); got != want {
			t.Errorf("%s:\n got %s\nwant %s", policy, got, want)
		}
		o.MaxLength = longest
		readOne(t, f, o)
	}
	o := options(t)
	none := 0.0
	o.MaxLength, o.Overlength, o.MaxCutShare = 40, chat.Split, &none
	readOne(t, f, o) // nothing of a split row is lost
}

// withPad is the tokenizer of options with a padding token that a text may use.
func withPad(t *testing.T, eos string) *tokenizer.Tokenizer {
	t.Helper()
	raw, err := tokenizer.ByteLevelJSON([]string{"<|endoftext|>", "<|im_start|>", "<|im_end|>", "<pad>"})
	if err != nil {
		t.Fatal(err)
	}
	k := bytes.Index(raw, []byte(`"<pad>"`))
	plain := append(bytes.Clone(raw[:k]), bytes.Replace(raw[k:], []byte(`"special": true`), []byte(`"special": false`), 1)...)
	if bytes.Equal(plain, raw) {
		t.Fatalf("no special <pad> in %s", raw)
	}
	tok, err := tokenizer.Parse(plain, []byte(`{"eos_token": "`+eos+`", "pad_token": "<pad>"}`))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

func TestPadTokenIsNotTrained(t *testing.T) {
	o := options(t)
	o.Tokenizer = withPad(t, "<|endoftext|>")
	readOne(t, rows(t, pair("what is <pad>?", "a"), pair("q", "b")), o)

	f := rows(t, pair("q", "a <pad> and <pad>"), pair("q", "b"), pair("q", "<pad>"))
	want := f.Path + `: the padding token "<pad>" (id 3) is trained 3 times in 2 of 3 examples, and other trainers and servers take it for nothing; ` +
		"set pad_token in tokenizer_config.json to a token that no text uses, or take it out of the rows or the template"
	if got := refusal(t, f, o); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	o.Stops = []int32{stop, 3}
	readOne(t, f, o) // a padding token at which the model also stops is trained there
	o.Stops, o.Tokenizer = []int32{stop}, withPad(t, "<pad>")
	readOne(t, f, o)
}

// A template that has generation think, and training not, is said once a file, before all other oddities.
func TestTurnsThatAreServedOtherwise(t *testing.T) {
	path := filepath.Join(t.TempDir(), "thinks.jinja")
	source := `{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
<think>
{% endif %}`
	if err := os.WriteFile(path, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(t)
	var err error
	if o.Template, err = chat.FromFile(path); err != nil {
		t.Fatal(err)
	}
	talk := `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}`
	f := rows(t, talk, pair("q", "a"), pair("q", "<think>\nyes</think>a"))
	_, r := readOne(t, f, o)
	want := f.Path + `: 3 of 4 trained turns would be generated behind another text than they are trained behind: "tart|>assistant\n<think>\n", but trained "tart|>assistant\na<|im_end|>\n"`
	if r.Warnings != 1 || len(r.Odd) != 1 || r.Odd[0] != want {
		t.Errorf("%d warnings:\n got %q\nwant %q", r.Warnings, r.Odd, want)
	}
}

// ofModel makes the options of a model directory with one id a byte, its template another than its own where source is given:
// <s> 0, </s> 1, <|im_start|> 2, <|im_end|> 3, <pad> 4.
func ofModel(t *testing.T, source, generation string) Options {
	t.Helper()
	dir := t.TempDir()
	if err := tokenizer.WriteByteLevel(into(dir), []string{"<s>", "</s>", "<|im_start|>", "<|im_end|>", "<pad>"}, tokenizer.Roles{BOS: "<s>", EOS: "<|im_end|>", PAD: "<pad>"}, ""); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "other.jinja")
	for name, text := range map[string]string{path: source, filepath.Join(dir, "generation_config.json"): generation} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	o := options(t)
	var err error
	if o.Tokenizer, err = tokenizer.Load(dir); err != nil {
		t.Fatal(err)
	}
	if o.Template, err = chat.Resolve(path, dir); err != nil {
		t.Fatal(err)
	}
	if o.Stops, err = chat.OwnStops(o.Tokenizer, dir); err != nil {
		t.Fatal(err)
	}
	if o.Ends, err = o.Template.Stops(o.Tokenizer, dir); err != nil {
		t.Fatal(err)
	}
	if o.Doubts, err = o.Template.Doubts(o.Tokenizer, dir); err != nil {
		t.Fatal(err)
	}
	return o
}

const ends3 = `{"eos_token_id": 3}`

// What the template writes behind a turn does not make a padding token, or any other, one that ends turns: the model's own
// files do.
func TestTheModelsFilesSayWhatEndsATurn(t *testing.T) {
	o := ofModel(t, "{% for m in messages %}{{ m.content }}<pad>{% endfor %}", ends3)
	f := rows(t, pair("q", "a"), pair("q", "b"))
	if got, want := refusal(t, f, o), f.Path+`: the padding token "<pad>" (id 4) is trained 2 times in 2 of 2 examples`; !strings.HasPrefix(got, want) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	readOne(t, f, ofModel(t, "{% for m in messages %}{{ m.content }}<pad>{% endfor %}", `{"eos_token_id": [3, 4]}`))

	o = ofModel(t, "{% for m in messages %}{{ m.content }}</s>{% endfor %}", ends3)
	// A base model learns the ends of turns before its files say so: a warning, with the ids.
	_, r := readOne(t, f, o)
	if want := f.Path + ": generation_config.json stops at [3], not at 1 (</s>), which ends a turn: other servers would go on; add 1"; r.StopsTrained != 0 || r.Warnings != 1 || !strings.HasPrefix(r.Odd[0], want) {
		t.Errorf("%d stops, %q", r.StopsTrained, r.Odd)
	}
	// Without any end it is refused, and a text's end is not a turn's.
	o.Ends = nil
	if got := refusal(t, rows(t, `{"text":"x"}`, `{"format":"messages",`+pair("q", "a")[1:]), o); !strings.Contains(got, "no end-of-turn token is ever trained in 2 examples") {
		t.Errorf("beside a text: %s", got)
	}
	o = ofModel(t, "{% for m in messages %}{{ m.content }}{{ '<|im_end|>' if m.content == 'stop' else '</s>' }}{% endfor %}", ends3)
	f = rows(t, pair("q", "a"), pair("q", "stop"))
	_, r = readOne(t, f, o)
	if want := f.Path + ": generation_config.json stops at [3], not at 1 (</s>), which ends a turn: other servers would go on; add 1"; r.StopsTrained != 1 || r.Warnings != 1 || !strings.HasPrefix(r.Odd[0], want) {
		t.Errorf("%d stops, %q", r.StopsTrained, r.Odd)
	}
}

// A template of another model is doubted once a file of conversations, and not where there are only texts.
func TestDoubtsAreSaid(t *testing.T) {
	o := ofModel(t, "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}{{ eos_token if not add_generation_prompt }}", ends3)
	talk := `{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"q"},{"role":"assistant","content":"b"}]}`
	f := rows(t, talk, pair("q", "a"), talk)
	_, r := readOne(t, f, o)
	want := []string{
		f.Path + ": the template marks turns with <|user|>, <|end|>, <|assistant|>, <|system|>, which are no tokens of this tokenizer; it has <|im_start|>, which the template does not write; set template to auto, or to the one the model was made for",
		f.Path + `: <|im_end|> (id 3) stands only behind the last answer: behind an earlier one the template writes "<|end|><|user|>"; set template to one that ends each answer alike`,
		f.Path + fmt.Sprintf(": 2 of 3 rows become 4 examples of %d tokens: the template writes earlier turns otherwise once others follow, so each is learnt in an example of its own, as it is served",
			2*(len("<|user|>q<|end|><|assistant|>a<|end|>")+1)+2*(2*len("<|user|>q<|end|><|assistant|>a<|end|>")+1)),
	}
	if !slices.Equal(r.Odd, want) || r.Warnings != 3 || r.Examples != 5 {
		t.Errorf("%d examples, %d warnings:\n got %q\nwant %q", r.Examples, r.Warnings, r.Odd, want)
	}
	if _, r := readOne(t, rows(t, `{"text":"x"}`), o); r.Warnings != 0 {
		t.Errorf("of texts: %q", r.Odd)
	}
}

// What is refused for the length of rows is refused with the numbers that say what would do.
func TestRefusalsHaveTheNumbers(t *testing.T) {
	lines := make([]string, 20)
	for i := range lines {
		lines[i] = pair("q", strings.Repeat("x", 30+i))
	}
	f := rows(t, lines...)
	longest := turn("user", "q") + turn("assistant", strings.Repeat("x", 49))
	o := options(t)
	o.MaxLength, o.Overlength = 40, chat.Drop
	over := fmt.Sprintf("20 of 20 rows (100 %%%%) would be cut or left out (data.overlength: %%s); raise data.max_length from 40 (the longest row has %d tokens)", longest)
	if got, want := refusal(t, f, o), f.Path+": nothing is left to train on: "+fmt.Sprintf(over, "drop"); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	o.Overlength = chat.Truncate
	if got, want := refusal(t, f, o), f.Path+": no end-of-turn token is ever trained in 20 examples, so the model would not learn to stop: "+fmt.Sprintf(over, "truncate"); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	// One row of which nothing is left stops the run: how many would be cut is said beside it.
	lines[4], lines[5] = pair(strings.Repeat("q", 50), "a"), pair("q", "a")
	f = rows(t, lines...)
	longest = turn("user", strings.Repeat("q", 50)) + turn("assistant", "a")
	all := 1.0
	o.MaxCutShare = &all
	want := fmt.Sprintf("%s:5: no token of this row would be trained once it is cut from %d tokens to data.max_length 40; raise it, or set data.overlength to split or drop\n"+
		"%s: in all 19 of 20 rows (95 %%) would be cut or left out (data.overlength: truncate); raise data.max_length from 40 (the longest row has %d tokens)", f.Path, longest, f.Path, longest)
	if got := refusal(t, f, o); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	o.Overlength = chat.Refuse
	if got, want := refusal(t, f, o), fmt.Sprintf("%s: 19 of 20 rows are longer than data.max_length 40; raise data.max_length from 40 (the longest row has %d tokens)", f.Path, longest); !strings.HasSuffix(got, "\n"+want) {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// What is wrong with the template is said once a file, with the number of rows and the first lines; what differs from row to
// row, of each.
func TestAFaultOfManyRowsIsSaidOnce(t *testing.T) {
	o := ofModel(t, "{% for m in messages %}{{ m.content }}{% if m.content == 'bad' %}{{ raise_exception('Bad.') }}{% endif %}{% endfor %}", ends3)
	lines := make([]string, 40)
	for i := range lines {
		lines[i] = pair("q", "a")
	}
	lines[6], lines[8] = pair("q", "bad"), pair("bad", "q")
	f := rows(t, lines...)
	got := strings.Split(refusal(t, f, o), "\n")
	if len(got) != 2 || !strings.HasPrefix(got[0], f.Path+":1: behind an assistant turn ") || !strings.Contains(got[0], "would not learn to stop (38 rows: lines 1, 2, 3, 4, 5 ...); set template to") ||
		got[1] != f.Path+":7: the chat template refuses this conversation: Bad. (2 rows: lines 7, 9)" {
		t.Errorf("%q", got)
	}
}

// into puts files into a directory.
func into(dir string) func(string, []byte) error {
	return func(name string, b []byte) error { return os.WriteFile(filepath.Join(dir, name), b, 0o600) }
}
