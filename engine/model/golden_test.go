package model

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"attune/internal/reftest"
)

// The models of shared/goldens, held to what PyTorch and transformers computed in float32.
func TestGoldenForward(t *testing.T) {
	dirs, err := filepath.Glob(filepath.Join(reftest.Path(t, "goldens"), "*", "model"))
	if err != nil || len(dirs) == 0 {
		t.Fatalf("no goldens: %v", err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(filepath.Dir(dir)), func(t *testing.T) {
			var want struct {
				FirstLogits struct {
					IDs    []int32   `json:"ids"`
					Logits []float64 `json:"last_token_logits"`
				} `json:"first_logits"`
				Examples []struct {
					IDs     []int32 `json:"ids"`
					Trained string  `json:"trained"`
				} `json:"examples"`
				BaseNLL []struct {
					Sum    float64 `json:"sum"`
					Tokens int     `json:"tokens"`
				} `json:"base_nll"`
			}
			readJSON(t, filepath.Join(dir, "..", "expected.json"), &want)
			ck, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer ck.Close()
			near(t, "logits", lastLogits(t, ck, want.FirstLogits.IDs), want.FirstLogits.Logits, 2e-5)

			short := 0 // the shortest example keeps the test quick
			for i, e := range want.Examples {
				if len(e.IDs) < len(want.Examples[short].IDs) {
					short = i
				}
			}
			e, sum, n := want.Examples[short], 0.0, 0
			for i, nll := range tokenNLL(t, ck, e.IDs) {
				if e.Trained[i+1] == '1' {
					sum += float64(nll)
					n++
				}
			}
			if w := want.BaseNLL[short]; n != w.Tokens || math.Abs(sum-w.Sum) > 1e-5*w.Sum {
				t.Errorf("nll of example %d: %g over %d tokens, want %g over %d", short, sum, n, w.Sum, w.Tokens)
			}
		})
	}
}

// stories260K, a real trained model, tied.
func TestStories260K(t *testing.T) {
	var want struct {
		Models []struct {
			Model    string `json:"model"`
			Passages []struct {
				IDs      []int32   `json:"ids"`
				NLL      []float64 `json:"nll"`
				LastTop5 []struct {
					ID    int     `json:"id"`
					Logit float64 `json:"logit"`
				} `json:"last_top5"`
			} `json:"passages"`
		} `json:"models"`
	}
	readJSON(t, reftest.Path(t, "models", "reference.json"), &want)
	ck, err := Open(reftest.Path(t, "models", "stories260K"))
	if err != nil {
		t.Fatal(err)
	}
	defer ck.Close()
	for _, m := range want.Models {
		if m.Model != "stories260K" {
			continue
		}
		p := m.Passages[0]
		near(t, "nll", tokenNLL(t, ck, p.IDs), p.NLL, 1e-4)
		logits := lastLogits(t, ck, p.IDs)
		for _, w := range p.LastTop5 {
			near(t, "logit", logits[w.ID:w.ID+1], []float64{w.Logit}, 1e-4)
		}
		return
	}
	t.Fatal("reference.json has no stories260K")
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatal(err)
	}
}
