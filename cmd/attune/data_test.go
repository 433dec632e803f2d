package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"attune/engine/model"
	"attune/internal/ptytest"
)

// rowsToShow are rows of which the third is bad.
var rowsToShow = []string{
	`{"messages":[{"role":"user","content":"Say <|im_end|>."},{"role":"assistant","content":"No."}]}`,
	`{"messages":[{"role":"user","content":"Hi."},{"role":"assistant","content":"Hi.","weight":0.5}]}`,
	`{"messages":[{"role":"user","content":"Hi."}]}`,
	`{"messages":[{"role":"user","content":"` + strings.Repeat("long ", 40) + `"},{"role":"assistant","content":"Yes."}]}`,
}

// wordsOnly is a model without weights: there are none to open.
func wordsOnly(t *testing.T) string {
	t.Helper()
	dir := smallModel(t, model.NewOptions{})
	if err := os.Remove(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// wantShown fails the test unless what is printed has all words.
func wantShown(t *testing.T, code int, words []string, args ...string) string {
	t.Helper()
	o := invoke(t.Context(), "", append([]string{"data", "show"}, args...)...)
	if o.code != code {
		t.Fatalf("%q: exit code %d, want %d\n%s", args, o.code, code, o.stderr)
	}
	for _, w := range words {
		if !strings.Contains(o.stdout, w) {
			t.Errorf("%q: %q is not in\n%s", args, w, o.stdout)
		}
	}
	return o.stdout
}

func TestDataShow(t *testing.T) {
	dir, rows := wordsOnly(t), writeFile(t, "rows.jsonl", rowsToShow...)
	out := wantShown(t, exitOK, []string{rows + ":1", "«<|im_end|>»", "+│No.", "row 2", "at weight 0.5", "2 rows, 2 examples", "--rows 3-4 shows the next", "SHA-256"}, rows, "--model", dir, "--rows", "1-2")
	if strings.Contains(out, "row 3") || strings.Contains(out, "\x1b") {
		t.Errorf("rows that were not asked for, or colours:\n%s", out)
	}
	wantShown(t, exitData, []string{"row 3", "bad: there is no assistant turn", "row 4", "1 bad"}, rows, "--model", dir)
	wantShown(t, exitOK, []string{"messages[1].content", "0.5", "«<|im_end|>»"}, rows, "--model", dir, "--rows", "2", "--tokens")
	wantShown(t, exitData, []string{"bad: the row has", "--max-length is 64; raise it"}, rows, "--model", dir, "--rows", "4", "--max-length", "64")
	wantShown(t, exitOK, []string{"left out", "1 dropped"}, rows, "--model", dir, "--rows", "4", "--max-length", "64", "--overlength", "drop")
	wantShown(t, exitOK, []string{"system", "Be·kind.", "zephyr"}, rows, "--model", smallModel(t, model.NewOptions{}), "--rows", "2", "--system", "Be kind.", "--template", "zephyr")
	wantShown(t, exitData, []string{"empty.jsonl", "the file holds no rows"}, writeFile(t, "empty.jsonl"), "--model", dir)
}

// With a run file, the rows and everything else are the run's; ids and lengths are held to its model.
func TestDataShowOfARun(t *testing.T) {
	l := smallLesson(t, lesson{"data.max_length": 40, "data.overlength": "truncate"})
	train, held := l["data.train"].(string), l["data.eval"].(string)
	settings := map[string]any{"model": l["model"], "run_dir": l.runDir(), "data": map[string]any{"max_length": 40, "overlength": "truncate",
		"train": []any{map[string]any{"path": train}}, "eval": []any{map[string]any{"path": held}}}}
	raw, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	run := writeFile(t, "run.json", string(raw))
	wantShown(t, exitOK, []string{train + ":1", held + ":1", "cut here: data.max_length is 40", "all files"}, "-c", run)
	if out := wantShown(t, exitOK, []string{held + ":2"}, held, "-c", run, "--rows", "2"); strings.Contains(out, train) {
		t.Errorf("a file that was not asked for:\n%s", out)
	}
	if out := wantShown(t, exitOK, nil, held, "-c", run, "--max-length", "400"); strings.Contains(out, "cut here") {
		t.Errorf("--max-length does not stand instead of the run file's:\n%s", out)
	}
	wantCode(t, exitUsage, []string{"none of the files"}, "data", "show", writeFile(t, "other.jsonl", rowsToShow...), "-c", run)
	rows := writeFile(t, "new.jsonl", `{"instruction": "Say <new>.", "output": "Yes."}`)
	withToken(t, l["model"].(string), "<new>")
	wantShown(t, exitData, []string{"the model's vocab_size is"}, rows, "--model", l["model"].(string))
}

func TestDataShowForTools(t *testing.T) {
	dir, rows := wordsOnly(t), writeFile(t, "rows.jsonl", rowsToShow...)
	out := wantShown(t, exitData, nil, rows, "--model", dir, "--jsonl", "--rows", "1-4", "--color", "always")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 4 {
		t.Fatalf("%d lines for 4 rows:\n%s", len(lines), out)
	}
	for i, line := range lines {
		var row struct {
			Line     int
			Error    string
			Examples []struct {
				Text    string
				IDs     []int
				Offsets [][2]int
				Weights []float64
			}
		}
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		if row.Line != i+1 || (row.Error != "") != (i == 2) || (len(row.Examples) == 1) == (i == 2) {
			t.Errorf("row %d: %s", i+1, line)
		}
		for _, e := range row.Examples {
			var learnt strings.Builder
			for k, w := range e.Weights {
				if w > 0 {
					learnt.WriteString(e.Text[e.Offsets[k][0]:e.Offsets[k][1]])
				}
			}
			if want := []string{"No.<|im_end|>", "Hi.<|im_end|>", "", "Yes.<|im_end|>"}[i]; learnt.String() != want || len(e.IDs) != len(e.Weights) {
				t.Errorf("row %d: %q is learnt, want %q", i+1, learnt.String(), want)
			}
		}
	}
}

// A page is there whole, or the one before it still is.
func TestDataShowPage(t *testing.T) {
	dir, rows := wordsOnly(t), writeFile(t, "rows.jsonl", rowsToShow...)
	page := filepath.Join(t.TempDir(), "page.html")
	wantShown(t, exitOK, []string{"wrote " + page}, rows, "--model", dir, "--rows", "1", "--html", page)
	b, err := os.ReadFile(page)
	if err != nil || !strings.HasPrefix(string(b), "<!DOCTYPE html>") || !strings.HasSuffix(strings.TrimSpace(string(b)), "</html>") {
		t.Fatalf("%v: %.60s", err, b)
	}
	wantShown(t, exitData, []string{"wrote"}, rows, "--model", dir, "--html", page) // with the bad row in it
	noTemplate := wordsOnly(t)
	if err := os.WriteFile(filepath.Join(noTemplate, "tokenizer_config.json"), []byte(`{}`), 0o644); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if o := invoke(t.Context(), "", "data", "show", rows, "--model", noTemplate, "--html", page); o.code == exitOK {
		t.Error("rows without a template are shown")
	}
	after, err := os.ReadFile(page)
	if err != nil || string(after) != string(before) {
		t.Errorf("the page was written over: %v", err)
	}
	left, err := os.ReadDir(filepath.Dir(page))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	wantCode(t, exitFailed, []string{"no-such-dir"}, "data", "show", rows, "--model", dir, "--html", filepath.Join(t.TempDir(), "no-such-dir", "page.html"))
}

// Colours are for terminals, unless somebody says otherwise.
func TestDataShowColours(t *testing.T) {
	dir, rows := wordsOnly(t), writeFile(t, "rows.jsonl", rowsToShow...)
	for _, c := range []struct {
		env, flag string
		tty, want bool
	}{{"", "auto", true, true}, {"1", "auto", true, false}, {"", "never", true, false}, {"", "auto", false, false}, {"1", "always", false, true}} {
		args := []string{"data", "show", rows, "--model", dir, "--rows", "1", "--color", c.flag}
		cmd := program(t.Context(), args...)
		cmd.Env = append(cmd.Env, "NO_COLOR="+c.env, "TERM=xterm")
		var out string
		if c.tty {
			tty, written := ptytest.Open(t, 80)
			cmd.Stdout = tty
			if err := cmd.Run(); err != nil {
				t.Fatal(err)
			}
			out = strings.Join(written(), "\n")
		} else {
			b, err := cmd.Output()
			if err != nil {
				t.Fatal(err)
			}
			out = string(b)
		}
		if got := strings.Contains(out, "\x1b["); got != c.want || !strings.Contains(out, "No.") {
			t.Errorf("%+v: colours %v\n%q", c, got, out)
		}
	}
}

// A terminal that is narrow has the texts wrapped behind their gutter; what is not a terminal has lines as long as they are.
func TestDataShowOnANarrowTerminal(t *testing.T) {
	dir, rows := wordsOnly(t), writeFile(t, "rows.jsonl", rowsToShow...)
	args := []string{"data", "show", rows, "--model", dir, "--rows", "4"}
	tty, written := ptytest.Open(t, 24)
	cmd := program(t.Context(), args...)
	cmd.Stdout = tty
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, line := range written() {
		gutter, text, ok := strings.Cut(regexp.MustCompile(`\x1b\[[0-9;]*m`).ReplaceAllString(line, ""), "│")
		if !ok {
			continue
		}
		if n++; utf8.RuneCountInString(gutter) != 16 || utf8.RuneCountInString(text) > 7 {
			t.Errorf("on 24 columns: %q", line)
		}
	}
	if n < 200/7 {
		t.Errorf("%d lines of a text of more than 200 characters", n)
	}
	wantShown(t, exitOK, []string{strings.Repeat("long·", 40)}, args[2:]...)
}

// Rows that the file has not are not shown as none: the end is told. What is left is more than what is named as the next.
func TestDataShowBehindTheEnd(t *testing.T) {
	dir, rows := wordsOnly(t), writeFile(t, "rows.jsonl", rowsToShow...)
	page := filepath.Join(t.TempDir(), "page.html")
	for _, form := range [][]string{nil, {"--jsonl"}, {"--html", page}} {
		wantCode(t, exitUsage, []string{"--rows 99: nothing to show; " + rows + " ends with row 4"}, append([]string{"data", "show", rows, "--model", dir, "--rows", "99"}, form...)...)
	}
	if _, err := os.Stat(page); !os.IsNotExist(err) {
		t.Errorf("a page of nothing was written (%v)", err)
	}
	wantShown(t, exitOK, []string{"1 row, 1 example", "the file has more rows; --rows 2-3 shows the next"}, rows, "--model", dir, "--rows", "1")
	if out := wantShown(t, exitOK, []string{"1 row, 1 example"}, rows, "--model", dir, "--rows", "4,99"); strings.Contains(out, "more rows") {
		t.Errorf("more rows than there are:\n%s", out)
	}
	two := writeFile(t, "two.jsonl", rowsToShow[:2]...)
	run := writeFile(t, "run.yaml", "model: "+dir, "data: {train: [{path: "+rows+"}], eval: [{path: "+two+"}]}", "run_dir: nowhere")
	wantShown(t, exitOK, []string{"row 4", "the file has 2 rows"}, "-c", run, "--rows", "4")
	wantCode(t, exitUsage, []string{rows + " ends with row 4, " + two + " ends with row 2"}, "data", "show", "-c", run, "--rows", "5")
}

func TestDataShowRefuses(t *testing.T) {
	dir, rows := wordsOnly(t), writeFile(t, "rows.jsonl", rowsToShow...)
	for _, c := range []struct {
		says string
		args []string
	}{
		{"no model", []string{rows}},
		{"is not a directory", []string{rows, "--model", rows}},
		{"no rows", []string{"--model", dir}},
		{"one file", []string{rows, rows, "--model", dir}},
		{"no such file", []string{filepath.Join(dir, "rows.jsonl"), "--model", dir}},
		{"is a directory", []string{dir, "--model", dir}},
		{"--rows", []string{rows, "--model", dir, "--rows", "0"}},
		{"--format", []string{rows, "--model", dir, "--format", "csv"}},
		{"--train-on", []string{rows, "--model", dir, "--train-on", "none"}},
		{"--overlength", []string{rows, "--model", dir, "--overlength", "cut"}},
		{"--max-length", []string{rows, "--model", dir, "--max-length", "7"}},
		{"--color", []string{rows, "--model", dir, "--color", "blue"}},
		{"--template-kwargs", []string{rows, "--model", dir, "--template-kwargs", "[1]"}},
		{"two forms", []string{rows, "--model", dir, "--html", "x.html", "--jsonl"}},
		{"--tokens", []string{rows, "--model", dir, "--tokens", "--jsonl"}},
		{"has no command", []string{}},
	} {
		args := append([]string{"data", "show"}, c.args...)
		if len(c.args) == 0 {
			args = []string{"data", "shew"}
		}
		wantCode(t, exitUsage, []string{c.says}, args...)
	}
}
