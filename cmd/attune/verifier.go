package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"attune/internal/obs"
	"attune/internal/rng"
)

// verifier makes a run twice, each in processes of its own: unbroken, and killed and resumed.
type verifier struct {
	s       streams
	program string
	args    []string      // of train, for both
	dir     string        // of both runs
	steps   int           // the last step; behind unbroken, the last that the run took
	times   int           // to kill it
	seed    uint64        // of the moments
	all     int           // threads of the run; 0 = as many as there are cores
	step    time.Duration // how long one takes
}

// moment is when a process is to be killed: once metrics.jsonl has a step, and late of the time of a step after that.
type moment struct {
	after int
	late  float64
}

func (v *verifier) whole() string  { return filepath.Join(v.dir, "unbroken") }
func (v *verifier) parted() string { return filepath.Join(v.dir, "killed") }

// unbroken makes the run that the other is held to, and measures a step.
func (v *verifier) unbroken(ctx context.Context) error {
	p := v.part("unbroken: step", v.whole(), v.all)
	if _, err := p.run(ctx, nil); err != nil {
		return fmt.Errorf("the unbroken run failed: %w", err)
	}
	if p.done < 1 {
		return fmt.Errorf("the unbroken run took no step in %s", p.metrics)
	}
	v.steps = p.done
	v.step = time.Since(p.first) / time.Duration(v.steps)
	return nil
}

// moments are one in each part of the way, so that none waits for a step that is behind it.
func (v *verifier) moments() (list []moment) {
	r := rng.New(v.seed, rng.Hash("verify-resume"))
	n := min(v.times, v.steps)
	for i := range n {
		from, to := i*v.steps/n, (i+1)*v.steps/n
		list = append(list, moment{after: from + r.Intn(to-from), late: r.Float64()})
	}
	return list
}

// killed makes the run that is killed, and says where it was.
func (v *verifier) killed(ctx context.Context) (list []kill, err error) {
	moments := v.moments()
	for i, m := range append(moments, moment{}) {
		threads := v.threads(i)
		at := &m
		label := fmt.Sprintf("killed %d of %d times: step", i, len(moments))
		if i == len(moments) {
			at, label = nil, "resumed: step"
		}
		p := v.part(label, v.parted(), threads)
		p.wait = time.Duration(m.late * float64(v.step))
		killed, err := p.run(ctx, at)
		if err != nil {
			return list, fmt.Errorf("the run that was killed %d times failed: %w", len(list), err)
		}
		if !killed {
			return list, nil
		}
		list = append(list, kill{AfterStep: max(0, p.done), Threads: threads})
	}
	return list, nil
}

// threads of a part: one and all in turn.
func (v *verifier) threads(i int) int {
	switch {
	case i%2 == 0:
		return 1
	case v.all > 1:
		return v.all
	}
	return max(2, runtime.GOMAXPROCS(0))
}

// part is one process of a run.
type part struct {
	cmd     *exec.Cmd
	said    tail
	metrics string
	bar     *obs.Progress
	first   time.Time // the first line of metrics.jsonl was there
	done    int       // the last step in it; -1 = none
	wait    time.Duration
}

func (v *verifier) part(label, runDir string, threads int) *part {
	args := append([]string{"train", "--resume"}, v.args...)
	// last, so that it is these that stand
	args = append(args, "--set", "run_dir="+runDir, "--set", fmt.Sprintf("compute.threads=%d", threads))
	p := &part{cmd: exec.Command(v.program, args...), metrics: filepath.Join(runDir, metricsName), done: -1}
	p.cmd.Stdout, p.cmd.Stderr = io.Discard, &p.said
	p.bar = obs.NewProgress(v.s.err, label, 0, v.steps)
	return p
}

// run waits for the end of the process, or kills it at its moment; nil = it may end. Whatever happens to this process, ctx
// leaves none behind.
func (p *part) run(ctx context.Context, at *moment) (killed bool, err error) {
	if err := p.cmd.Start(); err != nil {
		return false, err
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	defer p.bar.Done()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var due <-chan time.Time
	for {
		select {
		case err := <-ended:
			p.look()
			return false, p.outcome(err)
		case <-ctx.Done():
			return false, errors.Join(ctx.Err(), p.end(ended))
		case <-due:
			p.look()
			if err := p.end(ended); err != nil || p.cmd.ProcessState.ExitCode() >= 0 { // it was over before
				return false, errors.Join(err, p.outcome(p.exit()))
			}
			return true, nil
		case <-tick.C:
			p.look()
			if at != nil && due == nil && p.done >= at.after {
				due = time.After(p.wait)
			}
		}
	}
}

// end kills the process and waits until it is gone.
func (p *part) end(ended <-chan error) error {
	err := p.cmd.Process.Kill()
	<-ended
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// exit is how a process that nobody killed ended.
func (p *part) exit() error {
	if p.cmd.ProcessState.Success() {
		return nil
	}
	return &exec.ExitError{ProcessState: p.cmd.ProcessState}
}

// outcome is what the process itself said of why it failed, with its exit code.
func (p *part) outcome(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return err
	}
	if exit.ExitCode() < 0 {
		return fmt.Errorf("%s; something else ended it: %s", strings.TrimSpace(p.said.String()), exit)
	}
	return &partError{code: exit.ExitCode(), said: strings.TrimPrefix(p.said.last(), "attune: ")}
}

// partError is the failure of a run in a process of its own.
type partError struct {
	code int
	said string
}

func (e *partError) Error() string { return e.said }

// look reads how far the process is.
func (p *part) look() {
	done := lastStep(p.metrics)
	if done < 0 || done == p.done {
		return
	}
	if p.first.IsZero() {
		p.first = time.Now()
	}
	p.done = done
	p.bar.Step(done)
}

// lastStep is the step of the last whole line of a metrics.jsonl, -1 where there is none.
func lastStep(path string) int {
	f, err := os.Open(path)
	if err != nil {
		return -1
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return -1
	}
	b := make([]byte, min(st.Size(), 4<<10)) // lines have some hundred bytes
	n, err := f.ReadAt(b, st.Size()-int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return -1
	}
	b = b[:bytes.LastIndexByte(b[:n], '\n')+1]
	b = bytes.TrimSuffix(b, []byte("\n"))
	var line struct {
		Step *int `json:"step"`
	}
	if json.Unmarshal(b[bytes.LastIndexByte(b, '\n')+1:], &line) != nil || line.Step == nil {
		return -1
	}
	return *line.Step
}

// tail keeps the end of what is written.
type tail struct{ b []byte }

func (t *tail) Write(b []byte) (int, error) {
	t.b = append(t.b, b...)
	t.b = t.b[max(0, len(t.b)-8<<10):]
	return len(b), nil
}

func (t *tail) String() string { return string(t.b) }

// last is what follows the last line of a log: the program's own complaint, which may have several lines.
func (t *tail) last() string {
	s := strings.TrimSpace(t.String())
	if i := strings.LastIndex(s, "\nattune: "); i >= 0 {
		return s[i+1:]
	}
	return s
}
