package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"attune/engine/model"
)

// many are rows of size bytes in all, each of so many times three words.
func many(size, times int) []string {
	row := func(i int) string {
		return fmt.Sprintf(`{"instruction": "Count %d.", "output": "%s"}`, i, strings.Repeat("one and two ", times))
	}
	rows := make([]string, size/len(row(0)))
	for i := range rows {
		rows[i] = row(i)
	}
	return rows
}

// Rows are read in far less memory than they take on disk, and less again than their tokens, one a byte here.
func TestReadingTakesLessThanTheRows(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux's count of a process's peak memory")
	}
	const size = 64 << 20
	l := smallLesson(t, lesson{"data.max_length": 2048})
	few := measured(t, l, "plan", "--time=false")
	l["data.train"] = writeFile(t, "many.jsonl", many(size, 160)...)
	if grown := measured(t, l, "plan", "--time=false") - few; grown > size { // in which the rows on their way and the garbage between two collections lie
		t.Errorf("%s of rows take %s", mib(size), mib(grown))
	}
}

// withToken adds a token to a model's tokenizer, the id of which its embedding has no row for.
func withToken(t *testing.T, dir, content string) (id int) {
	t.Helper()
	path := filepath.Join(dir, "tokenizer.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var tok, config map[string]any
	if err := json.Unmarshal(raw, &tok); err != nil {
		t.Fatal(err)
	}
	if raw, err = os.ReadFile(filepath.Join(dir, "config.json")); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	id = int(config["vocab_size"].(float64))
	tok["added_tokens"] = append(tok["added_tokens"].([]any), map[string]any{"id": id, "content": content, "special": false,
		"single_word": false, "lstrip": false, "rstrip": false, "normalized": false})
	if raw, err = json.Marshal(tok); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, raw, 0o644); err != nil {
		t.Fatal(err)
	}
	return id
}

// A token that the model has no row for is refused where it is met, with both numbers; without it there is a warning.
func TestTokensBeyondTheVocabulary(t *testing.T) {
	l := smallLesson(t, nil)
	dir := l["model"].(string)
	id := withToken(t, dir, "<new>")
	warning := fmt.Sprintf("ids go up to %d, the model's vocab_size is %d", id, id)
	wantCode(t, exitOK, []string{warning}, l.args("plan", "--time=false")...)
	rows := writeFile(t, "new.jsonl", append(sums(0, 3), `{"instruction": "Say <new>.", "output": "Yes."}`)...)
	words := []string{rows + ":4: ", fmt.Sprintf("has the id %d", id), fmt.Sprintf("vocab_size is %d", id)}
	wantCode(t, exitData, words, l.with(lesson{"data.train": rows}).args("plan")...)
	wantCode(t, exitData, words, l.with(lesson{"data.eval": rows}).args("train")...)
	wantCode(t, exitData, words, "eval", "--model", dir, "--data", rows)
	wantCode(t, exitUsage, words[1:], "generate", "--model", dir, "--prompt", "Say <new>.")
	wantCode(t, exitOK, []string{warning}, "generate", "--model", dir, "--prompt", "Say it.", "--max-new-tokens", "1")
}

// An example longer than the model was made for is refused, also where data.max_length allows it.
func TestExamplesBeyondTheContext(t *testing.T) {
	l := smallLesson(t, lesson{"model": smallModel(t, model.NewOptions{MaxPositionEmbeddings: 128}), "data.max_length": 1024})
	wantCode(t, exitOK, nil, l.args("plan", "--time=false")...)
	rows := writeFile(t, "long.jsonl", append(sums(0, 3), long(1)...)...)
	words := []string{rows + ":4: ", "made for 128 ", "data.max_length", "1024"}
	wantCode(t, exitData, words, l.with(lesson{"data.train": rows}).args("train")...)
	wantCode(t, exitData, words, l.with(lesson{"data.eval": rows}).args("plan")...)
	words[2] = "--max-length"
	wantCode(t, exitData, words, "eval", "--model", l["model"].(string), "--data", rows, "--max-length", "1024")
}

// What costs nothing to find out is found out before rows are read, of which there may be many.
func TestRowsAreReadLast(t *testing.T) {
	l := smallLesson(t, lesson{"data.train": writeFile(t, "broken.jsonl", "{")})
	for key, value := range map[string]string{"lora.target_modules": "no_such_proj", "lora.init_from": t.TempDir()} {
		o := invoke(t.Context(), "", l.with(lesson{key: value}).args("plan")...)
		if o.code == exitOK || o.code == exitData || strings.Contains(o.stderr, "broken.jsonl") {
			t.Errorf("%s: exit code %d: %s", key, o.code, o.stderr)
		}
	}
}
