package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"attune/data"
	"attune/internal/reftest"
)

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestBadFiles holds every broken file to what its author says of it: refused are the lines that are unusable, or the
// file where no line is named. Exceptions have their reason.
func TestBadFiles(t *testing.T) {
	exceptions := map[string]struct {
		lines []int
		why   string
	}{
		"null-text.jsonl":       {[]int{4}, "a null input is an empty one"},
		"over-max-length.jsonl": {nil, "lengths are known after tokenizing"},
		"sharegpt-roles.jsonl":  {[]int{5}, "the file's note: lines 1 to 4 are read, 5 is unusable"},
		"ends-with-user.jsonl":  {[]int{3}, "the file's note: line 3 has nothing to learn from"},
	}
	// Warnings are for odd rows that a reader sees; the other lint classes are judged later.
	warned := map[string]WarningKind{"duplicate-key": DuplicateKey, "empty-text": EmptyText, "ends-with-user.jsonl": TurnsDropped, "lone-surrogate-escape.jsonl": LoneSurrogate}

	var cases []struct {
		File   string
		Lines  []int
		Class  string
		Effect string
	}
	readJSON(t, reftest.Path(t, "data", "bad", "cases.json"), &cases)
	if len(cases) < 30 {
		t.Fatalf("%d cases", len(cases))
	}
	for _, c := range cases {
		t.Run(c.File, func(t *testing.T) {
			var want []int
			if c.Effect == "unusable" {
				want = c.Lines
			}
			if e, ok := exceptions[c.File]; ok {
				want = e.lines
			}
			warnings := map[WarningKind][]int{}
			path := reftest.Path(t, "data", "bad", c.File)
			err := each(t, path, Options{Warn: func(w Warning) { warnings[w.Kind] = append(warnings[w.Kind], w.Line) }},
				func(data.Conversation) error { return nil })
			var got []int
			var all *Errors
			if errors.As(err, &all) {
				for _, bad := range all.List {
					got = append(got, bad.Line)
					if bad.What == "" || bad.Do == "" || bad.File != path {
						t.Errorf("incomplete complaint: %v", bad)
					}
				}
			} else if err != nil {
				t.Fatal(err)
			}
			if c.Effect == "unusable" && len(c.Lines) == 0 {
				if len(got) != 1 || got[0] > 1 {
					t.Errorf("complaints on lines %v, want one about the file: %v", got, err)
				}
			} else if !slices.Equal(got, want) {
				t.Errorf("complaints on lines %v, want %v: %v", got, want, err)
			}
			kind, ok := warned[c.File]
			if !ok {
				kind, ok = warned[c.Class]
			}
			if ok {
				for _, line := range c.Lines {
					if !slices.Contains(warnings[kind], line) && !slices.Contains(got, line) {
						t.Errorf("no warning %s on line %d: %v", kind, line, warnings)
					}
				}
			}
		})
	}
}

// TestSharedFiles reads every file in one of the schemas whole, and refuses the others with one complaint.
func TestSharedFiles(t *testing.T) {
	for _, c := range []struct {
		file, schema string
		rows         int
		refused      string
	}{
		{"alpaca.json", Instruction, 10000, ""},
		{"alpaca.jsonl", Instruction, 10000, ""},
		{"code_alpaca_2k.json", Instruction, 2017, ""},
		{"seed_tasks.jsonl", Instruction, 175, ""},
		{"messages.jsonl", Messages, 833, ""},
		{"fastchat/dummy_conversation.json", Conversations, 500, ""},
		{"llama-factory/alpaca_en_demo.json", Instruction, 999, ""},
		{"llama-factory/alpaca_zh_demo.json", Instruction, 1000, ""},
		{"llama-factory/glaive_toolcall_en_demo.json", Conversations, 300, ""},
		{"llama-factory/identity.json", Instruction, 91, ""},
		{"llama-factory/c4_demo.jsonl", Text, 300, ""},
		{"llama-factory/v1_sft_demo.jsonl", Messages, 500, ""},
		{"llama-factory/dpo_en_demo.json", "", 0, "preference pair"},
		{"llama-factory/kto_en_demo.json", "", 0, "KTO"},
		{"llama-factory/wiki_demo.txt", "", 0, "plain text"},
		{"llama-factory/dataset_info.json", "", 0, "several lines"},
		{"open-assistant/en_100_tree.jsonl", "", 0, "message tree"},
	} {
		path := reftest.Path(t, "data", filepath.FromSlash(c.file))
		rows, err := readAll(t, path, Options{})
		if c.refused != "" {
			var all *Errors
			if !errors.As(err, &all) || len(all.List) != 1 || all.More != 0 || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v, want one complaint with %q", c.file, err, c.refused)
			}
			continue
		}
		if err != nil || len(rows) != c.rows {
			t.Errorf("%s: %d rows, want %d: %v", c.file, len(rows), c.rows, err)
		}
		r, err := Open(t.Context(), path, Options{})
		if err != nil || r.Schema() != c.schema {
			t.Errorf("%s: schema %q, want %q: %v", c.file, r.Schema(), c.schema, err)
		}
		r.Close()
	}
}

