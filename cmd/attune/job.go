package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"attune/data/corpus"
	"attune/data/loader"
	"attune/data/pack"
	"attune/engine/exec"
	"attune/engine/model"
	"attune/engine/optim"
	"attune/engine/peft"
	"attune/engine/session"
	"attune/internal/config"
	"attune/kernels"
)

// job is a run file put together, short of memory on the device: what plan reports and train carries out.
type job struct {
	cfg       config.Config
	date      time.Time // of the first start: what strftime_now gives the template
	otherText bool      // what training goes on from may have been trained with another template or tokenizer
	device    *session.Device
	dtype     kernels.Dtype
	text      *text
	reports   []corpus.Report // of the training files
	held      []corpus.Report // of the held-out files
	data      *loader.Loader
	sets      []*loader.Set // training and held-out
	eval      *loader.Held  // nil = none
	longest   int           // tokens of the longest training example
	micro     int           // tokens a packed row may have
	before    int           // what micro was when the run began; 0 = it begins now
	survey    loader.Survey
	reading   int64 // bytes at most while the rows were read
	program   int64 // bytes of the process itself, from then on
	model     *model.Checkpoint
	lora      peft.Config // where method is lora
	session   *session.Session
	compiled  session.Plan // of the longest rows, set by describe
	schedule  optim.Schedule
}

// newJob reads everything a run needs in the order in which it is cheapest to find out that something is wrong: device,
// template, the model's header, what is trained of it and from where, then the rows. otherText allows what the run file's
// lora.allow_template_change does.
func newJob(ctx context.Context, s streams, cfg config.Config, began beginning, otherText bool) (j *job, err error) {
	j = &job{cfg: cfg, date: began.date, before: began.micro, otherText: otherText || cfg.LoRA.AllowTemplateChange}
	defer func() {
		if err != nil {
			err = errors.Join(err, j.close())
		}
	}()
	if j.device, err = session.OpenDevice(cfg.Compute.Device, cfg.Compute.Threads); err != nil {
		return j, err
	}
	warnOfDevice(s.err, j.device)
	return j, j.assemble(ctx, s)
}

// assemble reads what a run on the job's device needs.
func (j *job) assemble(ctx context.Context, s streams) (err error) {
	cfg := j.cfg
	if j.dtype, err = j.device.Dtype(cfg.Compute.Dtype); err != nil {
		return asUsage(err)
	}
	if j.text, err = loadText(cfg.Model, cfg.Template); err != nil {
		return err
	}
	c, err := model.ReadConfig(cfg.Model)
	if err != nil {
		return err
	}
	j.text.reachable(s.err, c)
	var noWeights error // said after what is wrong with the rows, which need none
	if j.model, noWeights = model.Open(cfg.Model); noWeights == nil {
		if err = j.build(s); err != nil {
			return err
		}
	}
	free := sparing()
	err = j.readRows(ctx, s, c)
	free()
	if err = cmp.Or(err, noWeights); err != nil {
		return err
	}
	if err = j.fill(); err != nil {
		return err
	}
	j.settle()
	return j.limit()
}

// readRows reads training and held-out rows, so that the complaints about all files come together.
func (j *job) readRows(ctx context.Context, s streams, m *model.Config) error {
	c := j.cfg
	co, err := j.text.corpusOptions(c, j.date)
	if err != nil {
		return err
	}
	o, done := counting(s.err, forModel(m, rowsDir(c.RunDir), co))
	defer done()
	sets, reports, err := corpus.ReadAll(ctx, append(files(c.Data.Train), files(c.Data.Eval)...), o)
	if err != nil {
		return err
	}
	j.sets = sets
	n := len(c.Data.Train)
	j.reports, j.held = reports[:n], reports[n:]
	var sources []loader.Source
	for i, src := range c.Data.Train {
		sources = append(sources, loader.Source{Name: src.Path, Set: sets[i], Weight: src.Weight, Repeat: src.Repeat})
		j.longest = max(j.longest, reports[i].Longest)
	}
	j.data, err = loader.New(sources, loader.Options{ExamplesPerStep: c.Train.ExamplesPerStep, Shuffle: c.Data.Shuffle,
		Seed: uint64(c.Train.Seed), Epochs: c.Train.Epochs, Steps: c.Train.Steps})
	if err != nil {
		return &corpus.Error{Files: []error{err}}
	}
	j.pack(microTokens(c))
	return nil
}

