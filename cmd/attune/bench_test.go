package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// A benchmark trains for real: the loss of random tokens begins at about ln V and falls on the same row.
func TestBench(t *testing.T) {
	out, code := attune(t, "bench", "--shape", "tiny", "--tokens", "64", "--examples", "2", "--rows", "2", "--steps", "3", "--warmup", "1", "--device", "cpu",
		"--dtype", "float32", "--profile", "--json")
	if code != 0 {
		t.Fatalf("exit code %d", code)
	}
	var r benchReport
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%s: %v", out, err)
	}
	if len(r.Losses) != 4 || math.Abs(r.Losses[0]-math.Log(512)) > 0.1 || r.Losses[3] >= r.Losses[0] {
		t.Errorf("losses %v", r.Losses)
	}
	if len(r.Seconds) != 3 || r.TokensPerSecond != 128/r.Median {
		t.Errorf("%d steps, %g tokens/s at a median of %g s", len(r.Seconds), r.TokensPerSecond, r.Median)
	}
	calls := map[string]int{}
	for _, k := range r.Profile {
		calls[k.Kernel] = k.Calls
	}
	if calls["linear"] != 2*7 || calls["attention"] != 2 || calls["linear_cross_entropy"] != 1 {
		t.Errorf("calls of a row of two layers: %v", calls)
	}
}

func TestBenchRefuses(t *testing.T) {
	for _, args := range [][]string{{}, {"--shape", "llama9"}, {"--shape", "tiny", "--tokens", "0"}, {"--shape", "tiny", "--tokens", "10", "--examples", "3"},
		{"--shape", "tiny", "--recompute", "some"}, {"--shape", "tiny", "--lora-r", "-1"}, {"--shape", "tiny", "--device", "tpu"}} {
		if o := invoke(t.Context(), "", append([]string{"bench"}, args...)...); o.code != 2 {
			t.Errorf("bench %q: exit code %d, %s", args, o.code, o.stderr)
		}
	}
}

// What makes a device slow is said beside its figures.
func TestBenchWarns(t *testing.T) {
	var text strings.Builder
	r := benchReport{Losses: []float64{1}, Warning: "no cuBLASLt opens"}
	if err := r.print(&text); err != nil || !strings.Contains(text.String(), "\nwarning no cuBLASLt opens\n") {
		t.Errorf("%q, %v", text.String(), err)
	}
}

// The shape's config.json is what other programs read it as.
func TestBenchConfig(t *testing.T) {
	out, code := attune(t, "bench", "--shape", "qwen2.5-7b", "--config")
	if code != 0 || !strings.Contains(out, `"hidden_size": 3584`) || !json.Valid([]byte(out)) {
		t.Errorf("exit code %d: %s", code, out)
	}
}
