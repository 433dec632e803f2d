package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"attune/engine/exec"
	"attune/engine/model"
	"attune/kernels"
)

// planned is the peak memory that plan expects, in bytes, with what it is made of. The process itself is a part of it,
// so it is one of its own.
func planned(t *testing.T, l lesson) memoryReport {
	t.Helper()
	var p planReport
	out, err := program(t.Context(), l.args("plan", "--json", "--time=false")...).Output()
	if err == nil {
		err = json.Unmarshal(out, &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p.Memory
}

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// measured is the peak memory of a process that plans or trains, in bytes.
func measured(t *testing.T, l lesson, command string, flags ...string) int64 {
	t.Helper()
	return peak(t, l.args(command, flags...)...)
}

// peak is the most memory that a process with this command line had, in bytes.
func peak(t *testing.T, args ...string) int64 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "status")
	cmd := program(t.Context(), args...)
	cmd.Env = append(cmd.Env, peakFile+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	status, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := highWater.FindSubmatch(status)
	if m == nil {
		t.Skip("this system does not count a process's peak memory")
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// long are rows of some hundred tokens, of which several fill a packed row.
func long(n int) []string {
	var rows []string
	for i := range n {
		rows = append(rows, fmt.Sprintf(`{"instruction": "Count %d.", "output": "%s"}`, i, strings.Repeat("one and two ", 12+i%9)))
	}
	return rows
}

// mixed are rows of some twenty to five hundred tokens, which fill packed rows of many lengths.
func mixed(n int) []string {
	var rows []string
	for i := range n {
		rows = append(rows, fmt.Sprintf(`{"instruction": "Count %d.", "output": "%s"}`, i, strings.Repeat("one and two ", 1+i*i*7%40)))
	}
	return rows
}

// What plan says a run takes is what it takes, within a tenth, whatever is trained and in which precision: from weights
// that are mapped and weights that are converted, with rows of many lengths, each of which has its programs, and with
// checkpoints and evaluations on the way.
func TestPlanIsThePeak(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs Linux's count of a process's peak memory")
	}
	base := lesson{
		"model":           smallModel(t, model.NewOptions{HiddenSize: 256, NumHiddenLayers: 12}),
		"data.max_length": 2048, "data.train": writeFile(t, "train.jsonl", mixed(60)...), "data.eval": writeFile(t, "eval.jsonl", mixed(3)...),
		"train.steps": 5, "train.examples_per_step": 3, "eval.every": 2, "lora.r": 16, "checkpoint.every": 2,
	}
	deep := smallModel(t, model.NewOptions{HiddenSize: 64, NumHiddenLayers: 30})
	for name, c := range map[string]lesson{
		"lora float32, short rows":   {"compute.dtype": "float32", "compute.micro_batch_tokens": 512},
		"lora float32, long rows":    {"compute.dtype": "float32", "compute.micro_batch_tokens": 1024},
		"lora bfloat16, long rows":   {"compute.dtype": "bfloat16", "compute.micro_batch_tokens": 1024},
		"full float32, short rows":   {"method": "full", "compute.dtype": "float32", "compute.micro_batch_tokens": 512},
		"full bfloat16, long rows":   {"method": "full", "compute.dtype": "bfloat16", "compute.micro_batch_tokens": 1024},
		"lora float32, many rows":    {"compute.dtype": "float32", "compute.micro_batch_tokens": 512, "train.steps": 1, "data.train": writeFile(t, "many.jsonl", many(12<<20, 30)...)},
		"many programs of 30 layers": {"model": deep, "compute.dtype": "float32", "compute.micro_batch_tokens": 2048, "train.steps": 30, "eval.every": 10},
	} {
		t.Run(name, func(t *testing.T) {
			l := base.with(c).with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
			want, got := planned(t, l), measured(t, l, "train")
			off := float64(want.Total-got) / float64(got)
			t.Logf("planned %s, measured %s: %+.1f %%", mib(want.Total), mib(got), 100*off)
			if math.Abs(off) > 0.1 {
				t.Errorf("planned %s, measured %s: %+v", mib(want.Total), mib(got), want)
			}
		})
	}
}

// poor is a device with little memory left.
type poor struct {
	exec.Backend
	free int64
}

func (p poor) MemoryFree() (int64, error) { return p.free, nil }

// A model is placed only where it and what is done with it fit the memory that is free; what is refused is not touched.
func TestPlacedOnlyIfItFits(t *testing.T) {
	dir := smallModel(t, model.NewOptions{Dtype: kernels.BFloat16})
	l, err := (&modelFlags{textFlags: textFlags{model: dir, template: "auto"}, device: "cpu", dtype: "float32"}).open(t.Context(), streams{err: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	atEnd(t, l.close)
	n, err := l.decoding(1000, 300, "ask for less")
	if err != nil {
		t.Fatal(err)
	}
	base := l.session.Buffers()
	weights := l.device.Takes(base) + l.device.Resident
	all := weights + l.device.Takes(n.Buffers())
	whole := l.device.Backend
	for _, c := range []struct {
		free int64
		says string // "" = it fits
	}{{weights - 1, "take a smaller model"}, {all - 1, "ask for less"}, {all, ""}} {
		l.device.Backend = poor{whole, c.free}
		err := l.place(n)
		l.device.Backend = whole
		if c.says == "" && err != nil || c.says != "" && (exitCode(err) != exitDevice || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%d bytes free: %v", c.free, err)
		}
		if placed := l.session.Value(l.session.Params()[0].Name).Buf != nil; placed != (err == nil) {
			t.Errorf("%d bytes free: placed is %v, though the error is %v", c.free, placed, err)
		}
	}
}

// An answer whose cache cannot fit is refused with what to do.
func TestCachesThatDoNotFit(t *testing.T) {
	dir, rows := smallModel(t, model.NewOptions{MaxPositionEmbeddings: 1 << 40}), writeFile(t, "rows.jsonl", sums(0, 4)...)
	most := []string{"--max-new-tokens", fmt.Sprint(math.MaxInt)}
	for _, args := range [][]string{{"generate", "--model", dir, "--prompt", "x"}, {"eval", "--model", dir, "--data", rows, "--answers"}} {
		wantCode(t, exitDevice, []string{"not enough memory", "key/value cache", "--max-new-tokens"}, append(args, most...)...)
	}
}
