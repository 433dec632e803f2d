package corpus

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
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
		"set pad_token in tokenizer_config.json to a token that no text uses, or take it out of the rows"
	if got := refusal(t, f, o); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
	o.Stops = []int32{stop, 3}
	readOne(t, f, o) // a padding token that also ends turns is trained there
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
