package main

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/checkpoint"
	"attune/internal/disk"
)

// A run that was killed when checkpoints were of format 1 goes on to the same end as one that is not broken today: the
// same weights, optimizer and metrics, the same early stop, and the best state, which lies in a checkpoint of format 1, is what it publishes.
func TestFormat1Resumes(t *testing.T) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.FromSlash("../../engine/checkpoint/testdata/format-1"))); err != nil {
		t.Fatal(err)
	}
	broken, whole := filepath.Join(dir, "run"), filepath.Join(dir, "whole")
	train := func(flags ...string) outcome {
		t.Helper()
		return wantCode(t, exitOK, nil, append([]string{"train", "-c", filepath.Join(dir, "run.yaml")}, flags...)...)
	}
	saved := func(run string, step int, name string) []byte {
		t.Helper()
		b, err := os.ReadFile(filepath.Join((&checkpoint.Store{FS: disk.OS(), Root: filepath.Join(run, checkpointsDir)}).Dir(step), name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const weights, optimizer = "weights.safetensors", "optimizer.safetensors"
	then := saved(broken, 8, weights)
	train("--set", "run_dir="+whole, "--set", "checkpoint.keep=24")
	if o := train("--resume"); !strings.Contains(o.stderr, `"step": 8`) || !strings.Contains(o.stdout, "best evaluated state") {
		t.Errorf("not resumed from step 8, or the best state is not published:\n%s%s", o.stderr, o.stdout)
	}
	now, all := losses(t, whole), losses(t, broken)
	for i, loss := range all {
		if len(all) != len(now) || !(math.Abs(loss-now[i]) < 1e-4) { // rounding; another order of rows or dropout is 1e-3 and more
			t.Fatalf("losses %v, unbroken %v", all, now)
		}
	}
	w, b := newest(t, whole), newest(t, broken)
	if w.Step != 21 || b.Step != 21 || w.Stopped == "" || b.Stopped == "" || w.BestStep != 3 || b.BestStep != 3 {
		t.Fatalf("unbroken %+v, resumed %+v", w.State, b.State)
	}
	if !bytes.Equal(then, saved(whole, 8, weights)) {
		t.Log("this processor rounds otherwise than the one the run began on: losses are compared, not bits")
		if math.Abs(*w.EvalLoss-*b.EvalLoss) > 1e-2 || w.Tokens != b.Tokens {
			t.Errorf("unbroken %+v, resumed %+v", w.State, b.State)
		}
		return
	}
	sameRun(t, whole, broken)
	for _, name := range []string{weights, optimizer} {
		if !bytes.Equal(saved(whole, w.Step, name), saved(broken, b.Step, name)) {
			t.Errorf("%s of the last step differs", name)
		}
	}
}
