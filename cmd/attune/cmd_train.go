package main

import (
	"context"
	"errors"
	"time"

	"attune/engine/checkpoint"
	"attune/engine/train"
	"attune/internal/disk"
	"attune/internal/obs"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
)

// trainOptions are the flags of `attune train`.
type trainOptions struct {
	runFileFlags
	resume    bool
	otherText bool
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
run_dir. On SIGINT or SIGTERM it finishes the step, saves and exits with 130; --resume goes on from the newest whole
checkpoint, or starts if there is none.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runTrain(cmd.Context(), s, o) },
	}
	o.runFileFlags.add(cmd)
	cmd.Flags().BoolVar(&o.resume, "resume", false, "go on from the newest checkpoint of run_dir")
	cmd.Flags().BoolVar(&o.otherText, "allow-template-change", false, otherTextUsage)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the summary as JSON")
	cmd.Flags().BoolVar(&o.debug, "debug", false, "log details")
	return cmd
}

// otherTextUsage is said of --allow-template-change where there is a run file.
const otherTextUsage = "go on from a model, an adapter or a checkpoint that was trained with another chat template, tokenizer or special tokens"

// runTrain is the recipe, top to bottom.
func runTrain(ctx context.Context, s streams, o trainOptions) (err error) {
	begin := time.Now()
	cfg, err := o.load()
	if err != nil {
		return err
	}
	dir, err := openIfThere(cfg.RunDir, o.resume)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.close()) }()
	date, err := dir.date(o.clock)
	if err != nil {
		return err
	}
	j, err := newJob(ctx, s, cfg, date, o.otherText)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, j.close()) }()
	plan, err := j.describe()
	if err != nil {
		return err
	}
	if dir == nil { // what is refused up to here leaves no directory behind
		if dir, err = openRunDir(cfg.RunDir, o.resume); err != nil {
			return err
		}
	}
	log, closeLog, err := obs.NewLogger(s.err, disk.OS(), dir.file(logName), o.debug)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeLog()) }()
	defer func() { logFailure(log, err) }()
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

	identity, err := j.identity()
	if err != nil {
		return err
	}
	var from *checkpoint.Checkpoint // nil = the beginning
	if o.resume {
		if from, err = j.latest(dir, identity, log); err != nil {
			return err
		}
		if from != nil {
			defer func() { err = errors.Join(err, from.Close()) }()
		}
	}
	if err := j.session.Place(); err != nil {
		return err
	}
	if err := j.session.Reserve(j.compiled); err != nil {
		return err
	}
	if err := j.startAdapter(); err != nil {
		return err
	}
	opt, err := j.optimizer()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, opt.Close()) }()

	run := &train.Run{
		Options: train.Options{Schedule: j.schedule, MicroTokens: j.micro, PadID: j.text.pad, EvalEvery: cfg.Eval.Every, Patience: cfg.Eval.EarlyStoppingPatience,
			Threshold: cfg.Eval.EarlyStoppingThreshold, LoadBest: cfg.Eval.LoadBestModelAtEnd, SaveEvery: cfg.Checkpoint.Every, Keep: cfg.Checkpoint.Keep,
			CheckpointDir: dir.file(checkpointsDir), Identity: identity},
		Session: j.session, Optimizer: opt, Data: j.data,
	}
	if j.eval != nil {
		run.Eval = j.eval.Batches()
	}
	recorded := -1 // the last step of metrics.jsonl that stands; 0 is the evaluation before the first
	if from != nil {
		recorded = from.Step
		if err := errors.Join(run.Resume(from, j.mayDiffer(from, identity)...), from.Close()); err != nil {
			return err
		}
	}
	rec, err := j.record(dir, j.provenance(plan, identity), from)
	if err != nil {
		return err
	}
	if err := rec.keep(run.Done()); err != nil {
		return err
	}
	metrics, err := obs.OpenMetrics(disk.OS(), dir.file(metricsName), recorded)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, metrics.Close()) }()

	log.Info("training", zap.Int("from_step", run.Done()+1), zap.Duration("after", time.Since(begin).Round(time.Millisecond)))
	bar := obs.NewProgress(s.err, "step", run.Done(), plan.Steps)
	run.Events = events(bar, metrics, log)
	run.Events.BeforeSave = func() error { return errors.Join(metrics.Sync(), rec.keep(run.Done())) }
	res, err := run.Train(ctx)
	bar.Done()
	if err != nil {
		return err
	}
	if res.Interrupted {
		log.Warn("interrupted; the state is saved", zap.Int("step", res.Steps))
		return errInterrupted
	}
	if res.NoneBetter {
		log.Warn(noneBetter)
	}
	if res.BestDamaged != nil {
		log.Warn(bestDamaged, zap.Error(res.BestDamaged))
	}
	warnOfOther(log, res.Trained.Identity, identity)
	where, err := j.publish(dir, res)
	if err != nil {
		return err
	}
	if err := obs.PlotLoss(disk.OS(), dir.file(metricsName), dir.file(lossPNG)); err != nil {
		log.Warn("the loss curve was not drawn", zap.Error(err))
	}
	log.Info("done", zap.Int("steps", res.Steps), zap.String("written", where))
	return summarize(s, o.asJSON, summaryOf(res, where))
}
