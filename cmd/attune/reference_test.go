package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"

	"attune/data"
	"attune/data/loader"
	"attune/data/tokenizer"
	"attune/engine/eval"
	"attune/engine/generate"
	"attune/engine/session"
	"attune/internal/reftest"
)

// The author of stories260K published what it says by greedy decoding: 200 and 256 tokens behind the begin token.
func TestStoriesRepeatsItsAuthor(t *testing.T) {
	dir := reftest.Path(t, "models", "stories260K")
	var want struct {
		PromptIDs []int32 `json:"prompt_ids"`
		Steps200  struct {
			IDs  []int32 `json:"ids"`
			Text string  `json:"text"`
		} `json:"steps_200"`
		Steps256 struct {
			Text string `json:"text"`
		} `json:"steps_256"`
	}
	readJSON(t, filepath.Join(dir, "expected_greedy.json"), &want)
	repeat := func(n int) generate.Result {
		out, code := attune(t, "generate", "--raw", "--greedy", "--ignore-eos", "--json", "--dtype", "float32", "--model", dir, "--prompt", "",
			"--max-new-tokens", fmt.Sprint(n))
		if code != 0 {
			t.Fatalf("generate: exit code %d", code)
		}
		var r generate.Result
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(r.PromptIDs) != fmt.Sprint(want.PromptIDs) {
			t.Errorf("prompt ids %v, want %v", r.PromptIDs, want.PromptIDs)
		}
		return r
	}
	r := repeat(200)
	if fmt.Sprint(r.NewIDs) != fmt.Sprint(want.Steps200.IDs) {
		t.Errorf("200 steps: ids %v, want %v", r.NewIDs, want.Steps200.IDs)
	}
	if r.Text != want.Steps200.Text {
		t.Errorf("200 steps: text %q, want %q", r.Text, want.Steps200.Text)
	}
	if r = repeat(256); r.Text != want.Steps256.Text {
		t.Errorf("256 steps: text %q, want %q", r.Text, want.Steps256.Text)
	}
}

// reference is a model in reference.json: what PyTorch and transformers compute in float32.
type reference struct {
	Model    string `json:"model"`
	Passages []struct {
		Text string    `json:"text"`
		IDs  []int32   `json:"ids"`
		NLL  []float64 `json:"nll"` // of ids[1:]
		Mean *float64  `json:"mean_nll"`
		Top  []struct {
			ID    int32   `json:"id"`
			Logit float64 `json:"logit"`
		} `json:"last_top5"`
	} `json:"passages"`
	Greedy []struct {
		Prompt    string    `json:"prompt"`
		PromptIDs []int32   `json:"prompt_ids"`
		IDs       []int32   `json:"ids"`
		Margins   []float64 `json:"margins"`
	} `json:"greedy"`
}

func TestReferenceModels(t *testing.T) {
	var all struct {
		Models []reference `json:"models"`
	}
	readJSON(t, reftest.Path(t, "models", "reference.json"), &all)
	for _, ref := range all.Models {
		t.Run(ref.Model, func(t *testing.T) {
			l := openFloat32(t, referenceDir(t, ref.Model), "")
			compareIDs(t, l.text.tok, ref)
			compareLogits(t, l.session, ref)
			compareMeans(t, l, ref)
			compareContinuations(t, l, ref)
		})
	}
}

// referenceDir is a model's Hugging Face directory. That of SmolLM2 is made by models/gguf_to_hf.py of the shared data.
func referenceDir(t *testing.T, model string) string {
	t.Helper()
	if model != "smollm2-135m-instruct" {
		return reftest.Path(t, "models", model)
	}
	dir := os.Getenv("ATTUNE_TEST_SMOLLM2")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache", "smollm2")
	}
	if _, err := os.Stat(filepath.Join(dir, "model.safetensors")); err != nil {
		t.Skipf("needs the model directory that models/gguf_to_hf.py makes, at %s (set ATTUNE_TEST_SMOLLM2)", dir)
	}
	return dir
}

