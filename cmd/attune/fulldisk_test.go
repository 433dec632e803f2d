package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"attune/internal/disk"
	"attune/internal/disk/disktest"
	"attune/internal/rng"
)

// onDisk runs a command line in this process whose run directory lies on a disk that prepare gives faults.
func onDisk(t *testing.T, prepare func(*disktest.Faults), args ...string) (outcome, *disktest.Faults) {
	t.Helper()
	var faults *disktest.Faults
	var once sync.Once
	open := func(root *os.Root) disk.FS {
		fs := disk.In(root)
		once.Do(func() {
			faults = disktest.New(fs)
			prepare(faults)
			fs = faults
		})
		return fs
	}
	var out, errs bytes.Buffer
	code := run(t.Context(), args, streams{in: strings.NewReader(""), out: &out, err: &errs, fs: open})
	return outcome{out.String(), errs.String(), code}, faults
}

// shortLesson is a run of eight steps with four checkpoints and three evaluations.
func shortLesson(t *testing.T) lesson {
	return smallLesson(t, lesson{"train.steps": 8, "train.examples_per_step": 2, "eval.every": 4, "checkpoint.every": 2, "checkpoint.keep": 1, "compute.threads": 1})
}

// goesOn resumes a run whose disk has failed on one that does not, and compares it with the unbroken one.
func goesOn(t *testing.T, l lesson, whole string) {
	t.Helper()
	l.train(t, "--resume")
	sameRun(t, whole, l.runDir())
}

// refusal is the last line that a failed command printed, without its beginning.
func refusal(t *testing.T, o outcome) string {
	t.Helper()
	if o.code != exitFailed {
		t.Errorf("exit code %d\n%s", o.code, o.stderr)
	}
	at := strings.LastIndex(o.stderr, "attune: ")
	if at < 0 {
		t.Fatalf("nothing is said:\n%s", o.stderr)
	}
	return o.stderr[at+len("attune: "):]
}

// However little room the disk of a run has: it ends with the unbroken run's product, or says in a sentence that there is no
// space; and once there is, it goes on from its last whole checkpoint to the same product, without a step of metrics.jsonl lost.
func TestFullDiskInARun(t *testing.T) {
	whole := shortLesson(t)
	_, faults := onDisk(t, func(*disktest.Faults) {}, whole.args("train")...)
	var written int64
	for _, op := range faults.Ops() {
		written += int64(op.Bytes)
	}
	ended := map[int]int{}
	const sizes = 12
	for i := range int64(sizes) {
		l := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
		room := i * written / sizes // old checkpoints give back what they took
		o, _ := onDisk(t, func(f *disktest.Faults) { f.Full(room) }, l.args("train")...)
		ended[o.code]++
		t.Logf("%d of %d bytes free: exit code %d\n%s", room, written, o.code, o.stderr)
		if o.code == exitOK {
			sameRun(t, whole.runDir(), l.runDir())
		} else if says := refusal(t, o); !strings.Contains(says, syscall.ENOSPC.Error()) {
			t.Errorf("%d bytes free: it says %q", room, says)
		}
		if t.Failed() {
			t.FailNow()
		}
		goesOn(t, l, whole.runDir())
	}
	if ended[exitOK] == 0 || ended[exitFailed] == 0 {
		t.Errorf("runs ended with %v: the sizes show nothing", ended)
	}
}

// Whatever operation on its disk fails, is done by half or is the last one before the process dies: the run ends with the
// unbroken run's product or is refused, and goes on from what is whole to the same product.
func TestEveryKindOfFailureInARun(t *testing.T) {
	whole := shortLesson(t)
	_, faults := onDisk(t, func(*disktest.Faults) {}, whole.args("train")...)
	ops := faults.Ops()
	modes := []struct {
		name string
		mode disktest.Mode
	}{{"fails", disktest.Fail(syscall.EIO)}, {"tears", disktest.Short(syscall.EIO)}, {"dies", disktest.Die()}}
	const sampled = 33
	first := rng.New(11).Intn(max(1, len(ops)/sampled))
	for k := range sampled {
		i, m := first+k*len(ops)/sampled, modes[k%len(modes)]
		if i >= len(ops) {
			break
		}
		l := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
		o, f := onDisk(t, func(f *disktest.Faults) { f.At(i, m.mode) }, l.args("train")...)
		if o.code == exitOK {
			sameRun(t, whole.runDir(), l.runDir())
		} else if says := refusal(t, o); !f.Dead() && !strings.Contains(says, syscall.EIO.Error()) {
			t.Errorf("it says %q", says)
		}
		goesOn(t, l, whole.runDir())
		if t.Failed() {
			t.Fatalf("operation %d of %d (%s) %s:\n%s", i, len(ops), ops[i], m.name, o.stderr)
		}
	}
}

// Lines that the disk refuses for a while are in metrics.jsonl in the end, whole and in order; the run says when they begin
// to wait and when they no longer do, and has no checkpoint that counts on them meanwhile.
func TestMetricsWait(t *testing.T) {
	whole, l := shortLesson(t), shortLesson(t)
	whole.train(t)
	refused := 0
	o, _ := onDisk(t, func(f *disktest.Faults) {
		f.When(func(op disktest.Op) bool {
			if op.Kind == "write" && op.Name == metricsName {
				refused++
				return refused > 2 && refused < 7
			}
			return false
		}, disktest.Short(syscall.ENOSPC))
	}, l.args("train")...)
	if o.code != exitOK {
		t.Fatalf("exit code %d\n%s", o.code, o.stderr)
	}
	at := 0
	for _, says := range []string{"metrics.jsonl cannot be written; its lines wait in memory", "metrics.jsonl is whole again"} {
		if i := strings.Index(o.stderr[at:], says); i < 0 || strings.Count(o.stderr, says) != 1 {
			t.Errorf("%q is not said once, in order, in\n%s", says, o.stderr)
		} else {
			at += i
		}
	}
	sameRun(t, whole.runDir(), l.runDir())
}

// A run whose best state could not be written publishes its last one and says so, in words and in the summary's JSON.
func TestBestStateIsNotThere(t *testing.T) {
	l := shortLesson(t).with(lesson{"eval.load_best_model_at_end": true, "eval.early_stopping_threshold": 0.1}) // so that step 4 is the best
	plain := l.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run"), "eval.load_best_model_at_end": false})
	plain.train(t)
	for _, flag := range []string{"--json=false", "--json"} {
		l := l.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
		o, _ := onDisk(t, func(f *disktest.Faults) {
			f.When(func(op disktest.Op) bool { return op.Kind == "write" && strings.Contains(op.Name, "step-000004") }, disktest.Short(syscall.ENOSPC))
		}, l.args("train", flag)...)
		says := "warning: " + bestDamaged
		if flag == "--json" {
			says = `"best_damaged": true`
		}
		if o.code != exitOK || !strings.Contains(o.stdout, says) || !strings.Contains(o.stderr, bestDamaged) || !strings.Contains(o.stderr, "checkpoint of step 4 not written") {
			t.Errorf("exit code %d\n%s\n%s", o.code, o.stdout, o.stderr)
		}
		sameRun(t, plain.runDir(), l.runDir())
	}
}
