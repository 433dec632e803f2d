package corpus

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"attune/data"
	"attune/data/chat"
	"attune/data/loader"
	"attune/data/source"
	"attune/data/tokenizer"
)

// stop is the id that ends a ChatML turn in the tokenizer of options.
const stop = 2

// options are ChatML over a tokenizer with one id a byte, so that lengths can be counted by hand.
func options(t *testing.T) Options {
	t.Helper()
	raw, err := tokenizer.ByteLevelJSON([]string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
	if err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Parse(raw, []byte(`{"eos_token": "<|endoftext|>"}`))
	if err != nil {
		t.Fatal(err)
	}
	chatML, err := chat.Builtin("chatml")
	if err != nil {
		t.Fatal(err)
	}
	return Options{Template: chatML, Tokenizer: tok, Stops: []int32{stop}, TrainOn: "all", MaxLength: 1000, Overlength: chat.Refuse}
}

// rows writes a JSONL file.
func rows(t *testing.T, lines ...string) File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rows.jsonl")
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return File{Path: path}
}

// turn is the length of a ChatML turn: two special tokens, a line break behind the role and one behind the end.
func turn(role, content string) int { return 2 + len(role) + 1 + len(content) + 1 }

// pair is a row of one question and one answer.
func pair(question, answer string) string {
	return fmt.Sprintf(`{"messages":[{"role":"user","content":%q},{"role":"assistant","content":%q}]}`, question, answer)
}

func readOne(t *testing.T, f File, o Options) (*loader.Set, Report) {
	t.Helper()
	sets, reports, err := ReadAll(t.Context(), []File{f}, o)
	if err != nil {
		t.Fatal(err)
	}
	return sets[0], reports[0]
}

func example(t *testing.T, set *loader.Set, i int) data.Example {
	t.Helper()
	e, err := set.Example(i)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEveryTokenIsCounted(t *testing.T) {
	f := rows(t, pair("Hello", "Hi."), `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"assistant","content":"dd"}]}`)
	set, got := readOne(t, f, options(t))
	first := turn("user", "Hello") + turn("assistant", "Hi.")
	second := turn("user", "a") + turn("assistant", "b") + turn("user", "c") + turn("assistant", "dd")
	want := Report{Path: f.Path, Schema: got.Schema, Rows: 2, Examples: 2, Tokens: first + second,
		TrainedTokens: len("Hi.") + 1 + len("b") + 1 + len("dd") + 1, // each answer with the token that ends it
		Longest:       max(first, second), StopsTrained: 3}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("report\n%+v, want\n%+v", got, want)
	}
	if got.Schema == "" {
		t.Error("the report does not name the schema")
	}
	if set.Len() != 2 || set.Tokens() != want.Tokens {
		t.Errorf("the set has %d examples and %d tokens", set.Len(), set.Tokens())
	}
	if e := example(t, set, 1); e.Line != 2 || e.File != f.Path {
		t.Errorf("the second example is said to be from %s:%d", e.File, e.Line)
	}
}

