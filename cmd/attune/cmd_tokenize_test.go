package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/internal/reftest"
)

type tokenizeQuestion struct {
	Text    string `json:"text"`
	Special bool   `json:"special"`
}

type tokenizeAnswer struct {
	IDs     []int32
	Decoded string
	Error   string
}

// Every vector of every published tokenizer through the command.
func TestTokenizePublished(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(reftest.Path(t, "tokenizers"), "*", "vectors.jsonl"))
	if err != nil || len(dirs) < 5 {
		t.Fatal("no vectors", err)
	}
	type vector struct {
		tokenizeQuestion
		tokenizeAnswer
	}
	held := 0
	for _, path := range dirs {
		vectors := jsonFile[vector](t, path)
		var questions []any
		for _, v := range vectors {
			questions = append(questions, v.tokenizeQuestion)
		}
		for i, got := range ask[tokenizeAnswer](t, questions, "tokenize", "--tokenizer", filepath.Dir(path), "--jsonl") {
			if want := vectors[i].tokenizeAnswer; got.Error != "" || !slices.Equal(got.IDs, want.IDs) || got.Decoded != want.Decoded {
				t.Errorf("%s, line %d: got %v %q %s, want %v %q", path, i+1, got.IDs, got.Decoded, got.Error, want.IDs, want.Decoded)
			}
			held++
		}
	}
	if held < 2275 {
		t.Errorf("%d vectors, not 2275", held)
	}
}

func TestTokenize(t *testing.T) {
	dir := smallModel(t, model.NewOptions{})
	o := invoke(t.Context(), `{"text": "aé<|im_end|>"}`+"\n"+`{"special": true, "text": ""}`, "tokenize", "--tokenizer", dir, "--jsonl")
	if o.code != exitOK || o.stderr != "" {
		t.Fatalf("exit code %d\n%s", o.code, o.stderr)
	}
	got := jsonLines[tokenizeAnswer](t, []byte(o.stdout))
	if len(got) != 2 || len(got[0].IDs) != 4 || got[0].Decoded != "aé<|im_end|>" || !strings.Contains(o.stdout, "<|im_end|>") {
		t.Fatalf("got %s", o.stdout)
	}
	if got[1].IDs == nil {
		t.Errorf("no ids are no list: %s", o.stdout)
	}
	shown := invoke(t.Context(), "aé<|im_end|>", "tokenize", "--tokenizer", dir)
	if lines := strings.Split(strings.TrimSuffix(shown.stdout, "\n"), "\n"); shown.code != exitOK || len(lines) != 4 || !strings.HasSuffix(lines[0], `"a"`) || !strings.HasSuffix(lines[3], `"<|im_end|>"`) {
		t.Errorf("exit code %d, shows\n%s", shown.code, shown.stdout)
	}
	wantCode(t, exitUsage, []string{"--tokenizer DIR"}, "tokenize")
	wantCode(t, exitUsage, []string{"not a directory"}, "tokenize", "--tokenizer", filepath.Join(dir, "tokenizer.json"))
	wantCode(t, exitUsage, []string{"says \"special\" for itself"}, "tokenize", "--tokenizer", dir, "--jsonl", "--special")
	wantCode(t, exitFailed, []string{"tokenizer.json"}, "tokenize", "--tokenizer", t.TempDir())
}
