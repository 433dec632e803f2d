package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/data/tokenizer"
	"attune/internal/disk"
	"attune/kernels"
)

func TestNew(t *testing.T) {
	for _, o := range []NewOptions{
		{}, {ModelType: "mistral", SlidingWindow: 32, Untied: true, NumKeyValueHeads: 2},
		{ModelType: "qwen2", SlidingWindow: 16, Dtype: kernels.BFloat16}, {ModelType: "qwen3", HeadDim: 32, VocabSize: 300, InitializerRange: 0.08},
	} {
		t.Run(o.ModelType, func(t *testing.T) {
			dir, again := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
			o.Seed = 7
			if err := errors.Join(New(disk.OS(), dir, o), New(disk.OS(), again, o)); err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json", "generation_config.json"} {
				a, err := os.ReadFile(filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				if b, _ := os.ReadFile(filepath.Join(again, name)); !bytes.Equal(a, b) {
					t.Errorf("%s differs between two runs with one seed", name)
				}
			}
			ck, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			w, err := ck.Weight("model.embed_tokens.weight")
			if err != nil {
				t.Fatal(err)
			}
			f32, _ := w.As(kernels.Float32)
			sum, squares := 0.0, 0.0
			for _, u := range view[uint32](f32) {
				v := float64(math.Float32frombits(u))
				sum, squares = sum+v, squares+v*v
			}
			n := float64(w.Elements())
			want := 0.02
			if o.InitializerRange > 0 {
				want = o.InitializerRange
			}
			if sd := math.Sqrt(squares / n); math.Abs(sd-want) > 0.05*want || math.Abs(sum/n) > 0.05*want {
				t.Errorf("embedding has mean %g, deviation %g; want 0, %g", sum/n, sd, want)
			}
			tok, err := tokenizer.Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			id, ok := tok.ID("<|im_end|>")
			var gen struct {
				EOS *int32 `json:"eos_token_id"`
			}
			fields(t, filepath.Join(dir, "generation_config.json"), &gen)
			if !ok || gen.EOS == nil || *gen.EOS != id || ck.Config.VocabSize < tok.VocabSize() {
				t.Errorf("<|im_end|> is %d, the config's end %v, vocabularies %d and %d", id, gen.EOS, tok.VocabSize(), ck.Config.VocabSize)
			}
			// a random model knows nothing: its loss is that of guessing
			nll := tokenNLL(t, ck, []int32{3, 100, 200, 50, 60, 70, 80, 90})
			mean := 0.0
			for _, v := range nll {
				mean += float64(v) / float64(len(nll))
			}
			if guess := math.Log(float64(ck.Config.VocabSize)); math.Abs(mean-guess) > 0.5 {
				t.Errorf("loss %g; guessing gives %g", mean, guess)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir  string
		o    NewOptions
		want string
	}{
		{full, NewOptions{}, "is not empty"},
		{"", NewOptions{ModelType: "gpt2"}, `"gpt2" is not supported`},
		{"", NewOptions{VocabSize: 10}, "take 259"},
		{"", NewOptions{NumAttentionHeads: 4, NumKeyValueHeads: 3}, "multiple"},
		{"", NewOptions{Roles: tokenizer.Roles{EOS: "</s>"}, Specials: []string{"<s>"}}, `"</s>"`},
		{"", NewOptions{SlidingWindow: 8}, "take mistral"},
		{"", NewOptions{ModelType: "mistral", SlidingWindow: -8}, "sliding_window -8"},
		{"", NewOptions{InitializerRange: -1}, "initializer_range -1"},
	} {
		dir := c.dir
		if dir == "" {
			dir = filepath.Join(t.TempDir(), "m")
		}
		if err := New(disk.OS(), dir, c.o); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v; want %q", c.o, err, c.want)
		}
	}
}

// Every architecture has the window that is asked for, in its layers and in what the file says, or refuses it.
func TestNewHasItsWindow(t *testing.T) {
	for _, kind := range Types() {
		dir := filepath.Join(t.TempDir(), kind)
		err := New(disk.OS(), dir, NewOptions{ModelType: kind, SlidingWindow: 8, HiddenSize: 32})
		a, _ := find(kind)
		d := a.defaults()
		if d.SlidingWindow == nil { // transformers' class has none
			if !errors.Is(err, ErrUnsupported) {
				t.Errorf("%s: %v", kind, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		c, err := ReadConfig(dir)
		if err != nil {
			t.Fatal(err)
		}
		for i := range c.NumHiddenLayers {
			if w := a.block(c, i).Window; w != 8 {
				t.Errorf("%s: layer %d has the window %d", kind, i, w)
			}
		}
	}
}

// A trained model is written with the config and tokenizer of the one it came from.
func TestSave(t *testing.T) {
	from, to := filepath.Join(t.TempDir(), "a"), filepath.Join(t.TempDir(), "b")
	if err := New(disk.OS(), from, NewOptions{Dtype: kernels.BFloat16}); err != nil {
		t.Fatal(err)
	}
	ck, err := Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	ws, err := ck.Weights()
	if err != nil {
		t.Fatal(err)
	}
	for i := range ws {
		if ws[i].Data, err = ws[i].As(kernels.Float32); err != nil {
			t.Fatal(err)
		}
		ws[i].Dtype = kernels.Float32
	}
	if err := Save(disk.OS(), to, ck, ws, map[string]string{"template_sha256": "x"}, nil); err != nil {
		t.Fatal(err)
	}
	saved, err := Open(to)
	if err != nil {
		t.Fatal(err)
	}
	defer saved.Close()
	var config struct {
		Dtype string `json:"torch_dtype"`
	}
	if fields(t, filepath.Join(to, "config.json"), &config); config.Dtype != "float32" {
		t.Errorf("config.json says %q", config.Dtype)
	}
	ids := []int32{5, 6, 7, 8}
	want := lastLogits(t, ck, ids)
	for i, v := range lastLogits(t, saved, ids) {
		if v != want[i] {
			t.Fatalf("logit %d is %g, was %g", i, v, want[i])
		}
	}
	if _, err := tokenizer.Load(to); err != nil {
		t.Error(err)
	}
}

// fields reads a JSON file.
func fields(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}