// TestArrayEqualsLines: the same rows in both containers.
func TestArrayEqualsLines(t *testing.T) {
	a, err := readAll(t, reftest.Path(t, "data", "alpaca.json"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := readAll(t, reftest.Path(t, "data", "alpaca.jsonl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range a {
		if !reflect.DeepEqual(a[i].Messages, b[i].Messages) {
			t.Fatalf("row %d: %v and %v", i, a[i], b[i])
		}
		if b[i].Line != i+1 || a[i].Line != 2+5*i {
			t.Fatalf("row %d on lines %d and %d", i, a[i].Line, b[i].Line)
		}
	}
}

// TestToolCallsEqualOpenAIForm: messages.jsonl holds some rows of the ShareGPT file rewritten in OpenAI form by its
// author; reading the originals gives the same conversations.
func TestToolCallsEqualOpenAIForm(t *testing.T) {
	originals, err := readAll(t, reftest.Path(t, "data", "llama-factory", "glaive_toolcall_en_demo.json"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(reftest.Path(t, "data", "messages.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	rewritten, err := readAll(t, reftest.Path(t, "data", "messages.jsonl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for i, line := range strings.Split(strings.TrimSpace(string(text)), "\n") {
		var row struct{ ID string }
		if err := json.Unmarshal([]byte(line), &row); err != nil {
			t.Fatal(err)
		}
		n := 0
		if _, err := fmt.Sscanf(row.ID, "tools-%d", &n); err != nil {
			continue
		}
		compared++
		got, want := originals[n], rewritten[i]
		if len(got.Messages) != len(want.Messages) || !sameJSON(got.Tools, want.Tools) {
			t.Fatalf("%s: %d turns, want %d; tools %s, want %s", row.ID, len(got.Messages), len(want.Messages), got.Tools, want.Tools)
		}
		for k := range got.Messages {
			g, w := got.Messages[k], want.Messages[k]
			if !sameJSON(g.ToolCalls, w.ToolCalls) {
				t.Errorf("%s turn %d: calls %s, want %s", row.ID, k, g.ToolCalls, w.ToolCalls)
			}
			g.ToolCalls, w.ToolCalls = nil, nil
			if !reflect.DeepEqual(g, w) {
				t.Errorf("%s turn %d: %+v, want %+v", row.ID, k, g, w)
			}
		}
	}
	if compared != 100 {
		t.Errorf("%d rows compared", compared)
	}
}

func sameJSON(a, b json.RawMessage) bool {
	var x, y any
	return (a == nil) == (b == nil) && (a == nil || json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y))
}

// TestGoldenTexts writes the goldens' rows in their template by hand and compares with what transformers rendered.
func TestGoldenTexts(t *testing.T) {
	chatml := func(role, text string) string { return "<|im_start|>" + role + "\n" + text + "<|im_end|>\n" }
	zephyr := func(role, text string) string { return "<|" + role + "|>\n" + text + "</s>\n" }
	for name, turn := range map[string]func(role, text string) string{
		"llama-chatml-lora": chatml, "llama-zephyr-full": zephyr, "qwen2-chatml-multiturn": chatml, "qwen3-chatml-system": chatml,
	} {
		rows, err := readAll(t, reftest.Path(t, "goldens", name, "train.jsonl"), Options{})
		if err != nil {
			t.Fatal(err)
		}
		var expected struct{ Examples []struct{ Text string } }
		readJSON(t, reftest.Path(t, "goldens", name, "expected.json"), &expected)
		if len(expected.Examples) == 0 {
			t.Fatalf("%s has no examples", name)
		}
		for i, e := range expected.Examples {
			var got strings.Builder
			for _, m := range rows[i].Messages {
				got.WriteString(turn(m.Role, m.Content))
			}
			if got.String() != e.Text {
				t.Errorf("%s row %d: %q, want %q", name, i+1, got.String(), e.Text)
			}
		}
	}
}

// TestWeightedTurns: LLaMA-Factory's rows of weighted turns, whose content is a list of parts.
func TestWeightedTurns(t *testing.T) {
	rows, err := readAll(t, reftest.Path(t, "data", "llama-factory", "v1_sft_demo.jsonl"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		for _, m := range row.Messages {
			want := 0.0
			if m.Role == "assistant" {
				want = 1
			}
			if m.Weight == nil || *m.Weight != want || m.Content == "" {
				t.Fatalf("line %d: %s turn %q with weight %v, want %v", row.Line, m.Role, m.Content, m.Weight, want)
			}
		}
	}
}
