package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// --until-step stops a run as a signal would, on the schedule of the whole run; what goes on from there ends as unbroken.
func TestUntilStep(t *testing.T) {
	for name, extra := range map[string]lesson{"lora": nil, "best state": {"eval.load_best_model_at_end": true, "train.learning_rate": 0.3, "eval.every": 2}} {
		t.Run(name, func(t *testing.T) {
			whole := smallLesson(t, extra)
			whole.train(t)
			parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
			for _, until := range []string{"7", "7", "15"} {
				o := parted.train(t, "--resume", "--until-step", until)
				if want := "stopped after step " + until + " of 24"; !strings.HasPrefix(o.stdout, want) || !strings.Contains(o.stdout, "--resume goes on") {
					t.Errorf("%q is not in %q", want, o.stdout)
				}
				if c := newest(t, parted.runDir()); !strings.HasSuffix(c.Dir, "0"+until) && !strings.HasSuffix(c.Dir, until) {
					t.Errorf("saved in %s", c.Dir)
				}
				for _, product := range []string{adapterDir, lossPNG} {
					if _, err := os.Stat(filepath.Join(parted.runDir(), product)); !errors.Is(err, fs.ErrNotExist) {
						t.Errorf("%s is there (%v)", product, err)
					}
				}
			}
			wantCode(t, exitUsage, []string{"--until-step 7", "taken 15 steps already"}, parted.args("train", "--resume", "--until-step", "7")...)
			wantCode(t, exitUsage, []string{"--until-step -1"}, parted.args("train", "--resume", "--until-step", "-1")...)
			o := parted.train(t, "--resume", "--until-step", "100") // the end comes first
			if !strings.Contains(o.stdout, "wrote ") {
				t.Errorf("said %q", o.stdout)
			}
			sameRun(t, whole.runDir(), parted.runDir())
		})
	}
}
