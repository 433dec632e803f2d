package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"attune/engine/model"
	"attune/internal/config"
	"attune/internal/disk"
)

// planJob is a lesson put together.
func planJob(t *testing.T, l lesson) *job {
	t.Helper()
	cfg, err := config.Load("", l.sets().sets)
	if err != nil {
		t.Fatal(err)
	}
	j, err := newJob(t.Context(), streams{out: io.Discard, err: io.Discard, fs: disk.In}, cfg, beginning{date: time.Now()}, false)
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, j.close)
	return j
}

// Checkpoints are written from a copy where there is room for it beside the run as it is; where there is not, not a layer
// more is recomputed for it: they are written in the foreground, and plan says so.
func TestSnapshotIsPlannedWhereItFits(t *testing.T) {
	j := planJob(t, smallLesson(t, lesson{"method": "full", "compute.recompute": "auto", "model": smallModel(t, model.NewOptions{NumHiddenLayers: 4})}))
	j.reading = 0 // of a process that tests
	want, err := j.describe()
	if err != nil {
		t.Fatal(err)
	}
	copied := 3 * 4 * want.Trainable
	if want.Memory.Snapshot != copied || want.Checkpoints != "background" {
		t.Fatalf("%d bytes for a copy, want %d; %s", want.Memory.Snapshot, copied, want.Checkpoints)
	}
	if want.Recomputed != 0 {
		t.Fatalf("%d layers are recomputed with all memory free", want.Recomputed)
	}
	need := want.Memory.training
	for _, c := range []struct {
		free       int64
		background bool
	}{{need, true}, {need - 1, false}, {need - copied, false}} {
		whole := j.device.Backend
		j.device.Backend = poor{whole, c.free}
		err := j.limit()
		var p planReport
		if err == nil {
			p, err = j.describe()
		}
		j.device.Backend = whole
		if err != nil {
			t.Fatalf("%d bytes free: %v", c.free, err)
		}
		var text strings.Builder
		if err := p.print(streams{out: &text}); err != nil {
			t.Fatal(err)
		}
		says := "checkpoints are written in the foreground: no room for a copy of " + mib(copied)
		if c.background {
			says = "a copy of " + mib(copied) + ", from which checkpoints are written while training goes on"
		}
		if p.Memory.Snapshot > 0 != c.background || p.Recomputed != 0 || !strings.Contains(text.String(), says) {
			t.Errorf("%d bytes free: %+v\n%s", c.free, p.Memory, text.String())
		}
		b, err := json.Marshal(p)
		if err != nil || !strings.Contains(string(b), fmt.Sprintf(`"checkpoints":%q`, map[bool]string{true: "background", false: "foreground"}[c.background])) {
			t.Errorf("%d bytes free: %s, %v", c.free, b, err)
		}
	}
}

// There is a copy where a checkpoint is due before the end, and none where only the state at the end is written.
func TestSnapshotIsPlannedWhereItIsTaken(t *testing.T) {
	for name, c := range map[string]struct {
		keys lesson
		copy bool
	}{
		"every 3 of 24 steps":                {nil, true},
		"at the last step only":              {lesson{"checkpoint.every": 24}, false},
		"behind the last":                    {lesson{"checkpoint.every": 100}, false},
		"at best evaluations":                {lesson{"checkpoint.every": 100, "eval.load_best_model_at_end": true}, true},
		"at the best of the last step alone": {lesson{"checkpoint.every": 100, "eval.load_best_model_at_end": true, "eval.every": 24}, false},
	} {
		p, err := planJob(t, smallLesson(t, c.keys)).describe()
		if err != nil || p.Memory.Snapshot > 0 != c.copy || p.NoCopy != 0 {
			t.Errorf("%s: %d bytes, %v", name, p.Memory.Snapshot, err)
		}
	}
}
