package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// verifyArgs are the flags of a lesson's verify-resume.
func verifyArgs(l lesson, flags ...string) []string { return l.args("verify-resume", flags...) }

func TestVerifyResume(t *testing.T) {
	t.Setenv(asProgram, "1") // of the processes that it starts
	for name, extra := range map[string]lesson{
		"lora with dropout": {"eval.load_best_model_at_end": true},
		"full":              {"method": "full", "train.learning_rate": 0.002},
		"bfloat16":          {"compute.dtype": "bfloat16", "compute.threads": 1},
	} {
		t.Run(name, func(t *testing.T) {
			total := 60
			if name == "full" { // the steps of the whole run are fewer than those asked for: it ends and publishes
				total = 30
			}
			steps := map[int]string{60: "30", 30: "200"}[total]
			l := smallLesson(t, extra.with(lesson{"train.steps": total, "checkpoint.every": 0}))
			o := wantCode(t, exitOK, []string{"resumed: step 30/"}, verifyArgs(l, "--steps", steps, "--kills", "3", "--json")...)
			var r verifyReport
			if err := json.Unmarshal([]byte(o.stdout), &r); err != nil {
				t.Fatalf("%v\n%s", err, o.stdout)
			}
			if !r.Equal || r.Steps != 30 || len(r.Kills) == 0 || len(r.Differences) > 0 {
				t.Errorf("%+v", r)
			}
			if r.Kills[0].Threads != 1 || len(r.Kills) > 1 && r.Kills[1].Threads < 2 {
				t.Errorf("threads do not take turns: %+v", r.Kills)
			}
			for _, path := range []string{l.runDir(), l.runDir() + ".verify"} {
				if _, err := os.Stat(path); err == nil {
					t.Errorf("%s was left behind", path)
				}
			}
		})
	}
}

// wrapper is the program behind a shell's lines, which may look at its arguments.
func wrapper(t *testing.T, lines string) func() (string, error) {
	t.Helper()
	t.Setenv(asProgram, "1")
	path := writeFile(t, "attune", "#!/bin/sh", lines)
	return func() (string, error) { return path, os.Chmod(path, 0o755) }
}

// A run that is another one behind the kill is found out, named and kept.
func TestVerifyResumeFinds(t *testing.T) {
	other := fmt.Sprintf(`case "$*" in *run.verify/killed*) exec %s "$@" --set train.seed=2;; *) exec %[1]s "$@";; esac`, os.Args[0])
	l := smallLesson(t, nil)
	var out, errs bytes.Buffer
	o := verifyOptions{runFileFlags: l.sets(), steps: 12, kills: 1, asJSON: true, program: wrapper(t, other)}
	err := runVerifyResume(t.Context(), streams{out: &out, err: &errs}, o)
	if err == nil || exitCode(err) != exitFailed {
		t.Fatalf("exit code %d: %v", exitCode(err), err)
	}
	var r verifyReport
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(r.Differences, "\n")
	for _, word := range []string{"metrics.jsonl: line 2, of step 1: ", "weights.safetensors: model.layers.", ": element 0 of ", "optimizer.safetensors: ", "identity.recipe is", "random.seed is 2, 1 was expected"} {
		if !strings.Contains(said, word) {
			t.Errorf("%q is not in\n%s", word, said)
		}
	}
	if r.Equal || r.Dir != l.runDir()+".verify" {
		t.Errorf("%+v", r)
	}
	if _, err := os.Stat(filepath.Join(r.Dir, "killed", checkpointsDir)); err != nil {
		t.Error(err)
	}
	wantCode(t, exitUsage, []string{r.Dir, "is there already"}, verifyArgs(l)...)
}

// What the run itself is refused for is said as the run says it, and leaves nothing behind.
func TestVerifyResumeOfARunThatFails(t *testing.T) {
	t.Setenv(asProgram, "1")
	l := smallLesson(t, nil)
	bad := l.with(lesson{"data.train": writeFile(t, "bad.jsonl", `{"instruction": 3}`)})
	o := wantCode(t, exitData, []string{"bad.jsonl:1"}, verifyArgs(bad)...)
	if n := strings.Count(o.stderr, "bad.jsonl:1"); n != 1 {
		t.Errorf("said %d times:\n%s", n, o.stderr)
	}
	wantCode(t, exitUsage, []string{"--steps 0"}, verifyArgs(l, "--steps", "0")...)
	if _, err := os.Stat(l.runDir() + ".verify"); err == nil {
		t.Error("a directory was left behind")
	}
}

// An interrupt leaves neither a process nor a file behind.
func TestVerifyResumeInterrupted(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	l := smallLesson(t, lesson{"train.steps": 2000})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := verifyOptions{runFileFlags: l.sets(), steps: 2000, kills: 1, program: wrapper(t, fmt.Sprintf("echo $$ >%s\nexec %s \"$@\"", pidFile, os.Args[0]))}
	go func() {
		for ctx.Err() == nil {
			if lastStep(filepath.Join(l.runDir()+".verify", "unbroken", metricsName)) >= 1 {
				cancel()
			}
			time.Sleep(time.Millisecond)
		}
	}()
	var errs bytes.Buffer
	if err := runVerifyResume(ctx, streams{out: &errs, err: &errs}, o); exitCode(err) != exitInterrupted {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	b, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d is still there: %v", pid, err)
	}
	if _, err := os.Stat(l.runDir() + ".verify"); err == nil {
		t.Error("a directory was left behind")
	}
}