func TestTrainOnLast(t *testing.T) {
	f := rows(t, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"bbb"},{"role":"user","content":"c"},{"role":"assistant","content":"dd"}]}`)
	o := options(t)
	o.TrainOn = "last"
	if _, got := readOne(t, f, o); got.TrainedTokens != len("dd")+1 || got.StopsTrained != 1 {
		t.Errorf("%d tokens and %d stops are trained", got.TrainedTokens, got.StopsTrained)
	}
}

// What a template writes with strftime_now is the date it is given, not the day's.
func TestTheDateIsGiven(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dated.jinja")
	if err := os.WriteFile(path, []byte("{% for m in messages %}<|im_start|>{{ strftime_now('%d %b %Y') }} {{ m.content }}<|im_end|>{% endfor %}"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := options(t)
	var err error
	if o.Template, err = chat.FromFile(path); err != nil {
		t.Fatal(err)
	}
	o.Now = time.Date(1999, time.December, 31, 23, 0, 0, 0, time.UTC)
	set, _ := readOne(t, rows(t, pair("a", "b")), o)
	if got, want := o.Tokenizer.Decode(example(t, set, 0).IDs, false), "<|im_start|>31 Dec 1999 a<|im_end|><|im_start|>31 Dec 1999 b<|im_end|>"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPlainText(t *testing.T) {
	o := options(t)
	o.Template, o.NoTemplate = nil, errors.New("no template")
	set, got := readOne(t, rows(t, `{"text":"once upon"}`), o)
	if got.Tokens != len("once upon")+1 || got.TrainedTokens != len("once upon") || got.Examples != 1 {
		t.Errorf("report %+v", got) // the end token is added, the first token has no predecessor
	}
	if ids := example(t, set, 0).IDs; ids[len(ids)-1] != 0 {
		t.Errorf("the text ends with id %d, not with the end token", ids[len(ids)-1])
	}
}

func TestWithoutATemplateOneComplaintIsEnough(t *testing.T) {
	o := options(t)
	o.Template, o.NoTemplate = nil, errors.New("the model has no chat template")
	_, _, err := ReadAll(t.Context(), []File{rows(t, pair("a", "b"), pair("c", "d"), pair("e", "f"))}, o)
	if n := strings.Count(fmt.Sprint(err), "no chat template"); n != 1 {
		t.Errorf("said %d times:\n%v", n, err)
	}
}

func TestOverlength(t *testing.T) {
	long := strings.Repeat("x", 40)
	f := rows(t, pair("q", "a"), pair("q", long))
	head := turn("user", "q") + turn("assistant", "") - 2 // up to the answer's first byte
	limit := head + 10
	tests := []struct {
		policy chat.Policy
		want   Report
	}{
		{chat.Truncate, Report{Examples: 2, TrainedTokens: 2 + 10, Longest: limit, Cut: 1, TrainedLost: 31, StopsTrained: 1}},
		{chat.Drop, Report{Examples: 1, TrainedTokens: 2, Longest: head + 1 + 2, Dropped: 1, TrainedLost: 41, StopsTrained: 1}},
		// 62 tokens in parts that share one: [0, 30), [29, 59) and [58, 62).
		{chat.Split, Report{Examples: 4, TrainedTokens: 2 + 41, Longest: limit, Split: 1, StopsTrained: 2}},
	}
	for _, tt := range tests {
		o := options(t)
		o.MaxLength, o.Overlength = limit, tt.policy
		set, got := readOne(t, f, o)
		for i := range set.Len() {
			if n := len(example(t, set, i).IDs); n > limit {
				t.Errorf("%s: example %d has %d tokens, the limit is %d", tt.policy, i, n, limit)
			}
		}
		tt.want.Path, tt.want.Schema, tt.want.Rows, tt.want.Tokens = f.Path, got.Schema, 2, set.Tokens()
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: report\n%+v, want\n%+v", tt.policy, got, tt.want)
		}
	}
	o := options(t)
	o.MaxLength = limit
	_, _, err := ReadAll(t.Context(), []File{f}, o)
	if want := fmt.Sprintf("%s:2: the row has %d tokens, data.max_length is %d", f.Path, head+42, limit); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}

// What is wrong with the rows of every file comes in one error, each with its place, and nothing else is given.
func TestComplaintsOfAllFilesComeTogether(t *testing.T) {
	a := rows(t, pair("q", "a"), `{"messages":[{"role":"user","content":"no answer"}]}`, `{broken`)
	b := rows(t, pair("q", "a"))
	c := File{Path: filepath.Join(t.TempDir(), "absent.jsonl")}
	sets, reports, err := ReadAll(t.Context(), []File{a, b, c}, options(t))
	var bad *Error
	if !errors.As(err, &bad) || sets != nil || reports != nil {
		t.Fatalf("sets %v, reports %v, error %v", sets, reports, err)
	}
	if len(bad.Files) != 2 {
		t.Errorf("%d files are named", len(bad.Files))
	}
	for _, place := range []string{a.Path + ":2: ", a.Path + ":3: ", c.Path} {
		if strings.Count(err.Error(), place) != 1 {
			t.Errorf("%s is not named once in\n%v", place, err)
		}
	}
	if strings.Contains(err.Error(), b.Path) {
		t.Errorf("a file without fault is named:\n%v", err)
	}
	var row *source.RowError
	if !errors.As(err, &row) || row.Line != 2 || row.Do == "" {
		t.Errorf("the first complaint is %+v", row)
	}
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("the absent file cannot be told from the error")
	}
}

func TestAFileThatTeachesNothingIsRefused(t *testing.T) {
	o := options(t)
	o.MaxLength, o.Overlength = 5, chat.Drop
	if _, _, err := ReadAll(t.Context(), []File{rows(t, pair("question", "answer"))}, o); err == nil || !strings.Contains(err.Error(), "nothing is left to train on: 1 of 1 rows") {
		t.Errorf("all rows dropped: %v", err)
	}
	o = options(t)
	o.Stops = []int32{0} // the tokenizer's end token, which ChatML never writes
	if _, _, err := ReadAll(t.Context(), []File{rows(t, pair("question", "answer"))}, o); err == nil || !strings.Contains(err.Error(), "would not learn to stop") {
		t.Errorf("no stop is trained: %v", err)
	}
}

func TestSystemMessage(t *testing.T) {
	const n = 400
	lines := make([]string, n)
	for i := range lines {
		lines[i] = pair("q", "a")
	}
	f := rows(t, lines...)
	o := options(t)
	_, none := readOne(t, f, o)
	o.System = "Be brief."
	added := turn("system", o.System)
	with := func(ratio float64, seed uint64) int {
		t.Helper()
		o.SystemRatio, o.Seed = ratio, seed
		_, got := readOne(t, f, o)
		extra := got.Tokens - none.Tokens
		if extra%added != 0 || got.TrainedTokens != none.TrainedTokens {
			t.Fatalf("%d tokens more, %d trained", extra, got.TrainedTokens)
		}
		return extra / added
	}
	if got := with(0, 1); got != 0 {
		t.Errorf("ratio 0: %d rows", got)
	}
	if got := with(1, 1); got != n {
		t.Errorf("ratio 1: %d rows", got)
	}
	got := with(0.25, 1)
	if sd := math.Sqrt(n * 0.25 * 0.75); math.Abs(float64(got)-n*0.25) > 4*sd {
		t.Errorf("ratio 0.25: %d of %d rows", got, n)
	}
	if again := with(0.25, 1); again != got {
		t.Errorf("the same seed gave %d rows, then %d", got, again)
	}

	own := rows(t, `{"messages":[{"role":"system","content":"Mine."},{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}`)
	o.SystemRatio = 1
	if _, r := readOne(t, own, o); r.Tokens != turn("system", "Mine.")+turn("user", "q")+turn("assistant", "a") {
		t.Errorf("a row with its own system message has %d tokens", r.Tokens)
	}
}

func TestProgress(t *testing.T) {
	lines := make([]string, 1100)
	for i := range lines {
		lines[i] = pair("q", "a")
	}
	var seen []int
	o := options(t)
	o.Progress = func(rows int) { seen = append(seen, rows) }
	readOne(t, rows(t, lines...), o)
	if fmt.Sprint(seen) != "[512 1024]" {
		t.Errorf("told at rows %v", seen)
	}
}

// Whoever gives up while rows are read is told so, and not that rows are bad.
func TestReadingEndsWithItsContext(t *testing.T) {
	o := options(t)
	ctx, cancel := context.WithCancel(t.Context())
	o.Progress = func(int) { cancel() }
	var lines []string
	for range 2000 {
		lines = append(lines, pair("a", "b"))
	}
	sets, _, err := ReadAll(ctx, []File{rows(t, lines...)}, o)
	var bad *Error
	if !errors.Is(err, context.Canceled) || errors.As(err, &bad) || sets != nil {
		t.Errorf("%v, %v", sets, err)
	}
}

// A full disk is said, and not that rows are bad.
func TestNoRoomForTheTokens(t *testing.T) {
	o := options(t)
	o.Dir, o.MaxLength = filepath.Join(t.TempDir(), "none"), 1<<20
	sets, _, err := ReadAll(t.Context(), []File{rows(t, pair("a", "b")), rows(t, pair("a", strings.Repeat("b", 300_000)))}, o)
	var bad *Error
	if !errors.Is(err, loader.ErrDisk) || errors.As(err, &bad) || sets != nil {
		t.Errorf("%v, %v", sets, err)
	}
}

func TestOddRowsAreSaid(t *testing.T) {
	var lines []string
	for range oddShown + 2 {
		lines = append(lines, `{"instruction":"a","instruction":"b","output":"c"}`)
	}
	f := rows(t, lines...)
	_, got := readOne(t, f, options(t))
	if got.Warnings != oddShown+2 || len(got.Odd) != oddShown {
		t.Fatalf("%d warnings, %d in words: %q", got.Warnings, len(got.Odd), got.Odd)
	}
	if !strings.Contains(got.Odd[1], ":2: ") || !strings.Contains(got.Odd[1], "instruction") {
		t.Errorf("the second says %q", got.Odd[1])
	}
}

// What the model cannot read is refused with the row's line and both numbers, before any weights are loaded.
func TestTheModelsNumbers(t *testing.T) {
	question, answer := "Hello", "Hi."
	n := turn("user", question) + turn("assistant", answer)
	f := rows(t, pair("a", "b"), pair(question, answer))
	o := options(t)
	o.MaxLength, o.Window = n+5, n
	readOne(t, f, o)
	o.Window--
	_, _, err := ReadAll(t.Context(), []File{f}, o)
	want := fmt.Sprintf("%s:2: %d tokens, but the model was made for %d (max_position_embeddings); set data.max_length, which is %d, to at most %d", f.Path, n, n-1, n+5, n-1)
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}

	o = options(t)
	o.VocabSize = o.Tokenizer.VocabSize()
	readOne(t, f, o)
	id, ok := o.Tokenizer.ID("ł")
	if !ok {
		t.Fatal("no byte 0xa0")
	}
	o.VocabSize = int(id) // the hard space ends in that byte, and no other character of the rows has an id as high
	f = rows(t, pair("y", "y"), pair("y", "y\u00a0"))
	_, _, err = ReadAll(t.Context(), []File{f}, o)
	want = fmt.Sprintf(`%s:2: token "ł" has the id %d, but the model's vocab_size is %d; take`, f.Path, id, id)
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
}
