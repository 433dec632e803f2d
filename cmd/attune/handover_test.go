//go:build !gpu

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"attune/engine/model"
	"attune/internal/nvidia"
)

// standIn takes the place of attune-cuda: it says what it was given, and how it was started.
const standIn = `#!/bin/sh
echo "pid $$ of $0: $*"
echo "by $ATTUNE_HANDED_OVER_BY, mark $ATTUNE_TEST_MARK"
while read name value; do # and no grep: a shell that starts a program blocks signals meanwhile
  case $name in SigBlk:|SigIgn:) echo "$name $value" ;; esac
done </proc/$$/status
read -r all </proc/$$/environ # a Go program would take the first of two
case $all in *ATTUNE_HANDED_OVER_BY*ATTUNE_HANDED_OVER_BY*) echo "handed over twice" ;; esac
read line; echo "stdin: $line"
exit 7
`

// installed is attune in a directory of its own, beside it attune-cuda if that is the text of one. On Linux the same file:
// what tests are in becomes the program.
func installed(t *testing.T, cuda string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Link(own, filepath.Join(dir, "attune")); err != nil {
		b, err := os.ReadFile(own)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "attune"), b, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if cuda != "" {
		if err := os.WriteFile(filepath.Join(dir, cudaName), []byte(cuda), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// emulated is a command line of a program on the emulated driver, set up by variables of emu/driver.h without ATTUNE_EMU_.
func emulated(t *testing.T, path string, env []string, args ...string) *exec.Cmd {
	t.Helper()
	emu := os.Getenv("ATTUNE_TEST_EMU")
	if emu == "" {
		t.Skip("needs the emulator: make emu, ATTUNE_TEST_EMU=.cache/emu")
	}
	if !filepath.IsAbs(emu) {
		emu = filepath.Join("..", "..", emu)
	}
	emu, err := filepath.Abs(emu)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Env = append(os.Environ(), asProgram+"=1", "LD_LIBRARY_PATH="+emu, "ATTUNE_TEST_MARK=kept", handedOverBy+"=an attune of before")
	for _, e := range env {
		cmd.Env = append(cmd.Env, "ATTUNE_EMU_"+e)
	}
	return cmd
}

// outcomeOf runs a command to its end.
func outcomeOf(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	failed := cmd.Run()
	if cmd.ProcessState == nil {
		t.Fatal(failed)
	}
	return outcome{code: cmd.ProcessState.ExitCode(), stdout: out.String(), stderr: err.String()}
}

// Every command that computes becomes attune-cuda where a GPU is found: the same process, arguments, variables and standard
// input, whatever link attune was started by; a signal that attune was started to ignore stays ignored and no other is.
func TestHandOver(t *testing.T) {
	dir, rows := smallModel(t, model.NewOptions{}), writeFile(t, "rows.jsonl", sums(0, 8)...)
	run := smallLesson(t, lesson{"model": dir, "data.train": rows, "compute.device": "auto"})
	runDir := filepath.Join(t.TempDir(), "run")
	bin := installed(t, standIn)
	link := filepath.Join(t.TempDir(), "tune")
	if err := os.Symlink(filepath.Join(bin, "attune"), link); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		append(run.args("train"), "--set", "run_dir="+runDir),
		append(run.args("plan"), "--set", "compute.device=cuda"),
		append(run.args("verify-resume"), "--set", "run_dir="+runDir),
		{"eval", "--model", dir, "--data", rows},
		{"generate", "--model", dir, "--prompts", "-", "--device", "cuda"},
		{"chat", "--model", dir},
		{"bench", "--shape", "tiny"},
		{"doctor"},
	} {
		cmd := emulated(t, "/bin/sh", nil, append([]string{"-c", `trap "" HUP; exec "$0" "$@"`, link}, args...)...)
		cmd.Stdin = strings.NewReader("what was piped\n")
		got := outcomeOf(t, cmd)
		want := fmt.Sprintf("pid %d of %s: %s\nby %s, mark kept\nSigBlk: 0000000000000000\nSigIgn: ", cmd.Process.Pid, filepath.Join(bin, cudaName),
			strings.Join(args, " "), readBuildInfo())
		rest, is := strings.CutPrefix(got.stdout, want)
		if got.code != 7 || !is || !strings.HasSuffix(rest, "\nstdin: what was piped\n") || got.stderr != "" {
			t.Errorf("%s: got %+v, want stdout to begin with %q", args[0], got, want)
			continue
		}
		if strings.Contains(rest, "handed over twice") {
			t.Errorf("%s: what another attune had handed over is there, too: %q", args[0], rest)
		}
		var ignored uint64
		if _, err := fmt.Sscanf(rest, "%x", &ignored); err != nil || ignored&(1<<0) == 0 || ignored&(1<<1|1<<14) != 0 {
			t.Errorf("%s: signals ignored are %#x; of HUP, INT and TERM only HUP is to be", args[0], ignored)
		}
	}
	if _, err := os.Stat(runDir); !os.IsNotExist(err) {
		t.Errorf("the run directory was made before the hand-over: %v", err)
	}
	for _, args := range [][]string{append(run.args("plan"), "--set", "compute.device=cpu", "--time=false"), {"doctor", "--device", "cpu"}, {"version"}} {
		if got := outcomeOf(t, emulated(t, filepath.Join(bin, "attune"), nil, args...)); got.code != exitOK || strings.Contains(got.stdout, "pid ") {
			t.Errorf("%v: got %+v", args, got)
		}
	}
}

// What keeps a GPU from being used is said in one sentence with its cure: as an error with exit 4 where cuda was asked for;
// where the device is auto the processor is taken, with a word if there is a GPU, or may be one.
func TestNoUsableGPU(t *testing.T) {
	whole := installed(t, standIn)
	const unused, mayBe = "attune: a GPU is here and is not used: ", "attune: no GPU is used: "
	for _, c := range []struct {
		name string
		dir  string
		env  []string
		says string
		gpu  bool
		auto string // what is said before says where the device is auto; empty = nothing is said
	}{
		{"old GPU", whole, []string{"CC=75"}, "Emulated GPU sm_75 is of compute capability 7.5; kernels are made for 8.0 and later", true, unused},
		{"old driver", whole, []string{"DRIVER=11040"}, "takes CUDA up to 11.4, and 12.0 is needed; update the driver", true, unused},
		{"old driver for a new GPU", whole, []string{"CC=120", "DRIVER=12080"}, "Emulated GPU sm_120: the driver takes CUDA up to 12.8, and 12.9 is needed; update the driver", true, unused},
		{"no GPU", whole, []string{"GPUS=0"}, "no NVIDIA GPU to be seen", false, ""},
		{"driver that fails", whole, []string{"FAIL=cuInit:1:802"}, "NVIDIA's driver fails to start: ", false, mayBe},
		{"old driver that fails", whole, []string{"FAIL=cuInit:1:804", "DRIVER=11080"}, "(error 804); the driver takes CUDA up to 11.8, and 12.0 is needed; update the driver", false, mayBe},
		{"GPU that does not answer", whole, []string{"FAIL=cuDeviceGetName:1:999"}, "NVIDIA's driver fails to tell of GPU 0: ", false, mayBe},
		{"no attune-cuda", installed(t, ""), nil, "attune-cuda, which computes on GPUs, is not beside attune in ", true, unused},
	} {
		path := filepath.Join(c.dir, "attune")
		got := outcomeOf(t, emulated(t, path, c.env, "doctor", "--device", "cuda"))
		if got.code != exitDevice || !strings.HasPrefix(got.stderr, "attune: device cuda: no such device: ") || !strings.Contains(got.stderr, c.says) ||
			!strings.HasSuffix(got.stderr, " take device cpu\n") || strings.Count(got.stderr, "\n") != 1 || got.stdout != "" {
			t.Errorf("%s: got %+v, want exit %d and %q", c.name, got, exitDevice, c.says)
		}
		if probed := outcomeOf(t, emulated(t, path, c.env, "doctor", "--device", "cuda", "--probe")); probed != got {
			t.Errorf("%s: probed, got %+v, want %+v", c.name, probed, got)
		}
		got = outcomeOf(t, emulated(t, path, c.env, "doctor", "--json"))
		var d diagnosis
		if err := json.Unmarshal([]byte(got.stdout), &d); got.code != exitOK || err != nil || !strings.HasPrefix(d.Device, "cpu ") || d.CUDA.Usable ||
			!strings.Contains(d.CUDA.Why, c.says) || !strings.HasPrefix(d.CUDA.Why, d.Why) || d.Driver == nil || (len(d.GPUs) > 0) != c.gpu {
			t.Errorf("%s, auto: got %+v, %v", c.name, got, err)
		}
		if !strings.HasPrefix(got.stderr, c.auto) || (got.stderr != "") != (c.auto != "") {
			t.Errorf("%s, auto: on standard error %q", c.name, got.stderr)
		}
	}
}

// A GPU that can be used is told of without being opened.
func TestDoctorProbe(t *testing.T) {
	dir := installed(t, standIn)
	path := filepath.Join(dir, "attune")
	got := outcomeOf(t, emulated(t, path, []string{"CC=89", "GPUS=2", "FAIL=cuCtxCreate_v2,cuDevicePrimaryCtxRetain"}, "doctor", "--probe", "--json"))
	var d diagnosis
	if err := json.Unmarshal([]byte(got.stdout), &d); got.code != exitOK || err != nil {
		t.Fatalf("got %+v, %v", got, err)
	}
	gpu := gpuDiagnosis{"Emulated GPU sm_89", "8.9", 2 << 30}
	if d.Device != "cuda Emulated GPU sm_89" || d.Dtype != "bfloat16" || d.CUDA != (cudaDiagnosis{Usable: true, Program: filepath.Join(dir, cudaName)}) ||
		len(d.GPUs) != 2 || d.GPUs[0] != gpu || d.GPUs[1] != gpu || d.Driver.CUDA != "12.9" || len(d.CublasLt) == 0 || d.CublasLt[0].Version != "12.9.0" {
		t.Errorf("got %+v", d)
	}
	text := outcomeOf(t, emulated(t, path, []string{"CC=89"}, "doctor", "--probe")).stdout
	for _, line := range []string{"\ndevice       cuda Emulated GPU sm_89 (not opened)\n", "\ngpu 0        Emulated GPU sm_89, compute capability 8.9, 2.0 GiB\n",
		", CUDA up to 12.9\n", "\ncublaslt     12.9.0, ", "\ncuda         usable, by " + filepath.Join(dir, cudaName) + "\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
}

// A file called attune-cuda that cannot be started is an error, not a reason to compute on the processor for days.
func TestAttuneCudaThatDoesNotStart(t *testing.T) {
	got := outcomeOf(t, emulated(t, filepath.Join(installed(t, "\x7fELF, cut short"), "attune"), nil, "doctor"))
	if got.code != exitDevice || !strings.Contains(got.stderr, "attune-cuda: exec format error") {
		t.Errorf("got %+v", got)
	}
}

// Where there is no driver at all.
func TestNoDriver(t *testing.T) {
	if _, err := nvidia.Probe(); err == nil {
		t.Skip("this machine has a GPU")
	}
	path := filepath.Join(installed(t, standIn), "attune")
	doctor := func(args ...string) outcome {
		cmd := exec.CommandContext(t.Context(), path, append([]string{"doctor"}, args...)...)
		cmd.Env = append(os.Environ(), asProgram+"=1")
		return outcomeOf(t, cmd)
	}
	got := doctor("--device", "cuda")
	if got.code != exitDevice || !strings.HasPrefix(got.stderr, "attune: device cuda: no such device: no NVIDIA driver") ||
		!strings.Contains(got.stderr, "install NVIDIA's driver") || strings.Count(got.stderr, "\n") != 1 {
		t.Errorf("cuda: got %+v", got)
	}
	if got := doctor(); got.code != exitOK || got.stderr != "" || !strings.Contains(got.stdout, "\ndevice       cpu ") || !strings.Contains(got.stdout, "(no NVIDIA driver") {
		t.Errorf("auto: got %+v", got)
	}
}
