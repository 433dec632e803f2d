package main

import (
	"bytes"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"attune/engine/model"
)

// ask pipes questions, one JSON object a line, through a command and gives the answer to each.
func ask[T any](t *testing.T, questions []any, args ...string) []T {
	t.Helper()
	var in bytes.Buffer
	for _, q := range questions {
		if err := json.NewEncoder(&in).Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	o := invoke(t.Context(), in.String(), args...)
	if o.code != exitOK || o.stderr != "" {
		t.Fatalf("attune %s: exit code %d\n%.2000s", strings.Join(args, " "), o.code, o.stderr)
	}
	all := jsonLines[T](t, []byte(o.stdout))
	if len(all) != len(questions) {
		t.Fatalf("attune %s: %d answers to %d questions", strings.Join(args, " "), len(all), len(questions))
	}
	return all
}

// jsonLines reads JSON lines.
func jsonLines[T any](t *testing.T, raw []byte) (all []T) {
	t.Helper()
	for line := range bytes.Lines(raw) {
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			t.Fatalf("%.300s: %v", line, err)
		}
		all = append(all, v)
	}
	return all
}

func jsonFile[T any](t *testing.T, path string) []T {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return jsonLines[T](t, raw)
}

// Lines that are no questions are answered in their places, named at the end, and end none of the others.
func TestBadLinesEndNoOthers(t *testing.T) {
	in := `{"conversation": [{"role": "user", "content": "<1> & \u2028"}]}

{"conversation": [
[]
null
{"tools": null}
{"conversation": [{"role": "user"}], "bos_token": 7}
{"conversation": [7]}
{"conversation": [], "now": "yesterday"}
{"conversation": [], "kwargs": {"x": {}}, "turns": 1}
{"conversation": [{"role": "user", "content": "2"}], "turns": 2}`
	o := invoke(t.Context(), in, "template", "render", "--template", "chatml", "--jsonl")
	if o.code != exitData {
		t.Errorf("exit code %d, want %d", o.code, exitData)
	}
	got := jsonLines[struct{ Text, Error *string }](t, []byte(o.stdout))
	if len(got) != 10 {
		t.Fatalf("%d answers\n%s", len(got), o.stdout)
	}
	for i, want := range []string{"", "standard input:3: unexpected end", "standard input:4: it is no JSON object", "standard input:5: it is no JSON object", `standard input:6: there is no "conversation"`,
		`standard input:7: "bos_token" is a number`, "standard input:8: conversation[0]: ", `standard input:9: "now": "yesterday" is no time`, "", ""} {
		switch {
		case want == "" && (got[i].Text == nil || got[i].Error != nil), want != "" && (got[i].Error == nil || !strings.HasPrefix(*got[i].Error, want)):
			t.Errorf("answer %d, want %q\n%s", i+1, want, o.stdout)
		case want != "" && !strings.Contains(o.stderr, *got[i].Error+"\n"):
			t.Errorf("%q is not in\n%s", want, o.stderr)
		}
	}
	if *got[0].Text != "<|im_start|>user\n<1> & \u2028<|im_end|>\n" || *got[8].Text != "" || *got[9].Text != "<|im_start|>user\n2<|im_end|>\n" {
		t.Errorf("got %s", o.stdout)
	}
	if n := strings.Count(o.stderr, `warning: standard input:10: the key "turns" is not read`); n != 1 || strings.Count(o.stderr, "turns") != 1 {
		t.Errorf("an unknown key is said to be so not once:\n%s", o.stderr)
	}
	o = invoke(t.Context(), strings.Repeat("nothing\n", 30), "tokenize", "--tokenizer", taught(t), "--jsonl")
	if o.code != exitData || strings.Count(o.stdout, "\n") != 30 || !strings.Contains(o.stderr, "standard input:20: ") || !strings.Contains(o.stderr, "and 10 more") {
		t.Errorf("exit code %d\n%s", o.code, o.stderr)
	}
}

// A value of the wrong kind is said to be so in words, not in those of the program.
func TestWrongKindInALine(t *testing.T) {
	dir := smallModel(t, model.NewOptions{})
	for _, c := range []struct{ line, want, command string }{
		{`{"text": 1}`, `"text" is a number, not text`, "tokenize --tokenizer " + dir},
		{`{"text": ["a"]}`, `"text" is a list, not text`, "tokenize --tokenizer " + dir},
		{`{"text": "a", "special": "yes"}`, `"special" is text, not true or false`, "tokenize --tokenizer " + dir},
		{`{"text": {}}`, `"text" is an object, not text`, "tokenize --tokenizer " + dir},
		{`{"conversation": [], "bos_token": true}`, `"bos_token" is true or false, not text`, "template render --template chatml"},
		{`{"conversation": [], "now": 2025}`, `"now" is a number, not text`, "template render --template chatml"},
		{`{"conversation": [], "kwargs": []}`, `"kwargs" is a list, not an object`, "template render --template chatml"},
		{`{"conversation": [], "add_generation_prompt": 0.5}`, `"add_generation_prompt" is a number, not true or false`, "template render --template chatml"},
	} {
		o := invoke(t.Context(), c.line, append(strings.Fields(c.command), "--jsonl")...)
		got := jsonLines[lineError](t, []byte(o.stdout))
		if o.code != exitData || len(got) != 1 || got[0].Error != "standard input:1: "+c.want {
			t.Errorf("%s: exit code %d, %v, want %q", c.line, o.code, got, c.want)
		}
	}
}
