package main

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"attune/internal/obs"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// trainOptions are the flags of `attune train`.
type trainOptions struct {
	runFileFlags
	resume    bool
	otherText bool
	changes   []string // parts that may be others than before
	until     int
	asJSON    bool
	debug     bool
	clock     func() time.Time
}

func newTrain(s streams) *cobra.Command {
	o := trainOptions{clock: time.Now}
	cmd := &cobra.Command{
		Use:   "train -c run.yaml",
		Short: "Train an adapter, or all weights",
		Long: `train reads the rows, trains, evaluates, saves checkpoints and writes the adapter (PEFT's layout) or the model into
run_dir.

SIGINT, SIGTERM and SIGHUP (unless it was started to ignore them, as by nohup) finish the step, save and exit with 130; a
step that takes longer than checkpoint.grace seconds from then is left, and the state before it saved. A second SIGINT or
SIGTERM ends the process at once. Output that nobody reads any more does not end a run.

--resume goes on from the newest whole checkpoint, or starts if there is none: to the same bytes as unbroken, or equal to
rounding on another device or with another compute.micro_batch_tokens, which is said. Model, data, held-out rows, recipe and
text (template, tokenizer, special tokens) must be what they were; --allow-change lets all but the model, and what decides
the shapes of what is trained, be others from the next step on. Rows and learning rate are then those that a run of what it
is now would have there; where the number of steps follows from a change it must be above the steps taken.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTrain(cmd.Context(), s, o) },
	}
	o.runFileFlags.add(cmd)
	cmd.Flags().BoolVar(&o.resume, "resume", false, "go on from the newest checkpoint of run_dir")
	cmd.Flags().BoolVar(&o.otherText, "allow-template-change", false, otherTextUsage+" (--allow-change text)")
	cmd.Flags().StringSliceVar(&o.changes, "allow-change", nil, allowChangeUsage)
	cmd.Flags().IntVar(&o.until, "until-step", 0, "stop after this step as if interrupted, with exit code 0: nothing is published, --resume goes on (0 = to the end)")
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the summary as JSON")
	cmd.Flags().BoolVar(&o.debug, "debug", false, "log details")
	return cmd
}

// otherTextUsage is said of --allow-template-change where there is a run file.
const otherTextUsage = "go on from a model, an adapter or a checkpoint that was trained with another chat template, tokenizer or special tokens"

// runTrain is the recipe, top to bottom.
func runTrain(ctx context.Context, s streams, o trainOptions) (err error) {
	begin := time.Now()
	for i, part := range o.changes {
		o.changes[i] = strings.TrimSpace(part)
	}
	if err := errors.Join(checkChanges(o.changes, o.resume), checkUntil(o.until)); err != nil {
		return err
	}
	cfg, err := o.load()
	if err != nil {
		return err
	}
	if err := handOver(ctx, s, cfg.Compute.Device); err != nil {
		return err
	}
	dir, err := openIfThere(s, cfg.RunDir, o.resume)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	began, err := dir.beginning(o.clock)
	if err != nil {
		return err
	}
	j, err := newJob(ctx, s, cfg, began, o.otherText || slices.Contains(o.changes, "text"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	plan, err := j.describe()
	if err != nil {
		return err
	}
	if dir == nil { // what is refused up to here leaves no directory behind
		if dir, err = openRunDir(s, cfg.RunDir, o.resume); err != nil {
			return err
		}
	}
	log, closeLog, err := obs.NewLogger(s.err, dir.fs, logName, o.debug)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	defer func() { logFailure(log, err) }()
	if dir.lock.left != "" {
		log.Warn("took run_dir over from " + dir.lock.left + ", which ended without giving it back")
	}
	logPlan(log, plan)
	return j.train(ctx, s, o, dir, plan, log, begin)
}

// logPlan says what was read and what is about to be done.
func logPlan(log *zap.Logger, plan planReport) {
	for _, r := range append(plan.Train, plan.Eval...) {
		log.Info("rows read", zap.String("file", r.Path), zap.Int("rows", r.Rows), zap.Int("tokens", r.Tokens), zap.Int("trained", r.TrainedTokens), zap.Int("longest", r.Longest))
		if r.Warnings > 0 {
			log.Warn("odd rows, read as they are", zap.Int("warnings", r.Warnings), zap.Strings("first", r.Odd))
		}
		if r.Cut+r.Split+r.Dropped > 0 {
			log.Warn("rows over data.max_length", zap.String("file", r.Path), zap.Int("cut", r.Cut), zap.Int("split", r.Split), zap.Int("dropped", r.Dropped), zap.Int("trained_tokens_lost", r.TrainedLost))
		}
	}
	log.Info("planned", zap.Int("steps", plan.Steps), zap.Int64("trainable", plan.Trainable), zap.String("device", plan.Device), zap.String("dtype", plan.Dtype),
		zap.String("memory", mib(plan.Memory.Total)), zap.Int("recomputed_layers", plan.Recomputed))
	if plan.NoCopy > 0 {
		log.Warn(plan.inForeground())
	}
}
