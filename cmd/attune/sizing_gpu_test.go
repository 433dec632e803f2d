//go:build gpu

package main

import (
	"errors"
	"io"
	"testing"
	"time"

	"attune/engine/session"
	"attune/internal/config"
	"attune/internal/disk"
)

// What plan says a run takes of a GPU is what the driver has less, to the byte, recordings apart.
func TestPlanIsWhatTheGPUHasLess(t *testing.T) {
	cfg, err := config.Load("", filling(t, lesson{"compute.micro_batch_tokens": 1024, "compute.device": "cuda"}).sets().sets)
	if err != nil {
		t.Fatal(err)
	}
	j, err := newJob(t.Context(), streams{out: io.Discard, err: io.Discard, fs: disk.In}, cfg, beginning{date: time.Now()}, false)
	if errors.Is(err, session.ErrNoDevice) {
		t.Skip("needs a GPU, or its emulator: make emu, LD_LIBRARY_PATH=.cache/emu:", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, j.close)
	p, err := j.describe()
	if err != nil {
		t.Fatal(err)
	}
	before, err := j.device.MemoryFree()
	if err != nil {
		t.Fatal(err)
	}
	placeRun(t, j)
	after, err := j.device.MemoryFree()
	if err != nil {
		t.Fatal(err)
	}
	if want := p.Memory.Total - p.Memory.Graphs - p.Memory.Kernels; before-after != want {
		t.Errorf("the driver has %d bytes less, planned are %d", before-after, want)
	}
}
