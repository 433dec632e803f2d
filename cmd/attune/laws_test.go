package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"
)

// tensors are those of a run's product, by name.
func tensors(t *testing.T, path string) map[string][]byte {
	t.Helper()
	f := openTensors(t, path)
	m := map[string][]byte{}
	for _, i := range f.Tensors() {
		m[i.Name] = f.Data(i.Name)
	}
	return m
}

// An adapter that is loaded and saved without training is the adapter: init_from after save is the identity.
func TestLoadedAndSavedIsTheSame(t *testing.T) {
	for _, kind := range []lesson{{}, {"lora.use_rslora": true, "lora.alpha": 7, "lora.target_modules": "[v_proj, gate_proj]"}, {"compute.dtype": "bfloat16"}} {
		first := smallLesson(t, kind.with(lesson{"train.steps": 3}))
		first.train(t)
		from := filepath.Join(first.runDir(), adapterDir)
		second := first.with(lesson{"lora.init_from": from, "run_dir": filepath.Join(t.TempDir(), "run"), "train.learning_rate": 1e-30})
		second.train(t) // a rate so small that no weight moves
		a, b := tensors(t, filepath.Join(from, "adapter_model.safetensors")), tensors(t, filepath.Join(second.runDir(), adapterDir, "adapter_model.safetensors"))
		if len(a) != len(b) || len(a) == 0 {
			t.Fatalf("%d tensors, then %d", len(a), len(b))
		}
		moved := 0
		for name := range a {
			if !bytes.Equal(a[name], b[name]) {
				t.Errorf("%v: %s is not what it was", kind, name)
			}
			if len(bytes.Trim(a[name], "\x00")) > 0 {
				moved++
			}
		}
		if moved != len(a) {
			t.Errorf("only %d of %d tensors were trained", moved, len(a))
		}
		_, was := readMetrics(t, first.runDir())
		_, is := readMetrics(t, second.runDir())
		if was[3] != is[0] || is[0] != is[3] {
			t.Errorf("%v: eval loss %v after, %v when loaded, %v at the end", kind, was[3], is[0], is[3])
		}
	}
}

// A model trained whole and read again begins where it ended.
func TestFullModelGoesOnWhereItEnded(t *testing.T) {
	first := smallLesson(t, lesson{"method": "full", "train.steps": 4, "train.learning_rate": 0.003})
	first.train(t)
	second := first.with(lesson{"model": filepath.Join(first.runDir(), modelDir), "run_dir": filepath.Join(t.TempDir(), "run")})
	second.train(t)
	_, was := readMetrics(t, first.runDir())
	_, is := readMetrics(t, second.runDir())
	if was[4] != is[0] {
		t.Errorf("eval loss %v at the end, %v when read again", was[4], is[0])
	}
}

// The seed decides order, dropout and new adapters, and is all that does: the same one gives the same run.
func TestSeed(t *testing.T) {
	base := smallLesson(t, lesson{"train.steps": 3})
	of := func(extra lesson) []byte {
		t.Helper()
		l := base.with(extra).with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
		l.train(t)
		return product(t, l.runDir())
	}
	one := of(nil)
	if !bytes.Equal(one, of(nil)) {
		t.Error("the same run twice differs")
	}
	if bytes.Equal(one, of(lesson{"train.seed": 2})) {
		t.Error("another seed changed nothing")
	}
	// each use of the seed by itself: without shuffling and dropout only the new adapter is left, and so on
	still := lesson{"data.shuffle": false, "lora.dropout": 0}
	adapter := filepath.Join(t.TempDir(), "adapter")
	l := base.with(lesson{"run_dir": adapter})
	l.train(t)
	fixed := lesson{"lora.init_from": filepath.Join(adapter, adapterDir)}
	for what, c := range map[string]struct {
		extra   lesson
		changes bool
	}{
		"the new adapter": {still, true},
		"the order":       {still.with(fixed).with(lesson{"data.shuffle": true}), true},
		"dropout":         {still.with(fixed).with(lesson{"lora.dropout": 0.3}), true},
		"nothing":         {still.with(fixed), false},
	} {
		x, y := tensorsOf(of(c.extra)), tensorsOf(of(c.extra.with(lesson{"train.seed": 2})))
		if changed := !bytes.Equal(x, y); changed != c.changes {
			t.Errorf("where the seed decides %s, another one changed something: %v", what, changed)
		}
	}
}

// tensorsOf is a safetensors file's data without the header, whose metadata names the run's hashes.
func tensorsOf(file []byte) []byte {
	n := int(file[0]) | int(file[1])<<8 | int(file[2])<<16
	return file[8+n:]
}

// The step is what the run file says: many micro-batches or one, examples packed or one by one, layers stored or
// recomputed, one thread or two. engine/lawtest holds this of any trial; here it is from the run file to the product.
func TestTheStepIsWhatTheRunFileSays(t *testing.T) {
	for name, extra := range map[string]lesson{
		"lora with dropout": {"lora.dropout": 0.2},
		"full":              {"method": "full", "train.learning_rate": 0.001, "train.weight_decay": 0.05},
		"a row cut short":   {"data.max_length": 64, "data.overlength": "truncate", "data.max_cut_share": 1},
	} {
		t.Run(name, func(t *testing.T) {
			base := smallLesson(t, lesson{"train.steps": 4, "train.examples_per_step": 6}.with(extra))
			run := func(how lesson) (dir string, steps []metricLine) {
				t.Helper()
				l := base.with(how).with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
				l.train(t)
				steps, _ = readMetrics(t, l.runDir())
				return l.runDir(), steps
			}
			packed, want := run(lesson{"compute.micro_batch_tokens": 1024, "compute.threads": 1})
			for how, rounding := range map[string]bool{"64": true, "192": true, "1024 full": false, "1024 threads": false} {
				var micro int
				var what string
				_, _ = fmt.Sscan(how, &micro, &what)
				change := lesson{"compute.micro_batch_tokens": micro, "compute.threads": 1}
				switch what {
				case "full":
					change["compute.recompute"] = "full"
				case "threads":
					change["compute.threads"] = 2
				}
				dir, got := run(change)
				for i := range want {
					if a, b := *got[i].Loss, *want[i].Loss; relative(a, b) > 1e-6 || got[i].Trained != want[i].Trained || relative(got[i].GradNorm, want[i].GradNorm) > 1e-4 {
						t.Errorf("%s, step %d: loss %.9f, norm %.7f; in one row %.9f, %.7f", how, i+1, a, got[i].GradNorm, b, want[i].GradNorm)
					}
				}
				if !rounding {
					if !bytes.Equal(product(t, dir), product(t, packed)) {
						t.Errorf("%s: the final weights differ", how)
					}
				}
			}
		})
	}
}
