package main

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/engine/peft"
	"attune/internal/config"
)

// addressed writes who speaks, and a number as Python does.
const addressed = `{% for m in messages %}<|im_start|>{{ m.role }} for {{ name | default('nobody') }} {{ num | default(0) }}: {{ m.content }}<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant for {{ name | default('nobody') }}: {% endif %}`

// What a run rendered its rows with is what its adapter, or its model, is asked with: variables and system prompt travel.
func TestVariablesTravel(t *testing.T) {
	template := writeFile(t, "named.jinja", addressed)
	const kwargs, system = `{num: 2.0, name: Bo, more: [1, {a: "x: y"}, null]}`, "Be kind.\nBe \"brief\"."
	for _, method := range []lesson{nil, {"method": "full", "train.learning_rate": 0.002}} {
		l := smallLesson(t, method.with(lesson{"train.steps": 1, "template": template, "template_kwargs": kwargs, "system": strconv.Quote(system)}))
		l.train(t)
		base := []string{"--model", l["model"].(string), "--template", template}
		spoken, whose := append(slices.Clone(base), "--adapter", filepath.Join(l.runDir(), adapterDir)), "adapter "
		if method != nil {
			base = []string{"--model", filepath.Join(l.runDir(), modelDir)}
			spoken, whose = base, "model "
		}
		prompt := func(args []string, more ...string) []int32 {
			t.Helper()
			return answers(t, "", append(append(slices.Clone(args), "--prompt", "x", "--max-new-tokens", "1"), more...)...)[0].PromptIDs
		}
		both := []string{"--template-kwargs", kwargs, "--system", system}
		want := prompt(spoken, both...)
		if got := prompt(spoken); !slices.Equal(got, want) || slices.Equal(got, prompt(spoken, "--template-kwargs", "{}", "--system", "")) {
			t.Errorf("%sis asked by %v, its rows were rendered as %v", whose, got, want)
		}
		ask := func(more ...string) []string {
			return append(append([]string{"generate", "--prompt", "x", "--max-new-tokens", "1"}, spoken...), more...)
		}
		taken := wantCode(t, exitOK, []string{whose, `was trained with template_kwargs {more: [1, {a: "x: y"}, null], name: Bo, num: 2.0}, which are taken`, `the system prompt "Be kind.\nBe \"brief\".", which is taken`}, ask()...)
		if strings.Contains(taken.stderr, "warning") {
			t.Errorf("what is taken is warned of:\n%s", taken.stderr)
		}
		wantCode(t, exitOK, []string{"warning: " + whose, "num: 2.0}, here {}", `here ""`}, ask("--template-kwargs", "{}", "--system", "")...)
		for _, quiet := range [][]string{ask(both...), ask("--raw")} {
			if o := wantCode(t, exitOK, nil, quiet...); strings.Contains(o.stderr, "was trained with") {
				t.Errorf("%q: said in vain:\n%s", quiet, o.stderr)
			}
		}
		wantCode(t, exitOK, []string{"which are taken", "which is taken"}, append([]string{"chat"}, spoken...)...)

		judge := func(more ...string) (v []verdict) {
			t.Helper()
			o := wantCode(t, exitOK, nil, append(append([]string{"eval", "--json", "--data", l["data.eval"].(string)}, spoken...), more...)...)
			if err := json.Unmarshal([]byte(o.stdout), &v); err != nil {
				t.Fatal(err)
			}
			return v
		}
		if got, want, bare := judge(), judge(both...), judge("--template-kwargs", "{}", "--system", ""); got[0].Loss != want[0].Loss || got[0].Loss == bare[0].Loss {
			t.Errorf("the loss is %g, with the run's variables %g, without %g", got[0].Loss, want[0].Loss, bare[0].Loss)
		}
		wantCode(t, exitOK, []string{"warning: " + whose, "here {name: Al}"}, append([]string{"eval", "-c", writeFile(t, "run.yaml", "model: "+l["model"].(string), "template_kwargs: {name: Al}", "run_dir: nowhere", "data: {train: "+l["data.train"].(string)+"}"),
			"--data", l["data.eval"].(string)}, spoken...)...)
	}
}

// A run that goes on from others' weights warns where it has other variables; it is a run of its own.
func TestVariablesOfWhatARunBeginsWith(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 1, "template_kwargs": "{name: Bo}", "system": "Be kind."})
	l.train(t)
	next := l.with(lesson{"lora.init_from": filepath.Join(l.runDir(), adapterDir), "run_dir": filepath.Join(t.TempDir(), "next")})
	if o := wantCode(t, exitOK, nil, next.args("plan", "--time=false")...); strings.Contains(o.stderr, "was trained with") {
		t.Errorf("the same variables are said to be others:\n%s", o.stderr)
	}
	wantCode(t, exitOK, []string{"warning: adapter", "template_kwargs {name: Bo}, here {}", `"Be kind.", here ""`}, next.with(lesson{"template_kwargs": "{}", "system": ""}).args("plan", "--time=false")...)
}

// The adapter's word counts more than its model's; a system prompt of some examples, and rows of plain text, say nothing.
func TestWhoseVariablesCount(t *testing.T) {
	facts := func(v variables, ratio float64) map[string]string {
		meta := map[string]string{}
		for _, f := range v.facts(ratio) {
			meta[f.Name] = f.Value
		}
		return meta
	}
	kwargs, err := config.Kwargs("template-kwargs", `{"a": 2.0, "b": {"c": ["1", true, "ä\"\n"]}}`)
	if err != nil {
		t.Fatal(err)
	}
	dir := smallModel(t, model.NewOptions{})
	m, err := model.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, m.Close)
	for _, c := range []struct {
		meta              map[string]string
		whose, kwargs, is string
	}{
		{facts(variables{kwargs, "S"}, 1), "adapter x", config.Flow(kwargs), "S"},
		{facts(variables{kwargs, "S"}, 0.5), "adapter x", config.Flow(kwargs), ""},
		{facts(variables{}, 1), "adapter x", "{}", ""},
		{nil, "", "{}", ""},
	} {
		v, whose, err := learned(m, &peft.Adapter{Dir: "x", Metadata: c.meta})
		if err != nil || whose != c.whose || config.Flow(v.kwargs) != c.kwargs || v.system != c.is {
			t.Errorf("%v: %+v of %q, %v", c.meta, v, whose, err)
		}
	}
	_, _, err = learned(m, &peft.Adapter{Dir: "x", Metadata: map[string]string{kwargsFact: "[1]"}})
	if err == nil || !strings.Contains(err.Error(), "adapter x") || !strings.Contains(err.Error(), "must be a section of keys") {
		t.Errorf("a list: %v", err)
	}
}
