package lawtest

import (
	"context"
	"errors"
	"math"
	"strings"

	"attune/data"
	"attune/data/loader"
	"attune/data/pack"
	"attune/engine/checkpoint"
	"attune/engine/model"
	"attune/engine/nn"
	"attune/engine/optim"
	"attune/engine/session"
	"attune/engine/train"
	"attune/internal/rng"
	"attune/kernels"

	"pgregory.net/rapid"
)

// job is what a process that runs a trial holds.
type job struct {
	*train.Run
	rt    *rapid.T
	trial trial
	steps map[int]train.Step       // by number, without times
	evals map[int]train.Evaluation // by the steps before them
	end   train.Result             // without times
}

// start makes a trial's run, ready for its first step. Adapters begin with random values, B too: where B is zero, as in a
// new adapter, A has no gradient and changes nothing.
func (b *bench) start(rt *rapid.T, c trial) *job {
	return b.startFrom(rt, c, b.model(rt, c.model), func(p nn.Param) ([]byte, error) { return c.adapterWeight(p), nil })
}

// startFrom is start with another model or other adapter weights.
func (b *bench) startFrom(rt *rapid.T, c trial, m *model.Checkpoint, adapter func(nn.Param) ([]byte, error)) *job {
	rt.Helper()
	must := func(err error) {
		if err != nil {
			rt.Helper()
			rt.Fatalf("start a run: %v", err)
		}
	}
	device := b.device(rt, c)
	s, err := session.New(c.session(rt, device, m))
	must(err)
	rt.Cleanup(func() { must(s.Close()) })
	must(s.Place())
	if !c.full {
		must(s.LoadAdapter(adapter))
	}
	var params []optim.Param
	for _, p := range s.Params() {
		if p.Trained {
			params = append(params, optim.Param{Name: p.Name, Value: s.Value(p.Name)})
		}
	}
	adam, err := optim.NewAdamW(device, params, c.adam)
	must(err)
	rt.Cleanup(func() { must(adam.Close()) })
	must(s.BindGradients(adam.Grad))
	rows, err := loader.New([]loader.Source{{Name: "rows", Set: loader.SetOf(c.examples), Weight: 1, Repeat: 1}},
		loader.Options{ExamplesPerStep: c.perStep, Steps: c.schedule.Steps, Shuffle: c.shuffle, Seed: c.seed})
	must(err)
	j := &job{rt: rt, trial: c, steps: map[int]train.Step{}, evals: map[int]train.Evaluation{}, Run: &train.Run{Session: s, Optimizer: adam, Data: rows,
		Options: train.Options{Schedule: c.schedule, MicroTokens: c.micro, PadID: c.pad, EvalEvery: c.judged, LoadBest: c.best, Patience: c.patience, Guard: c.guard}}}
	held := loader.NewHeld([]*loader.Set{loader.SetOf(c.examples)}, c.micro, c.pad)
	s.SetLengths(rows.Survey(c.micro).Longest, held.Longest)
	if c.judged > 0 {
		j.Eval = held.Batches()
	}
	j.Events.OnStep = func(s train.Step, _ int) error {
		s.Seconds, s.TokensPerSecond = 0, 0
		j.steps[s.Step] = s
		return nil
	}
	j.Events.OnEval = func(e train.Evaluation) error {
		e.Seconds = 0
		j.evals[e.Step] = e
		return nil
	}
	return j
}

// session is what a trial puts on a device.
func (c trial) session(rt *rapid.T, d *session.Device, m *model.Checkpoint) session.Options {
	o := session.Options{Device: d, Model: m, Dtype: c.dtype, Layers: c.layers, NoInPlace: c.apart}
	if c.full {
		o.Trained = func(string) bool { return true }
		return o
	}
	linears, err := m.Config.Linears()
	if err == nil {
		o.Adapter, err = c.lora.Adapter(linears)
	}
	if err != nil {
		rt.Fatalf("the trial's adapter: %v", err)
	}
	return o
}

