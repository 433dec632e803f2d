package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"attune/engine/model"
	"attune/internal/disk"
	"attune/internal/disk/disktest"
)

// asProgram in the environment makes the test binary the program itself, so that tests can kill it.
const asProgram = "ATTUNE_TEST_AS_PROGRAM"

// peakFile in its environment is where the program writes the most memory it had, as Linux counts it.
const peakFile = "ATTUNE_TEST_PEAK_FILE"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) == "" {
		for _, s := range []os.Signal{syscall.SIGHUP, os.Interrupt} {
			if signal.Ignored(s) { // as under nohup: the programs that tests start would ignore it, too
				signal.Notify(make(chan os.Signal, 1), s)
			}
		}
		os.Exit(m.Run())
	}
	fs, err := disktest.FromEnv(disk.In)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	path := os.Getenv(peakFile)
	switch {
	case os.Getenv(holdRename) != "":
		os.Exit(process(func(r *os.Root) disk.FS { return held{disk.In(r)} }))
	case path == "":
		os.Exit(process(fs))
	}
	code := run(context.Background(), os.Args[1:], streams{in: os.Stdin, out: os.Stdout, err: os.Stderr, fs: disk.In})
	status, err := os.ReadFile("/proc/self/status")
	if err == nil {
		err = os.WriteFile(path, status, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = exitFailed
	}
	os.Exit(code)
}

// program is the command line in a process of its own.
func program(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	return cmd
}

// outcome is what a command line printed and how it ended.
type outcome struct {
	stdout, stderr string
	code           int
}

// invoke runs a command line in this process.
func invoke(ctx context.Context, stdin string, args ...string) outcome {
	var out, errs printed
	code := run(ctx, args, streams{in: strings.NewReader(stdin), out: &out, err: &errs, fs: disk.In})
	return outcome{out.String(), errs.String(), code}
}

// printed is what was written, by several goroutines as into a file.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *printed) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *printed) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// wantCode fails the test unless the command line ends with code and stderr names every one of words.
func wantCode(t *testing.T, code int, words []string, args ...string) outcome {
	t.Helper()
	o := invoke(t.Context(), "", args...)
	if o.code != code {
		t.Fatalf("attune %s: exit code %d, want %d\n%s", strings.Join(args, " "), o.code, code, o.stderr)
	}
	for _, w := range words {
		if !strings.Contains(o.stderr, w) {
			t.Errorf("attune %s: %q is not in\n%s", strings.Join(args, " "), w, o.stderr)
		}
	}
	return o
}

// atEnd closes something when the test is over.
func atEnd(t *testing.T, closes func() error) {
	t.Cleanup(func() {
		if err := closes(); err != nil {
			t.Error(err)
		}
	})
}

// smallModel makes a random model whose runs take a second or less.
func smallModel(t *testing.T, o model.NewOptions) string {
	t.Helper()
	if o.HiddenSize == 0 {
		o.HiddenSize = 32
	}
	if o.Seed == 0 {
		o.Seed = 3
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := model.New(disk.OS(), dir, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeFile writes lines and gives the path.
func writeFile(t *testing.T, name string, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// sums are rows of a task a byte-level model can start to learn.
func sums(from, n int) []string {
	var rows []string
	for i := from; i < from+n; i++ {
		a, b := i*7%50, i*13%40
		rows = append(rows, fmt.Sprintf(`{"instruction": "What is %d + %d?", "output": "It is %d.%s"}`, a, b, a+b, strings.Repeat(" Yes.", i%4)))
	}
	return rows
}

// lesson is a run file's keys by their dotted names.
type lesson map[string]any

// smallLesson is a run of 24 steps over 40 rows, so of several epochs.
func smallLesson(t *testing.T, extra lesson) lesson {
	l := lesson{
		"model": smallModel(t, model.NewOptions{}), "data.train": writeFile(t, "train.jsonl", sums(0, 40)...),
		"data.eval":   writeFile(t, "eval.jsonl", sums(40, 8)...),
		"train.steps": 24, "train.examples_per_step": 4, "train.learning_rate": 0.01, "compute.micro_batch_tokens": 128, "compute.dtype": "float32",
		"lora.r": 4, "lora.dropout": 0.1, "eval.every": 5, "checkpoint.every": 3, "run_dir": filepath.Join(t.TempDir(), "run"),
	}
	return l.with(extra)
}

// with is the lesson with other keys over its own.
func (l lesson) with(extra lesson) lesson {
	c := lesson{}
	for _, m := range []lesson{l, extra} {
		for k, v := range m {
			c[k] = v
		}
	}
	if c["method"] == "full" { // which takes no key of lora's
		maps.DeleteFunc(c, func(k string, _ any) bool { return strings.HasPrefix(k, "lora.") })
	}
	return c
}

func (l lesson) runDir() string { return l["run_dir"].(string) }

// sets are the lesson's keys as flags.
func (l lesson) sets() (f runFileFlags) {
	for k, v := range l {
		f.sets = append(f.sets, fmt.Sprintf("%s=%v", k, v))
	}
	return f
}

// args is the command line that runs the lesson.
func (l lesson) args(command string, flags ...string) []string {
	args := append([]string{command}, flags...)
	for _, set := range l.sets().sets {
		args = append(args, "--set", set)
	}
	return args
}

// train runs the lesson to its end.
func (l lesson) train(t *testing.T, flags ...string) outcome {
	t.Helper()
	return wantCode(t, exitOK, nil, l.args("train", flags...)...)
}

// product is the trained file of a run.
func product(t *testing.T, runDir string) []byte {
	t.Helper()
	for _, name := range []string{filepath.Join(adapterDir, "adapter_model.safetensors"), filepath.Join(modelDir, "model.safetensors")} {
		if b, err := os.ReadFile(filepath.Join(runDir, name)); err == nil {
			return b
		}
	}
	t.Fatalf("%s holds neither an adapter nor a model", runDir)
	return nil
}

// records are the lines of metrics.jsonl without the times of the machine.
func records(t *testing.T, runDir string) []string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(runDir, metricsName))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(b)) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		delete(m, "seconds")
		delete(m, "tokens_per_second")
		clean, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(clean))
	}
	return lines
}

// sameRun compares everything two runs left that does not depend on the machine's speed.
func sameRun(t *testing.T, want, got string) {
	t.Helper()
	if !bytes.Equal(product(t, want), product(t, got)) {
		t.Error("the final weights differ")
	}
	w, g := records(t, want), records(t, got)
	if strings.Join(w, "\n") != strings.Join(g, "\n") {
		t.Errorf("metrics.jsonl: got\n%s\nwant\n%s", strings.Join(g, "\n"), strings.Join(w, "\n"))
	}
}

// writeJSONFile writes a value as JSON.
func writeJSONFile(path string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
