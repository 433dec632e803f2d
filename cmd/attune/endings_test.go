package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"attune/internal/disk"
)

// middle is the evaluation in the midst of a run of these tests.
const middle = "step 20  eval loss"

// However a run is ended from outside, it goes on to the end, or saves and is resumed: the same bytes as unbroken.
func TestEndings(t *testing.T) {
	whole := smallLesson(t, lesson{"train.steps": 100, "eval.every": 10, "checkpoint.every": 30})
	whole.train(t)
	for name, c := range map[string]struct {
		code int
		end  func(t *testing.T, l lesson) int
	}{
		"SIGHUP": {exitInterrupted, func(t *testing.T, l lesson) int {
			e := startHeld(t, l)
			e.signal(syscall.SIGHUP)
			e.until("then saving; a second signal ends at once")
			time.Sleep(2 * sameRequest)
			e.signal(syscall.SIGHUP) // the shell sent the first one, the system this: no second request
			return e.released(l)
		}},
		"SIGTERM twice at once": {exitInterrupted, func(t *testing.T, l lesson) int {
			for {
				e := startHeld(t, l)
				begin := time.Now()
				e.signal(syscall.SIGTERM) // as timeout(1) does it: to the process, then to its group
				time.Sleep(20 * time.Millisecond)
				e.signal(syscall.SIGTERM)
				if time.Since(begin) < sameRequest/2 {
					return e.released(l)
				}
				e.signal(syscall.SIGKILL) // a busy machine: these were two requests, so once more
				e.rest()
				e.code()
				if err := os.RemoveAll(l.runDir()); err != nil {
					t.Fatal(err)
				}
			}
		}},
		"SIGHUP and SIGINT ignored": {exitOK, func(t *testing.T, l lesson) int {
			cmd := program(t.Context(), l.args("train")...)
			ignoring(cmd)
			e := start(t, cmd)
			e.until(middle)
			e.signal(syscall.SIGHUP)
			e.signal(syscall.SIGINT)
			e.rest()
			return e.code()
		}},
		"SIGTERM where SIGINT is ignored": {exitInterrupted, func(t *testing.T, l lesson) int {
			cmd := holding(t, l)
			ignoring(cmd)
			e := start(t, cmd)
			e.until("held")
			e.signal(syscall.SIGTERM)
			return e.released(l)
		}},
		"nobody reads what it prints": {exitOK, func(t *testing.T, l lesson) int {
			e := start(t, program(t.Context(), l.args("train")...))
			e.until(middle)
			e.close()
			code := e.code()
			if !strings.Contains(logged(t, l.runDir()), "the summary could not be printed") {
				t.Error("the log does not say that nobody read the summary")
			}
			return code
		}},
		"a terminal that goes away": {exitInterrupted, func(t *testing.T, l lesson) int {
			e := startOnTerminal(t, holding(t, l))
			e.until("held")
			e.close()
			return e.released(l)
		}},
		"a terminal that goes away, under nohup": {exitOK, func(t *testing.T, l lesson) int {
			cmd := program(t.Context(), l.args("train")...)
			ignoring(cmd)
			e := startOnTerminal(t, cmd)
			e.until(middle)
			e.close()
			return e.code()
		}},
		"a parent that dies": {exitOK, func(t *testing.T, l lesson) int {
			cmd := program(t.Context(), l.args("train")...)
			script := `"$0" "$@" 2>&1 | { grep -m 1 "` + middle + `" >/dev/null; kill -9 $$; }`
			cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", script}, cmd.Args...)
			if code := start(t, cmd).code(); code != -1 {
				t.Fatalf("the parent ended with %d", code)
			}
			for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) { // nobody is left to wait for the run
				d, err := openRunDir(streams{fs: disk.In}, l.runDir(), true)
				if err == nil {
					if d.lock.left != "" {
						t.Errorf("the run did not give its lock back: %s", d.lock.left)
					}
					if err := d.close(); err != nil {
						t.Error(err)
					}
					return exitOK
				}
				if time.Since(begin) > time.Minute {
					t.Fatal(err)
				}
			}
		}},
		"a second signal": {-1, func(t *testing.T, l lesson) int {
			e := startHeld(t, l)
			e.signal(syscall.SIGTERM)
			e.until("then saving; a second signal ends at once")
			ended := make(chan struct{})
			var again sync.WaitGroup
			again.Go(func() { // the first of these may come with the one before, as the same request
				for {
					e.signal(syscall.SIGTERM)
					select {
					case <-ended:
						return
					case <-time.After(50 * time.Millisecond):
					}
				}
			})
			e.rest()
			code := e.code()
			close(ended)
			again.Wait()
			return code
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run")})
			if code := c.end(t, parted); code != c.code {
				t.Fatalf("exit code %d, want %d\n%s", code, c.code, logged(t, parted.runDir()))
			}
			if c.code != exitOK {
				if _, err := os.Stat(filepath.Join(parted.runDir(), adapterDir)); !errors.Is(err, fs.ErrNotExist) {
					t.Error("a run that was stopped has published")
				}
				o := parted.train(t, "--resume")
				if over := strings.Contains(o.stderr, "took run_dir over from pid "); over != (c.code == -1) {
					t.Errorf("taken over with a word: %t\n%s", over, o.stderr)
				}
			}
			sameRun(t, whole.runDir(), parted.runDir())
		})
	}
}