// openFloat32 puts a model on the CPU, with an adapter unless that is "".
func openFloat32(t *testing.T, dir, adapter string) *loaded {
	t.Helper()
	f := modelFlags{textFlags: textFlags{model: dir, template: "auto"}, adapter: adapter, device: "cpu", dtype: "float32"}
	l, err := f.open(t.Context(), streams{err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, l.close)
	if err := l.place(need{}); err != nil {
		t.Fatal(err)
	}
	return l
}

func compareIDs(t *testing.T, tok *tokenizer.Tokenizer, ref reference) {
	t.Helper()
	same := func(text string, want []int32) {
		e, err := tok.Encode(text, tokenizer.Options{AddSpecial: true})
		if err != nil || fmt.Sprint(e.IDs) != fmt.Sprint(want) {
			t.Errorf("%q: ids %v (%v), want %v", text, e.IDs, err, want)
		}
	}
	for _, p := range ref.Passages {
		same(p.Text, p.IDs)
	}
	for _, g := range ref.Greedy {
		same(g.Prompt, g.PromptIDs)
	}
}

// feedOneByOne gives the logits behind every id, out of the key/value cache.
func feedOneByOne(t *testing.T, s *session.Session, ids []int32, at func(i int, logits []float32)) {
	t.Helper()
	d, err := s.NewDecoder(len(ids))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for i, id := range ids {
		logits, err := d.Feed([]int32{id})
		if err != nil {
			t.Fatal(err)
		}
		at(i, logits)
	}
}

// negLogProb is -ln softmax(logits)[id].
func negLogProb(logits []float32, id int32) float64 {
	top := float64(logits[0])
	for _, x := range logits {
		top = max(top, float64(x))
	}
	var sum float64
	for _, x := range logits {
		sum += math.Exp(float64(x) - top)
	}
	return top + math.Log(sum) - float64(logits[id])
}

// near is what a file of six digits and float32 sums in another order leave.
func near(got, want float64) bool { return math.Abs(got-want) <= 1e-4*max(1, math.Abs(want)) }

// compareLogits holds every token's NLL and the best last logits.
func compareLogits(t *testing.T, s *session.Session, ref reference) {
	t.Helper()
	worst := 0.0
	for _, p := range ref.Passages {
		feedOneByOne(t, s, p.IDs, func(i int, logits []float32) {
			if i+1 < len(p.IDs) {
				got := negLogProb(logits, p.IDs[i+1])
				worst = max(worst, math.Abs(got-p.NLL[i]))
				if !near(got, p.NLL[i]) {
					t.Errorf("%q: nll of token %d is %.6f, want %.6f", p.Text, i+1, got, p.NLL[i])
				}
				return
			}
			for _, want := range p.Top {
				got := float64(logits[want.ID])
				worst = max(worst, math.Abs(got-want.Logit))
				if !near(got, want.Logit) {
					t.Errorf("%q: last logit of %d is %.5f, want %.5f", p.Text, want.ID, got, want.Logit)
				}
			}
		})
	}
	t.Logf("largest difference of an nll or a logit: %.1e", worst)
}

// compareMeans holds the same by the graph that evaluation uses: a passage a row, and all of them packed.
func compareMeans(t *testing.T, l *loaded, ref reference) {
	t.Helper()
	var examples []data.Example
	var sum float64
	var tokens int
	mean := func(e ...data.Example) float64 {
		m, _, err := eval.MeanLoss(t.Context(), l.session, loader.NewHeld([]*loader.Set{loader.SetOf(e)}, 512, l.text.pad).Batches())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	for _, p := range ref.Passages {
		if p.Mean == nil {
			continue
		}
		e := data.Example{IDs: p.IDs, Weights: make([]float32, len(p.IDs))}
		for i := range e.Weights {
			e.Weights[i] = 1
		}
		examples = append(examples, e)
		sum, tokens = sum+*p.Mean*float64(len(p.NLL)), tokens+len(p.NLL)
		if got := mean(e); !near(got, *p.Mean) {
			t.Errorf("%q: mean nll %.6f, want %.6f", p.Text, got, *p.Mean)
		}
	}
	if got, want := mean(examples...), sum/float64(tokens); !near(got, want) {
		t.Errorf("all passages packed: mean nll %.6f, want %.6f", got, want)
	}
}

// compareContinuations holds greedy ids up to the first step at which two tokens are nearly equal.
func compareContinuations(t *testing.T, l *loaded, ref reference) {
	t.Helper()
	for _, g := range ref.Greedy {
		d, err := l.session.NewDecoder(len(g.PromptIDs) + len(g.IDs))
		if err != nil {
			t.Fatal(err)
		}
		r, err := generate.Run(t.Context(), d, l.text.tok, g.PromptIDs, generate.Options{MaxNewTokens: len(g.IDs)})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		for i, id := range g.IDs {
			if g.Margins[i] < 1e-3 {
				break
			}
			if i >= len(r.NewIDs) || r.NewIDs[i] != id {
				t.Errorf("%q: ids %v, want %v", g.Prompt, r.NewIDs, g.IDs)
				break
			}
		}
	}
}
