package main

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"attune/internal/reftest"
)

// What attune trains loads in PEFT (an adapter) or transformers (a model), and the logits behind every id agree with
// attune's own. PEFT runs in scripts/peft_check.py.
func TestPEFTLoadsWhatWasTrained(t *testing.T) {
	python := os.Getenv("ATTUNE_TEST_PYTHON")
	if python == "" {
		t.Skip("needs ATTUNE_TEST_PYTHON, a Python with torch, transformers and peft")
	}
	for _, name := range goldenCases {
		t.Run(name, func(t *testing.T) {
			golden, run := reftest.Path(t, "goldens", name), goldenRun(t, name)
			base, adapter := filepath.Join(golden, "model"), filepath.Join(run, adapterDir)
			if _, err := os.Stat(adapter); err != nil {
				base, adapter = filepath.Join(run, modelDir), "" // a full run
			}
			sequences := exampleIDs(t, golden)
			peft := peftLogits(t, python, base, adapter, sequences)
			s, worst := openFloat32(t, base, adapter).session, 0.0
			for k, ids := range sequences {
				feedOneByOne(t, s, ids, func(i int, logits []float32) {
					want := peft.Logits[k][i]
					if len(logits) != len(want) {
						t.Fatalf("%d logits, PEFT has %d", len(logits), len(want))
					}
					for v, x := range logits {
						worst = max(worst, math.Abs(float64(x)-want[v]))
						if !near(float64(x), want[v]) {
							t.Fatalf("sequence %d, behind id %d: logit of %d is %.6f, PEFT has %.6f", k, i, v, x, want[v])
						}
					}
				})
			}
			if adapter != "" && peft.Changes < 0.1 {
				t.Errorf("the adapter moves PEFT's logits by %g only: nothing was compared", peft.Changes)
			}
			t.Logf("largest difference %.1e; the adapter moves logits by %.2f; merged by PEFT they differ by %.1e", worst, peft.Changes, peft.Merged)
		})
	}
}

// exampleIDs is the beginning of three of a case's rows.
func exampleIDs(t *testing.T, golden string) [][]int32 {
	t.Helper()
	var want struct {
		Examples []struct {
			IDs []int32 `json:"ids"`
		} `json:"examples"`
	}
	readJSON(t, filepath.Join(golden, "expected.json"), &want)
	var sequences [][]int32
	for _, e := range want.Examples[:3] {
		sequences = append(sequences, e.IDs[:min(48, len(e.IDs))])
	}
	return sequences
}

// peftReport is what scripts/peft_check.py prints.
type peftReport struct {
	Logits  [][][]float64 `json:"logits"` // of every sequence, behind every id
	Changes float64       `json:"adapter_changes"`
	Merged  float64       `json:"merged_differs"`
}

func peftLogits(t *testing.T, python, base, adapter string, sequences [][]int32) peftReport {
	t.Helper()
	ids := filepath.Join(t.TempDir(), "ids.json")
	if err := writeJSONFile(ids, sequences); err != nil {
		t.Fatal(err)
	}
	if adapter == "" {
		adapter = "-"
	}
	cmd := exec.CommandContext(t.Context(), python, filepath.Join("..", "..", "scripts", "peft_check.py"), base, adapter, "--ids", ids)
	cmd.Env = append(os.Environ(), "HF_HUB_OFFLINE=1")
	out, err := cmd.Output()
	if err != nil {
		var stderr []byte
		if e, ok := err.(*exec.ExitError); ok {
			stderr = e.Stderr
		}
		t.Fatalf("%s: %v\n%s", cmd, err, stderr)
	}
	var r peftReport
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return r
}
