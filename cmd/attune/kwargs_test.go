package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"attune/engine/model"
)

// A run that would cut more than the named share of its rows is refused before any weights are read, with the numbers.
func TestShareOfCutRowsIsSettled(t *testing.T) {
	rows := sums(0, 40)
	for _, i := range []int{3, 9, 20, 21, 39} {
		rows[i] = fmt.Sprintf(`{"instruction": "Say yes.", "output": "%s"}`, strings.Repeat("yes ", 60))
	}
	l := smallLesson(t, lesson{"data.train": writeFile(t, "train.jsonl", rows...), "data.max_length": 128, "data.overlength": "truncate"})
	wantCode(t, exitData, []string{"5 of 40 rows (12.5 %) would be cut or left out (data.overlength: truncate), more than data.max_cut_share 0.1 allows; raise data.max_length from 128 (the longest row has "},
		l.args("train")...)
	wantCode(t, exitOK, nil, l.with(lesson{"data.max_cut_share": 0.125}).args("plan", "--time=false")...)
	wantCode(t, exitUsage, []string{"data.max_cut_share is 2; it must be at least 0 and at most 1"}, l.with(lesson{"data.max_cut_share": 2}).args("plan")...)
}

// What a template asks for is set in the run file, or where a model is used without one.
func TestTemplateKwargsReachTheTemplate(t *testing.T) {
	dir := smallModel(t, model.NewOptions{})
	template := writeFile(t, "asks.jinja", `{{ raise_exception('Who is it?') if name is not defined }}{% for m in messages %}<|im_start|>{{ m.role }} for {{ name }}`,
		`{{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant for {{ name }}`, `{% endif %}`)
	l := smallLesson(t, lesson{"model": dir, "template": template})
	tokens := func(name string) int {
		t.Helper()
		o := wantCode(t, exitOK, nil, l.with(lesson{"template_kwargs.name": name}).args("plan", "--time=false", "--json")...)
		var plan struct{ Train []struct{ Tokens int } }
		if err := json.Unmarshal([]byte(o.stdout), &plan); err != nil || len(plan.Train) != 1 {
			t.Fatalf("%v: %s", err, o.stdout)
		}
		return plan.Train[0].Tokens
	}
	if a, b := tokens("Bo"), tokens("Bobo"); b-a != 40*2*len("bo") { // 40 rows of two turns, one token a byte
		t.Errorf("%d tokens, with a longer name %d", a, b)
	}
	wantCode(t, exitData, []string{"Who is it?"}, l.args("plan", "--time=false")...)

	flags := []string{"--model", dir, "--template", template, "--device", "cpu"}
	generate := append([]string{"generate", "--greedy", "--max-new-tokens", "2", "--prompt", "x"}, flags...)
	judge := append([]string{"eval", "--answers", "--max-new-tokens", "2", "--data", l["data.eval"].(string)}, flags...)
	for _, args := range [][]string{generate, judge} {
		if o := invoke(t.Context(), "", args...); o.code == exitOK || !strings.Contains(o.stderr, "Who is it?") {
			t.Errorf("%s without the name: exit code %d\n%s", args[0], o.code, o.stderr)
		}
		wantCode(t, exitOK, nil, append(args, "--template-kwargs", `{"name": "Bo"}`)...)
		wantCode(t, exitUsage, []string{`--template-kwargs is the text "Bo"; it must be a section of keys`}, append(args, "--template-kwargs", "Bo")...)
	}
	if o := invoke(t.Context(), "hello\n", append([]string{"chat", "--greedy", "--max-new-tokens", "2", "--template-kwargs", "{name: Bo}"}, flags...)...); o.code != exitOK || strings.Contains(o.stderr, "Who is it?") {
		t.Errorf("chat: exit code %d\n%s", o.code, o.stderr)
	}
}