// adapterWeight is A or B as after some training: Scale·B·A is of the size of the weight it is added to.
func (c trial) adapterWeight(p nn.Param) []byte {
	v, r := make([]float32, p.Shape[0]*p.Shape[1]), rng.New(c.seed, rng.Hash(p.Name))
	size := 1 / math.Sqrt(float64(p.Shape[1]))
	if strings.HasSuffix(p.Name, ".lora_B.weight") {
		size *= 0.5 / c.lora.Scale()
	}
	for i := range v {
		v[i] = float32(size * r.Norm())
	}
	return session.Float32Bytes(v)
}

// train takes the steps that are left; an error ends the trial.
func (j *job) train() {
	j.rt.Helper()
	var err error
	if j.end, err = j.Train(j.rt.Context(), j.rt.Context()); err != nil {
		j.rt.Fatalf("train: %v", err)
	}
	j.end.Seconds, j.end.Held = 0, 0
}

// errKilled is a process that ends between two steps.
var errKilled = errors.New("killed")

// ways in which a run ends before its last step.
const (
	killed  = "killed"  // without a word
	stopped = "stopped" // finishes the step and saves
	until   = "until"   // said beforehand
	cut     = "cut"     // leaves the step between two kernels, and saves the state before it
)

// trainUntil ends behind step at.
func (j *job) trainUntil(at int, how string) {
	j.rt.Helper()
	ctx, stop := context.WithCancel(j.rt.Context())
	defer stop()
	if how == until {
		j.Until = at
	}
	note := j.Events.OnStep
	j.Events.OnStep = func(s train.Step, total int) error {
		if err := note(s, total); err != nil {
			return err
		}
		switch {
		case s.Step == at && how == killed:
			return errKilled
		case s.Step == at && how == stopped:
			stop()
		}
		return nil
	}
	if _, err := j.Train(ctx, j.rt.Context()); err != nil && !errors.Is(err, errKilled) {
		j.rt.Fatalf("train until step %d: %v", at, err)
	}
}

// goOn resumes from the newest checkpoint; where there is none the run begins anew.
func (j *job) goOn(b *bench) {
	j.rt.Helper()
	c, skipped, err := j.Store.Latest()
	if err != nil || len(skipped) > 0 {
		j.rt.Fatalf("the newest checkpoint: %v, passed over: %v", err, skipped)
	}
	if c == nil {
		return
	}
	if err := errors.Join(j.Resume(c), c.Close()); err != nil {
		j.rt.Fatal(err)
	}
	if b.faults.resumed != nil {
		b.faults.resumed(j)
	}
}

// saving makes the run save into a directory.
func (j *job) saving(dir string, every int, snapshot bool) {
	j.Store, j.SaveEvery, j.Snapshot = &checkpoint.Store{FS: files(), Root: dir, Keep: 2}, every, snapshot
}

// gradients adds up those of batches, with the weights as they are, and gives the sum of the losses.
func (j *job) gradients(batches []data.Batch) outcome {
	j.rt.Helper()
	if err := j.Optimizer.ZeroGrad(); err != nil {
		j.rt.Fatal(err)
	}
	var s train.Step
	for _, batch := range batches {
		loss, err := j.Session.Accumulate(j.rt.Context(), batch)
		if err != nil {
			j.rt.Fatalf("gradients of a row of %d tokens: %v", batch.Tokens, err)
		}
		s.Loss += loss
	}
	out := outcome{steps: map[int]train.Step{1: s}, sums: values{}}
	for _, p := range j.Session.Params() {
		if !p.Trained {
			continue
		}
		o, err := j.Optimizer.Grad(p.Name)
		if err == nil {
			out.sums[p.Name], err = j.read(p.Shape, o)
		}
		if err != nil {
			j.rt.Fatal(err)
		}
	}
	return out
}

// pack is a step of all the trial's examples in rows of micro tokens.
func (c trial) pack(examples []data.Example, micro int) []data.Batch {
	return pack.Pack(examples, micro, pack.Options{Seed: c.seed, Epoch: 1, PadID: c.pad})
}

// weights are a copy of what is trained, as model.Save and peft.Save take them.
func (j *job) weights() []model.Weight {
	j.rt.Helper()
	ts, err := j.Session.Trained()
	if err != nil {
		j.rt.Fatal(err)
	}
	var ws []model.Weight
	for _, t := range ts {
		ws = append(ws, model.Weight{Name: t.Name, Dtype: kernels.Float32, Shape: t.Shape, Data: append([]byte(nil), t.Data...)})
	}
	return ws
}
