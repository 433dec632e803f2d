package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"attune/internal/disk"
)

// trainOn runs the lesson by another clock, until the evaluation after a step; 0 = to its end.
func trainOn(t *testing.T, now time.Time, l lesson, resume bool, until int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop, want := stopAt(until, cancel), exitInterrupted
	if until == 0 {
		stop.at, want = nil, exitOK
	}
	err := runTrain(ctx, streams{in: strings.NewReader(""), out: io.Discard, err: stop, fs: disk.In},
		trainOptions{runFileFlags: l.sets(), resume: resume, clock: func() time.Time { return now }})
	if exitCode(err) != want {
		t.Fatalf("on %v: %v\n%s", now, err, stop.seen.String())
	}
}

// A template may write the date: it is that of the first start, however often the run goes on afterwards.
func TestTheDateIsOfTheFirstStart(t *testing.T) {
	dated := writeFile(t, "dated.jinja", `{% for m in messages %}<|im_start|>{{ m.role }} on {{ strftime_now('%d %B %Y at %H:%M:%S') }}: {{ m.content }}<|im_end|>{% endfor %}`)
	monday := time.Date(2026, time.March, 2, 23, 59, 58, 999, time.FixedZone("", 3600))
	whole := smallLesson(t, lesson{"template": dated, "train.steps": 6, "eval.every": 2})
	trainOn(t, monday, whole, false, 0)
	parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
	trainOn(t, monday, parted, false, 2)
	trainOn(t, monday.Add(4*time.Second), parted, true, 4)
	trainOn(t, monday.AddDate(0, 1, 0), parted, true, 0)
	sameRun(t, whole.runDir(), parted.runDir())
	var p provenance
	if readJSON(t, filepath.Join(parted.runDir(), runJSON), &p); !p.Date.Equal(monday.Truncate(time.Second)) {
		t.Errorf("run.json says %v, the run began on %v", p.Date, monday)
	}
	later := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
	trainOn(t, monday.Add(4*time.Second), later, false, 0)
	if bytes.Equal(product(t, whole.runDir()), product(t, later.runDir())) {
		t.Error("the date makes no difference: nothing was tested")
	}
	if err := os.WriteFile(filepath.Join(parted.runDir(), runJSON), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	wantCode(t, exitFailed, []string{runJSON, "the date of the run"}, parted.args("train", "--resume")...)
}
