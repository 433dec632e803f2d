package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"attune/engine/exec"
	"attune/engine/exec/exectest"
	"attune/engine/model"
	"attune/engine/session/sessiontest"
	"attune/internal/config"
	"attune/internal/disk"
)

// farJob is a lesson put together for a device with memory of its own, so many bytes of it.
func farJob(t *testing.T, l lesson, memory int64, before int) (*job, *exectest.Discrete, error) {
	t.Helper()
	cfg, err := config.Load("", l.sets().sets)
	if err != nil {
		t.Fatal(err)
	}
	device, b, err := sessiontest.OpenDiscrete(1)
	if err != nil {
		t.Fatal(err)
	}
	b.Limit = memory
	j := &job{cfg: cfg, date: time.Now(), before: before, device: device}
	atEnd(t, j.close)
	return j, b, j.assemble(t.Context(), streams{out: io.Discard, err: io.Discard, fs: disk.In})
}

// filling is a lesson whose steps have some twelve thousand tokens.
func filling(t *testing.T, extra lesson) lesson {
	t.Helper()
	l := smallLesson(t, lesson{"data.train": writeFile(t, "filling.jsonl", long(60)...), "train.examples_per_step": 60, "train.steps": 2,
		"model": smallModel(t, model.NewOptions{NumHiddenLayers: 3, MaxPositionEmbeddings: 8192}), "compute.micro_batch_tokens": "auto", "data.max_length": 1024})
	return l.with(extra)
}

// micro_batch_tokens: auto is the largest with which nothing is recomputed, to the byte; below the least, layers are
// recomputed, and where not even that fits, the device's memory is what is said to be too small.
func TestRowsFillTheDevice(t *testing.T) {
	l := filling(t, nil)
	whole, _, err := farJob(t, l, math.MaxInt64, 0)
	if err != nil {
		t.Fatal(err)
	}
	if step := whole.data.Survey(math.MaxInt).Longest; step <= 8192 || step > 16384 {
		t.Fatalf("a step has %d tokens", step)
	}
	takes := map[int]int64{}
	for _, n := range rowSizes() {
		whole.pack(n)
		plan, err := whole.compile(math.MaxInt64)
		if err != nil {
			t.Fatal(err)
		}
		takes[n] = whole.memory(plan, 0).training
	}
	for _, c := range []struct {
		memory     int64
		before     int
		keys       lesson
		want       int
		recomputes bool
	}{
		{memory: math.MaxInt64, want: 16384},
		{memory: takes[16384], want: 16384},
		{memory: takes[16384] - 1, want: 8192},
		{memory: takes[8192], want: 8192},
		{memory: takes[8192] - 1, want: 4096},
		{memory: takes[4096] - 1, want: 2048},
		{memory: takes[2048] - 1, want: 2048, recomputes: true},
		{memory: takes[8192], keys: lesson{"compute.recompute": "none"}, want: 8192},
		{memory: takes[4096], keys: lesson{"compute.recompute": "full"}, want: 4096, recomputes: true},
		{memory: takes[16384], keys: lesson{"compute.micro_batch_tokens": 512}, want: 512},
		{memory: takes[16384], keys: lesson{"data.max_length": 5000}, want: 16384},
		{memory: takes[4096], keys: lesson{"data.max_length": 5000}, want: 5000, recomputes: true},
		{memory: math.MaxInt64, keys: lesson{"train.examples_per_step": 5}, want: 2048}, // half of a longer row would stay empty
		{memory: math.MaxInt64, keys: lesson{"train.examples_per_step": 25}, want: 8192},
		{memory: math.MaxInt64, before: 4096, want: 4096},
		{memory: takes[4096] - 1, before: 4096, want: 4096, recomputes: true},
		{memory: takes[2048], before: 16384, want: 2048}, // it does not fit any more
		{memory: takes[4096], before: 16384, keys: lesson{"compute.recompute": "none"}, want: 4096},
		{memory: takes[4096], before: 16384, keys: lesson{"compute.recompute": "full"}, want: 4096, recomputes: true},
	} {
		t.Run(fmt.Sprintf("%d bytes %v before %d", c.memory, c.keys, c.before), func(t *testing.T) {
			j, _, err := farJob(t, l.with(c.keys), c.memory, c.before)
			if err != nil {
				t.Fatal(err)
			}
			p, err := j.describe()
			if err != nil {
				t.Fatal(err)
			}
			if j.micro != c.want || j.made().MicroBatchTokens != c.want || p.Recomputed > 0 != c.recomputes {
				t.Errorf("rows of %d tokens, %d layers recomputed; want %d", j.micro, p.Recomputed, c.want)
			}
			if p.Memory.Total > c.memory {
				t.Errorf("%d bytes are planned of %d", p.Memory.Total, c.memory)
			}
			if kept := j.provenance(p, nil).RowTokens; (kept == c.want) != (j.cfg.Compute.MicroBatchTokens == 0) {
				t.Errorf("run.json keeps %d", kept)
			}
		})
	}
	for memory, says := range map[int64]string{takes[2048] / 6: "on the device: compile: not enough memory", 1000: "of the device's memory are free"} {
		j, _, err := farJob(t, l, memory, 0)
		if err == nil {
			_, err = j.describe()
		}
		if !errors.Is(err, exec.ErrMemory) || exitCode(err) != exitDevice || !strings.Contains(err.Error(), says) {
			t.Errorf("%d bytes: %v", memory, err)
		}
	}
	for memory := takes[2048] / 2; memory > 1000; memory -= takes[2048] / 40 { // whatever there is too little for is said of what there is
		j, _, err := farJob(t, l, memory, 0)
		if err == nil {
			_, err = j.describe()
		}
		if err != nil && (!errors.Is(err, exec.ErrMemory) || negative.MatchString(err.Error())) {
			t.Errorf("%d bytes: %v", memory, err)
		}
	}
}

