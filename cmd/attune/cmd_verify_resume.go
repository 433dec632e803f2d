package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"attune/internal/config"
	"attune/internal/disk"
	"attune/internal/samerun"

	"github.com/spf13/cobra"
)

// verifyOptions are the flags of `attune verify-resume`.
type verifyOptions struct {
	runFileFlags
	steps  int
	kills  int
	asJSON bool

	program func() (string, error) // that is started
}

func newVerifyResume(s streams) *cobra.Command {
	o := verifyOptions{steps: 20, kills: 3, program: os.Executable}
	cmd := &cobra.Command{
		Use:   "verify-resume -c run.yaml",
		Short: "Show that the run, killed and resumed, ends with the same bits",
		Long: `verify-resume takes the first steps of the run twice: once unbroken; once killed (kill -9) in the middle, again and again,
and resumed, with one thread and with all of them in turn. Then it compares what both left, bit by bit: the trained weights,
the optimizer's moments, the state and every line of metrics.jsonl but its times. It names the first tensor and element that
differ.

It works in a directory of its own, run_dir with .verify behind it, and removes that in the end unless something differs.
It takes as long as twice the steps and as many starts as there are kills, and the room of some checkpoints.

Exit codes: 0 the same bits; 1 something differs; else as the run's own.`,
		Example: "  attune verify-resume -c run.yaml --steps 20 --kills 3",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return runVerifyResume(cmd.Context(), s, o) },
	}
	o.runFileFlags.add(cmd)
	f := cmd.Flags()
	f.IntVar(&o.steps, "steps", o.steps, "steps to take, at most the run's own; the learning rate follows the whole run's schedule")
	f.IntVar(&o.kills, "kills", o.kills, "how often the second run is killed")
	f.BoolVar(&o.asJSON, "json", false, "as JSON")
	return cmd
}

// verifyReport is what verify-resume found.
type verifyReport struct {
	Equal       bool     `json:"equal"`
	Steps       int      `json:"steps"`
	Kills       []kill   `json:"kills"`
	Differences []string `json:"differences"`
	Dir         string   `json:"dir,omitempty"` // with both runs, where they differ
}

// kill is where a process was ended.
type kill struct {
	AfterStep int `json:"after_step"` // the last one of metrics.jsonl; 0 = before the first
	Threads   int `json:"threads"`
}

func runVerifyResume(ctx context.Context, s streams, o verifyOptions) (err error) {
	if o.steps < 1 || o.kills < 1 {
		return usagef("--steps %d, --kills %d: both must be at least 1", o.steps, o.kills)
	}
	cfg, err := o.load()
	if err != nil {
		return err
	}
	if err := handOver(ctx, s, cfg.Compute.Device); err != nil {
		return err
	}
	v, err := newVerifier(s, o, cfg)
	if err != nil {
		return err
	}
	report, err := v.verify(ctx)
	if err != nil { // nothing was found out: there is nothing to look at
		return errors.Join(err, disk.OS().RemoveAll(v.dir))
	}
	if report.Equal {
		err = disk.OS().RemoveAll(v.dir)
	} else {
		report.Dir, err = v.dir, fmt.Errorf("killed and resumed, the run is not what it is unbroken: %s; both are in %s", report.Differences[0], v.dir)
	}
	if o.asJSON {
		return errors.Join(writeJSON(s.out, report), err)
	}
	return errors.Join(report.print(s), err)
}

func (r verifyReport) print(s streams) error {
	var at []string
	for _, k := range r.Kills {
		at = append(at, fmt.Sprint(k.AfterStep))
	}
	verdict := "the same bits"
	if !r.Equal {
		verdict = strings.Join(append([]string{"not the same"}, r.Differences...), "\n  ")
	}
	_, err := fmt.Fprintf(s.out, "%d steps unbroken, and killed after %s: %s\n", r.Steps, strings.Join(at, ", "), verdict)
	return err
}

// newVerifier refuses a directory that is there: it may be the last one's, which somebody looks at.
func newVerifier(s streams, o verifyOptions, cfg config.Config) (*verifier, error) {
	program, err := o.program()
	if err != nil {
		return nil, fmt.Errorf("find the program: %w", err)
	}
	v := &verifier{s: s, program: program, steps: o.steps, times: o.kills, seed: uint64(cfg.Train.Seed), dir: filepath.Clean(cfg.RunDir) + ".verify", all: cfg.Compute.Threads}
	if _, err := os.Lstat(v.dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("%s is there already; remove it if nobody needs it", v.dir)
	}
	if o.file != "" {
		v.args = append(v.args, "-c", o.file)
	}
	for _, set := range o.sets {
		v.args = append(v.args, "--set", set)
	}
	every := max(1, o.steps/5)
	if cfg.Checkpoint.Every > 0 {
		every = min(every, cfg.Checkpoint.Every)
	}
	v.args = append(v.args, "--set", fmt.Sprintf("checkpoint.every=%d", every), "--until-step", fmt.Sprint(o.steps))
	return v, nil
}

// verify makes both runs and compares them.
func (v *verifier) verify(ctx context.Context) (verifyReport, error) {
	report := verifyReport{Kills: []kill{}, Differences: []string{}}
	if err := v.unbroken(ctx); err != nil {
		return report, err
	}
	killed, err := v.killed(ctx)
	if err != nil {
		return report, err
	}
	report.Steps = v.steps
	if report.Kills = append(report.Kills, killed...); len(killed) == 0 {
		return report, fmt.Errorf("the run ended before it could be killed; take more --steps")
	}
	list, err := samerun.Runs(v.whole(), v.parted())
	report.Differences = append(report.Differences, list...)
	report.Equal = len(list) == 0
	return report, err
}
