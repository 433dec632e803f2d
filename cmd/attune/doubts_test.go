package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/model"
)

// A template of another model is doubted wherever rows are made with it, not only by template check.
func TestATemplateOfAnotherModelIsDoubted(t *testing.T) {
	dir, rows := smallModel(t, model.NewOptions{}), writeFile(t, "rows.jsonl", sums(0, 8)...)
	const says = "the template marks turns with <|user|>, <|assistant|>, <|system|>, which are no tokens of this tokenizer; it has <|im_start|>"
	show := []string{"data", "show", rows, "--model", dir, "--rows", "1-2"}
	page := filepath.Join(t.TempDir(), "page.html")
	own := wantCode(t, exitOK, nil, show...)
	text := wantCode(t, exitOK, nil, append(show, "--template", "zephyr")...)
	if strings.Contains(own.stdout, "warning") || strings.Count(text.stdout, "warning: "+says) != 1 {
		t.Errorf("data show says\n%s", text.stdout)
	}
	wantCode(t, exitOK, []string{"warning: " + says}, append(show, "--template", "zephyr", "--jsonl")...)
	wantCode(t, exitOK, nil, append(show, "--template", "zephyr", "--html", page)...)
	if got, err := os.ReadFile(page); err != nil || !strings.Contains(string(got), "<dt>warning</dt><dd>the template marks turns with &lt;|user|&gt;, ") {
		t.Errorf("the page says nothing of it (%v)", err)
	}
	run := writeFile(t, "run.yaml", "model: "+dir, "template: zephyr", "data: {train: [{path: "+rows+"}]}", "run_dir: "+filepath.Join(t.TempDir(), "run"), "train: {steps: 1}")
	if plan := wantCode(t, exitOK, nil, "plan", "-c", run, "--time=false").stdout; !strings.Contains(plan, rows+": "+says) {
		t.Errorf("plan says\n%s", plan)
	}
	wantCode(t, exitOK, []string{says}, "train", "-c", run)
}
