package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/peft"
	"attune/internal/safetensors"
)

// recordOf is a run's run.json.
func recordOf(t *testing.T, runDir string) (p provenance) {
	t.Helper()
	readJSON(t, filepath.Join(runDir, runJSON), &p)
	return p
}

// factsOf are what is published says of itself, and the template that lies beside it.
func factsOf(t *testing.T, runDir string) (facts map[string]string, template string) {
	t.Helper()
	for _, path := range []string{filepath.Join(runDir, adapterDir, peft.WeightsName), filepath.Join(runDir, modelDir, "model.safetensors")} {
		f, err := safetensors.Open(path)
		if err != nil {
			continue
		}
		defer f.Close()
		beside, err := os.ReadFile(filepath.Join(filepath.Dir(path), templateName))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return f.Metadata(), string(beside)
	}
	t.Fatalf("nothing was published in %s", runDir)
	return nil, ""
}

// A run that is done is published again as what it is, whatever text it is resumed with: no step has seen that.
func TestNothingIsLeftToDo(t *testing.T) {
	for _, method := range []lesson{nil, {"method": "full", "train.learning_rate": 0.002}} {
		l := smallLesson(t, method.with(lesson{"train.steps": 3, "template": writeFile(t, "first.jinja", "{# first #}"+otherTemplate)}))
		l.train(t)
		before, facts := recordOf(t, l.runDir()), newest(t, l.runDir()).Identity
		published, beside := factsOf(t, l.runDir())
		bytesBefore := product(t, l.runDir())

		other := l.with(lesson{"template": writeFile(t, "other.jinja", otherTemplate)})
		o := other.train(t, "--resume", "--allow-template-change")
		if !strings.Contains(o.stderr, "was trained with another template and keeps it") {
			t.Errorf("nobody is warned:\n%s", o.stderr)
		}
		after, text := factsOf(t, l.runDir())
		if after[templateFact] != facts["template"] || after[templateFact] != published[templateFact] || text != beside || !strings.Contains(text, "{# first #}") {
			t.Errorf("published with the template %s (%q), trained with %s", after[templateFact], text, facts["template"])
		}
		if !bytes.Equal(bytesBefore, product(t, l.runDir())) {
			t.Error("the published weights and facts changed")
		}
		if now := recordOf(t, l.runDir()); now.SHA256["template"] != before.SHA256["template"] || now.Template != before.Template || now.Changes != nil {
			t.Errorf("run.json: %+v, before %+v", now, before)
		}
		if card, err := os.ReadFile(filepath.Join(l.runDir(), adapterDir, "README.md")); err == nil && strings.Contains(string(card), "other.jinja") {
			t.Errorf("the card names a template that no step saw:\n%s", card)
		}
		l.train(t, "--resume") // still the run that it was

		if err := os.RemoveAll(filepath.Join(l.runDir(), templatesDir)); err != nil {
			t.Fatal(err)
		}
		wantCode(t, exitFailed, []string{"another chat template", "--resume with the template it was"}, other.args("train", "--resume", "--allow-template-change")...)
	}
}

// A change in mid-run is recorded with what was and what is, once a step was taken with it.
func TestChangesAreRecorded(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 8, "eval.every": 2})
	interrupt(t, l, 2)
	first := recordOf(t, l.runDir())
	other := l.with(lesson{"template": writeFile(t, "other.jinja", otherTemplate)})
	at := newest(t, l.runDir()).Step
	if at == 2 { // stopped by the evaluation's line: step 3 may be taken or not
		interrupt(t, l, 4, "--resume")
		at = newest(t, l.runDir()).Step
	}
	third := l.with(lesson{"template": writeFile(t, "third.jinja", "{# third #}"+otherTemplate)})
	other.train(t, "--resume", "--allow-template-change")
	now := recordOf(t, l.runDir())
	if len(now.Changes) != 1 {
		t.Fatalf("changes: %+v", now.Changes)
	}
	c := now.Changes[0]
	if c.AfterStep != at || c.Was["template"] != first.SHA256["template"] || c.Is["template"] != now.SHA256["template"] || c.Was["template"] == c.Is["template"] || c.Is["data"] != now.SHA256["data"] || c.Was["model"] != "" {
		t.Errorf("after step %d of %+v: %+v", at, first.SHA256, c)
	}
	third.train(t, "--resume", "--allow-template-change") // no step is left
	other.train(t, "--resume")
	if again := recordOf(t, l.runDir()); len(again.Changes) != 1 || again.SHA256["template"] != now.SHA256["template"] {
		t.Errorf("run.json: %+v", again)
	}
}

// The best state, of before a change, is published with the template that it was trained with.
func TestTheBestStateKeepsItsTemplate(t *testing.T) {
	l := smallLesson(t, lesson{"method": "full", "train.steps": 12, "train.learning_rate": 0.01, "train.lr_scheduler": "constant", "eval.every": 2, "eval.load_best_model_at_end": true, "checkpoint.keep": 1,
		"template": writeFile(t, "first.jinja", "{# first #}"+otherTemplate)})
	interrupt(t, l, 8)
	state := newest(t, l.runDir())
	if state.BestStep != 8 {
		t.Fatalf("the best step is %d", state.BestStep)
	}
	// answers in another language than was learnt: no evaluation is better from here on
	strange := strings.Replace(otherTemplate, "{{ m.content }}", "{{ m.content | upper }}", 1)
	other := l.with(lesson{"template": writeFile(t, "other.jinja", strange)})
	o := other.train(t, "--resume", "--allow-template-change")
	if !strings.Contains(o.stdout, "published the best evaluated state, that of step 8") {
		t.Fatalf("another state is best:\n%s%s", o.stdout, o.stderr)
	}
	facts, beside := factsOf(t, l.runDir())
	record := recordOf(t, l.runDir())
	if facts[templateFact] != state.Identity["template"] || !strings.HasPrefix(beside, "{# first #}") {
		t.Errorf("published with the template %s (%q), trained with %s", facts[templateFact], beside, state.Identity["template"])
	}
	if last := newest(t, l.runDir()); last.Step != 12 || last.Identity["template"] != record.SHA256["template"] || record.SHA256["template"] == facts[templateFact] {
		t.Errorf("the last state is of %s, run.json of %s", last.Identity["template"], record.SHA256["template"])
	}
	wantCode(t, exitOK, nil, "generate", "--model", filepath.Join(l.runDir(), modelDir), "--prompt", "x", "--max-new-tokens", "1")
}