var negative = regexp.MustCompile(` -\d`)

// What plan says of the device is what the run allocates there, to the byte, recordings apart; the copy of the state is the
// host's, and each has its line.
func TestDevicePoolIsAllocated(t *testing.T) {
	j, b, err := farJob(t, filling(t, lesson{"compute.micro_batch_tokens": 1024}), 1<<34, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := j.describe()
	if err != nil {
		t.Fatal(err)
	}
	m := p.Memory
	if copied := 3 * 4 * p.Trainable; m.Snapshot != copied || m.Host == nil || m.Host.Total < m.Program+copied || m.Graphs == 0 || m.Free != 1<<34 {
		t.Errorf("planned %+v, host %+v", m, m.Host)
	}
	if host := j.memory(j.compiled, 0).Host.Total; host < m.Program+m.Trained {
		t.Errorf("%d bytes of the host without a copy of the state; what is published has %d", host, m.Trained)
	}
	if sum := m.Weights + m.Trained + m.Gradients + m.Optimizer + m.Kernels + m.Activations + m.Inputs + m.Graphs + m.Pages; sum != m.Total || m.Pages <= 0 {
		t.Errorf("the parts of %+v are %d", m, sum)
	}
	var text strings.Builder
	if err := p.print(streams{out: &text}); err != nil {
		t.Fatal(err)
	}
	for _, says := range []string{mib(m.Total) + " expected at the peak on the device, " + mib(m.Free) + " are free", "graphs " + mib(m.Graphs) + " at most", "whole pages " + mib(m.Pages), "and " + mib(m.Host.Total) + " of the host",
		"a copy of " + mib(m.Snapshot) + ", from which checkpoints are written\n"} {
		if !strings.Contains(text.String(), says) {
			t.Errorf("plan does not say %q:\n%s", says, text.String())
		}
	}
	before := b.Allocated
	placeRun(t, j)
	if want := m.Total - m.Graphs - m.Kernels; b.Allocated-before != want {
		t.Errorf("%d bytes are allocated, planned are %d", b.Allocated-before, want)
	}
}

// What plan times on a device that records is a run of a recording: neither the first, nor the one that is recorded.
func TestEstimateTimesRecordings(t *testing.T) {
	j, b, err := farJob(t, filling(t, lesson{"compute.micro_batch_tokens": 1024}), 1<<34, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.describe(); err != nil {
		t.Fatal(err)
	}
	if report, err := j.estimate(t.Context()); err != nil || b.Recorded == 0 || b.Replayed != 2*b.Recorded {
		t.Errorf("%d recordings, %d runs of them, %+v, %v", b.Recorded, b.Replayed, report, err)
	}
}

// placeRun allocates all that a run takes of its device.
func placeRun(t *testing.T, j *job) {
	t.Helper()
	if err := errors.Join(j.session.Place(), j.session.Reserve(j.compiled), j.startAdapter()); err != nil {
		t.Fatal(err)
	}
	opt, err := j.optimizer()
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, opt.Close)
}
