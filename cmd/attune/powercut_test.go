package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"attune/internal/disk/disktest"
)

// faulty runs a command line in a process of its own, whose run directory lies on a disk with this fault.
func faulty(t *testing.T, fault string, args ...string) (printed string, killed bool) {
	t.Helper()
	cmd := program(t.Context(), args...)
	cmd.Env = append(cmd.Env, disktest.Env+"="+fault)
	b, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		killed = exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL
	}
	if err != nil && !killed {
		t.Fatalf("%s: %v\n%s", fault, err, b)
	}
	return string(b), killed
}

// The power goes in the middle of an operation, and takes with it what was not synced, or all of that but the names: the run
// goes on from what is left to the unbroken run's product, and no line of metrics.jsonl is lost or doubled.
func TestPowerCutInARun(t *testing.T) {
	whole := shortLesson(t)
	list := filepath.Join(t.TempDir(), "ops")
	if _, killed := faulty(t, "ops:"+list, whole.args("train")...); killed {
		t.Fatal("killed without a fault")
	}
	b, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	ops := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	const sampled = 12
	if len(ops) < 50 {
		t.Fatalf("only %d operations", len(ops))
	}
	kills := 0
	for k := range sampled {
		i := (2*k + 1) * len(ops) / (2 * sampled)
		fault := fmt.Sprintf("%s:%d", []string{"cut", "late"}[k%2], i)
		l := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
		said, killed := faulty(t, fault, l.args("train")...)
		if killed {
			kills++
		} else { // its operations came in another order, and there were fewer
			t.Logf("%s: the run ended", fault)
		}
		goesOn(t, l, whole.runDir())
		if t.Failed() {
			t.Fatalf("%s, near %s\n%s", fault, ops[i], said)
		}
	}
	if kills < sampled/2 {
		t.Errorf("the power went %d times of %d", kills, sampled)
	}
}

// A run that has said it ended has ended: the power may go the moment after.
func TestPowerCutBehindARun(t *testing.T) {
	whole := shortLesson(t)
	whole.train(t)
	for name, cut := range map[string]func(*disktest.Faults) error{"early": (*disktest.Faults).PowerCut, "late": (*disktest.Faults).PowerCutLate} {
		l := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
		o, f := onDisk(t, func(*disktest.Faults) {}, l.args("train")...)
		if o.code != exitOK {
			t.Fatal(o.stderr)
		}
		if err := cut(f); err != nil {
			t.Fatal(err)
		}
		sameRun(t, whole.runDir(), l.runDir())
		for _, file := range []string{runYAML, runJSON, lossPNG} {
			if _, err := os.Stat(filepath.Join(l.runDir(), file)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}