// A run whose directory is removed, moved or made again by another run stops with one sentence and writes nothing there.
func TestRunDirIsTakenAway(t *testing.T) {
	for name, take := range map[string]func(runDir string) error{
		"removed": removeAll,
		"moved":   func(runDir string) error { return os.Rename(runDir, runDir+".aside") },
		"made again": func(runDir string) error {
			err := errors.Join(removeAll(runDir), os.Mkdir(runDir, 0o755), os.Mkdir(filepath.Join(runDir, checkpointsDir), 0o755))
			return errors.Join(err, os.WriteFile(filepath.Join(runDir, lockName), nil, 0o644), os.WriteFile(filepath.Join(runDir, metricsName), []byte("theirs"), 0o644))
		},
		"its lock removed": func(runDir string) error { return os.Remove(filepath.Join(runDir, lockName)) },
	} {
		t.Run(name, func(t *testing.T) {
			l := smallLesson(t, lesson{"checkpoint.every": 1})
			parent, before := filepath.Dir(l.runDir()), ""
			stop := stopAt(10, func() {
				if err := take(l.runDir()); err != nil {
					t.Error(err)
				}
				before = tree(t, parent)
			})
			code := run(t.Context(), l.args("train"), streams{in: strings.NewReader(""), out: io.Discard, err: stop, fs: disk.In})
			_, said, _ := strings.Cut(stop.seen.String(), "attune: ")
			if strings.Contains(stop.seen.String(), "step 24") {
				t.Errorf("it went on:\n%s", stop.seen.String())
			}
			if code != exitFailed || !strings.HasPrefix(said, "run_dir "+l.runDir()+" was taken away while the run went on") || strings.Count(said, "\n") != 1 {
				t.Errorf("exit code %d, said %q", code, said)
			}
			if after := tree(t, parent); name != "moved" && name != "its lock removed" && after != before { // what was moved is still the run's own
				t.Errorf("there was\n%s\nand is\n%s", before, after)
			}
			if _, err := os.Stat(filepath.Join(l.runDir(), adapterDir)); err == nil {
				t.Error("the run published")
			}
		})
	}
}

// removeAll removes a directory in which a run is writing a checkpoint.
func removeAll(dir string) error {
	err := os.RemoveAll(dir)
	for errors.Is(err, syscall.ENOTEMPTY) {
		err = os.RemoveAll(dir)
	}
	return err
}

// After a signal a step is finished, unless it takes longer than checkpoint.grace: then it is left, and the state before it is
// saved. Which step was under way is said at once; the run goes on from there to the same bytes.
func TestGrace(t *testing.T) {
	whole := smallLesson(t, lesson{"train.steps": 3, "train.examples_per_step": 1500, "eval.every": 1, "checkpoint.every": 1})
	whole.train(t)
	step := time.Duration(newest(t, whole.runDir()).Seconds / 3 * float64(time.Second))
	for name, c := range map[string]struct {
		grace    any
		finished int // steps that the signal lets be finished
	}{"long": {1e300, 1}, "none": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			parted := whole.with(lesson{"run_dir": filepath.Join(t.TempDir(), "run"), "checkpoint.grace": c.grace})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			stop := stopAt(1, func() { time.AfterFunc(step/3, cancel) }) // within step 2
			if code := run(ctx, parted.args("train"), streams{in: strings.NewReader(""), out: io.Discard, err: stop, fs: disk.In}); code != exitInterrupted {
				t.Fatalf("exit code %d\n%s", code, stop.seen.String())
			}
			_, said, _ := strings.Cut(stop.seen.String(), "finishing step ")
			var under int
			if _, err := fmt.Sscanf(said, "%d, then saving; a second signal ends at once", &under); err != nil {
				t.Fatalf("%v in %q", err, said)
			}
			if last := newest(t, parted.runDir()).Step; last != under-1+c.finished {
				t.Errorf("step %d was under way, step %d is saved", under, last)
			}
			parted.train(t, "--resume")
			sameRun(t, whole.runDir(), parted.runDir())
		})
	}
}

// logged is the run's log.
func logged(t *testing.T, runDir string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(runDir, logName))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A run that is done, or stopped after the step it was told to, is so whoever hears it.
func TestNobodyHearsTheEnd(t *testing.T) {
	l := smallLesson(t, lesson{"train.steps": 4})
	for _, args := range [][]string{{"--until-step", "2"}, {"--resume", "--until-step", "3", "--json"}, {"--resume"}} {
		var heard printed
		code := run(t.Context(), l.args("train", args...), streams{in: strings.NewReader(""), out: deafness{}, err: &heard, fs: disk.In})
		if code != exitOK || !strings.Contains(heard.String(), "the summary could not be printed") {
			t.Errorf("%s: exit code %d\n%s", args, code, heard.String())
		}
	}
}

// deafness is a reader that went away.
type deafness struct{}

func (deafness) Write([]byte) (int, error) { return 0, syscall.EPIPE }

// A command whose answer cannot be written fails, and has nothing to say about a reader that went away.
func TestNobodyReadsTheAnswer(t *testing.T) {
	l := smallLesson(t, nil)
	for name, args := range map[string][]string{
		"generate": {"generate", "--model", l["model"].(string), "--prompt", "What is 1 + 1?", "--max-new-tokens", "4"},
		"eval":     {"eval", "--model", l["model"].(string), "--data", l["data.eval"].(string)},
		"plan":     l.args("plan"),
	} {
		r, w, err := os.Pipe()
		if err == nil {
			err = r.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		var complaints strings.Builder
		cmd := program(t.Context(), args...)
		cmd.Stdout, cmd.Stderr = w, &complaints
		e := &ending{t: t, Cmd: cmd}
		if err := errors.Join(cmd.Start(), w.Close()); err != nil {
			t.Fatal(err)
		}
		if code := e.code(); code != exitFailed || strings.Contains(complaints.String(), "attune:") {
			t.Errorf("%s: exit code %d\n%s", name, code, complaints.String())
		}
	}
}