// pack says how many tokens a packed row may have.
func (j *job) pack(micro int) {
	j.micro = micro
	j.eval = loader.NewHeld(j.sets[len(j.reports):], micro, j.text.pad)
	j.survey = j.data.Survey(micro)
}

// rowsDir is where the tokens of rows lie during a run: beside what the run writes, since temporary files may be memory.
func rowsDir(runDir string) string {
	if info, err := os.Stat(runDir); err == nil && info.IsDir() {
		return runDir
	}
	return os.TempDir()
}

// rowTokens is the most tokens of a packed row that is trained on.
func (j *job) rowTokens() int {
	if j.survey.Whole {
		return j.survey.Longest
	}
	return max(j.survey.Longest, j.micro/pack.Quantum*pack.Quantum, pack.RoundUp(j.longest))
}

// heldTokens is the most tokens of a packed row that is only judged.
func (j *job) heldTokens() int {
	if j.eval == nil {
		return 0
	}
	return j.eval.Longest
}

// build says what is trained, and from where it starts.
func (j *job) build(s streams) error {
	c := j.cfg
	o := session.Options{Device: j.device, Model: j.model, Dtype: j.dtype}
	switch c.Method {
	case "full":
		o.Trained = func(string) bool { return true }
	default:
		targets, err := peft.ParseTargets(c.LoRA.TargetModules)
		if err != nil {
			return asUsage(err)
		}
		j.lora = peft.Config{R: c.LoRA.R, Alpha: c.LoRA.Alpha, Dropout: c.LoRA.Dropout, UseRSLoRA: c.LoRA.UseRSLoRA, Targets: targets, BaseModel: c.Model}
		linears, err := j.model.Config.Linears()
		if err != nil {
			return err
		}
		if o.Adapter, err = j.lora.Adapter(linears); err != nil {
			return asUsage(err)
		}
	}
	switch c.Compute.Recompute {
	case "auto":
		o.Auto = true
	case "full":
		o.Layers = math.MaxInt
	}
	var err error
	if j.session, err = session.New(o); err != nil {
		return err
	}
	return j.checkStart(s)
}

// limit holds the run to the memory that is free, and makes the schedule.
func (j *job) limit() error {
	c := j.cfg
	free, err := memoryFree(j.device)
	if err != nil {
		return err
	}
	if n := j.memory(session.Plan{}, 0).training; n > free {
		return fmt.Errorf("%w: weights, gradients and optimizer take %s%s, %s; take a smaller model%s", exec.ErrMemory,
			mib(n), ofKernels(j.device), areFree(j.device, free), map[string]string{"full": ", or method: lora"}[c.Method])
	}
	steps := j.data.Steps()
	warmup := c.Train.WarmupSteps
	if warmup == 0 {
		warmup = optim.WarmupSteps(c.Train.WarmupRatio, steps)
	}
	j.schedule = optim.Schedule{Name: c.Train.LRScheduler, LearningRate: c.Train.LearningRate, Warmup: warmup, Steps: steps}
	return asUsage(j.schedule.Validate())
}

// optimizer is that of what is trained, with the memory for its gradients bound.
func (j *job) optimizer() (*optim.AdamW, error) {
	var params []optim.Param
	for _, p := range j.session.Params() {
		if p.Trained {
			params = append(params, optim.Param{Name: p.Name, Value: j.session.Value(p.Name)})
		}
	}
	t := j.cfg.Train
	opt, err := optim.NewAdamW(j.device, params, optim.Options{Beta1: t.Adam.Beta1, Beta2: t.Adam.Beta2, Epsilon: t.Adam.Epsilon,
		WeightDecay: t.WeightDecay, MaxGradNorm: t.MaxGradNorm})
	if err != nil {
		return nil, err
	}
	return opt, j.session.BindGradients(opt.Grad)
}

func (j *job) close() error {
	errs := []error{closeSets(j.sets)}
	if j.session != nil {
		errs = append(errs, j.session.Close())
	}
	if j.model != nil {
		errs = append(errs, j.model.Close())
	}
	if j.device != nil {
		errs = append(errs, j.device.Close())
	}
	return errors.Join(errs...)
}

func closeSets(sets []*loader.Set) error {
	var errs []error
	for _, set := range sets {
		errs = append(errs, set.Close())
	}
	return errors.Join(errs...)
}

func mib(n int64) string { return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20)) }
