package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"attune/internal/rng"
	"attune/internal/samerun"
)

// mostKills are those of one run; then it is left to end.
const mostKills = 10

// run is one run, killed until it ends.
type run struct {
	*lesson
	program string
	dir     string
	moments *rng.Source
	kills   int
	where   []string // phases of the kills
	differs []string // from the unbroken run
}

func newRun(l *lesson, program, dir string, seed, round uint64) *run {
	return &run{lesson: l, program: program, dir: filepath.Join(dir, "run"), moments: rng.New(seed, rng.Hash("kill"), round)}
}

// live starts the run and resumes it until it has ended, killing at most so many processes of it, and compares. A moment
// lies anywhere between the start of a process and the end of the run, all being equally likely.
func (r *run) live(ctx context.Context, kills int) error {
	for part := 0; ; part++ {
		from, begin := r.newest(), time.Now()
		var patience time.Duration // 0 = until it ends
		if r.kills < min(kills, mostKills) {
			patience = time.Duration(r.moments.Float64() * float64(r.remaining(from)))
		}
		killed, err := r.part(ctx, 1+part%2, patience)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			r.differs = append(r.differs, err.Error())
			return nil
		}
		if !killed {
			r.took(from, time.Since(begin))
			return r.compare()
		}
	}
}

// part is one process of the run, killed after patience unless that is 0; killed is whether it was ended before it ended itself.
func (r *run) part(ctx context.Context, threads int, patience time.Duration) (killed bool, err error) {
	logged := r.logged()
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, r.program, r.args(r.dir, threads)...)
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return false, err
	}
	if patience > 0 {
		timer := time.AfterFunc(patience, func() {
			// one that has just ended is not there to be killed, which Wait tells
			_ = cmd.Process.Kill()
		})
		defer timer.Stop()
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == -1 { // by a signal
		r.kills++
		phase := r.phase(logged)
		r.where = append(r.where, phase)
		r.fell[phaseIndex(phase)]++
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return false, nil
}

// newest is the step of the newest checkpoint, 0 where there is none.
func (r *run) newest() (step int) {
	entries, err := os.ReadDir(filepath.Join(r.dir, "checkpoints"))
	if err != nil {
		return 0
	}
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "step-")
		if n, err := strconv.Atoi(digits); ok && err == nil {
			step = max(step, n)
		}
	}
	return step
}

// logged is the length of the log so far.
func (r *run) logged() int64 {
	if st, err := os.Stat(filepath.Join(r.dir, "log.jsonl")); err == nil {
		return st.Size()
	}
	return 0
}

// phase says what a process that wrote its log from that byte on was at when it was killed, by what lies there.
func (r *run) phase(logged int64) string {
	unfinished := append(r.unfinished(""), r.unfinished("checkpoints")...)
	publishes := func(name string) bool {
		return slices.ContainsFunc([]string{".adapter.", ".model.", ".loss.png."}, func(p string) bool { return strings.HasPrefix(name, p) })
	}
	if samerun.Product(r.dir) != "" || slices.ContainsFunc(unfinished, publishes) {
		return "publishing"
	}
	if len(unfinished) > 0 {
		return "saving"
	}
	b, err := os.ReadFile(filepath.Join(r.dir, "log.jsonl"))
	if err == nil && bytes.Contains(b[min(int64(len(b)), logged):], []byte(`"msg":"training"`)) {
		return "training"
	}
	return "reading"
}

// unfinished are the names in a directory of the run that are temporary.
func (r *run) unfinished(dir string) (list []string) {
	entries, err := os.ReadDir(filepath.Join(r.dir, dir))
	if err != nil {
		return nil
	}
	for _, e := range entries {
		if name := e.Name(); strings.HasPrefix(name, ".") && name != ".lock" {
			list = append(list, filepath.Join(dir, name))
		}
	}
	return list
}

// compare holds what is left to the unbroken run's.
func (r *run) compare() (err error) {
	r.differs, err = samerun.Runs(r.whole, r.dir)
	for _, name := range append(r.unfinished(""), r.unfinished("checkpoints")...) {
		r.differs = append(r.differs, name+" was left behind")
	}
	return err
}

// complain prints in what the run differs, the first few things of it.
func (r *run) complain(round int) {
	const most = 5
	fmt.Printf("round %d, %s, killed %d times (%s), in %s:\n", round, r.name, r.kills, strings.Join(r.where, ", "), r.dir)
	for _, d := range r.differs[:min(most, len(r.differs))] {
		fmt.Println("  " + d)
	}
	if n := len(r.differs) - most; n > 0 {
		fmt.Printf("  and %d more\n", n)
	}
}
