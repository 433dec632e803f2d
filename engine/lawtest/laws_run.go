package lawtest

import (
	"context"
	"fmt"
	"maps"

	"attune/engine/train"

	"pgregory.net/rapid"
)

// run is what a trial comes to, from its first step to the last.
func (b *bench) run(rt *rapid.T, c trial) outcome {
	rt.Helper()
	j := b.start(rt, c)
	j.train()
	return j.outcome()
}

// microBatches: however many packed rows a step is cut into, it is the same step.
func microBatches(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	c.schedule.LearningRate = 0
	whole := b.run(rt, c)
	c.micro = rapid.SampledFrom([]int{64, 128, 192}).Draw(rt, "micro_batch_tokens")
	near(rt, fmt.Sprintf("rows of %d tokens", c.micro), rounding(c.dtype), b.run(rt, c), whole)
}

// threads: their number changes no bit. Half of the models are wide enough for the work of a kernel to be split.
func threads(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	if rapid.Bool().Draw(rt, "wide") {
		c.model.HiddenSize, c.model.IntermediateSize, c.schedule.Steps = 160, 416, 1
		c.schedule.Warmup = 0
	}
	c.micro = rows(rt, "micro_batch_tokens")
	one := b.run(rt, c)
	c.threads = rapid.IntRange(2, 5).Draw(rt, "threads")
	same(rt, fmt.Sprintf("%d threads", c.threads), b.run(rt, c), one)
}

// recompute: layers that are computed again for the backward pass give the bits of layers that are kept.
func recompute(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	c.micro = rows(rt, "micro_batch_tokens")
	stored := b.run(rt, c)
	c.layers = rapid.IntRange(1, c.model.NumHiddenLayers).Draw(rt, "layers recomputed")
	same(rt, fmt.Sprintf("%d layers recomputed", c.layers), b.run(rt, c), stored)
}

// inPlace: results that take the memory of what they are made of are those with memory of their own.
func inPlace(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	c.micro = rows(rt, "micro_batch_tokens")
	c.layers = rapid.IntRange(0, c.model.NumHiddenLayers).Draw(rt, "layers recomputed")
	in := b.run(rt, c)
	c.apart = true
	same(rt, "with memory of its own for every result", b.run(rt, c), in)
}

// recorded: what is queued from recordings, and many launches taken as one, give the bits of kernels that are launched one by
// one. On a backend that does neither there is nothing to it.
func recorded(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	c.micro = rows(rt, "micro_batch_tokens")
	c.perStep = len(c.examples) // rows of the same lengths in every step
	c.schedule.Steps = rapid.IntRange(2, 5).Draw(rt, "steps, some")
	c.judged = rapid.IntRange(0, 1).Draw(rt, "eval.every")
	whole := b.run(rt, c)
	c.before = func() {} // who watches launches sees each
	same(rt, "launched one by one", b.run(rt, c), whole)
}

// padding: which id stands where there is no text changes no bit.
func padding(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	c.micro = rows(rt, "micro_batch_tokens")
	want := b.run(rt, c)
	c.pad = int32(rapid.IntRange(1, ids-1).Draw(rt, "padding id"))
	same(rt, fmt.Sprintf("padded with %d", c.pad), b.run(rt, c), want)
}

// doubled: weights are relative to each other; all of them times a power of two are the same to the bit.
func doubled(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	c.micro = rows(rt, "micro_batch_tokens")
	want := b.run(rt, c)
	factor := rapid.SampledFrom([]float32{2, 0.25, 64}).Draw(rt, "factor")
	for _, e := range c.examples {
		for k := range e.Weights {
			e.Weights[k] *= factor
		}
	}
	same(rt, fmt.Sprintf("weights times %g", factor), b.run(rt, c), want)
}

// watched: evaluating and saving between the steps changes no bit of them.
func watched(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	c.micro = rows(rt, "micro_batch_tokens")
	want := b.run(rt, c)
	c.judged = rapid.IntRange(1, 2).Draw(rt, "eval.every")
	j := b.start(rt, c)
	j.saving(b.temp(rt), rapid.IntRange(1, 2).Draw(rt, "checkpoint.every"), rapid.Bool().Draw(rt, "in the background"))
	j.train()
	got := j.outcome()
	got.evals, got.end = want.evals, want.end
	same(rt, "evaluated and saved in between", got, want)
}

// resumed: a run that is killed, stopped or cut short, any number of times behind any steps or between any two kernels, and
// resumed with another number of threads or of layers recomputed, saving in the foreground or beside the steps, has the
// steps, the evaluations and the final bits of the unbroken one.
func resumed(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	if c.judged = rapid.IntRange(0, 3).Draw(rt, "eval.every"); c.judged > 0 {
		c.best = rapid.Bool().Draw(rt, "load_best")
		c.patience = rapid.IntRange(0, 2).Draw(rt, "patience")
	}
	b.breakUp(rt, c)
}

// guarded: so it is where a guard leaves steps out, or goes back, on the way.
func guarded(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	c.schedule.Steps = rapid.IntRange(9, 14).Draw(rt, "steps, many")
	c.guard = train.Guard{Spike: rapid.SampledFrom([]train.Policy{train.Skip, train.Rollback}).Draw(rt, "guard.spike"),
		ZScore: rapid.SampledFrom([]float64{0.1, 1}).Draw(rt, "guard.z_score"), Window: rapid.IntRange(8, 10).Draw(rt, "guard.window"), Most: 100}
	b.breakUp(rt, c)
}

// breakUp holds a trial, broken up, to the same unbroken.
func (b *bench) breakUp(rt *rapid.T, c trial) {
	c.micro = rows(rt, "micro_batch_tokens")
	every := rapid.IntRange(1, 3).Draw(rt, "checkpoint.every")
	unbroken := b.start(rt, c)
	unbroken.saving(b.temp(rt), every, false)
	unbroken.train()
	want := unbroken.outcome()

	dir, steps, evals := b.temp(rt), map[int]train.Step{}, map[int]train.Evaluation{}
	// part is one process: it resumes, trains as how says, and what it tells is noted.
	part := func(before func(), how func(*job)) *job {
		c.threads = rapid.IntRange(1, 3).Draw(rt, "threads")
		c.layers = rapid.IntRange(0, c.model.NumHiddenLayers).Draw(rt, "layers recomputed")
		c.before = before
		j := b.start(rt, c)
		j.saving(dir, every, rapid.Bool().Draw(rt, "in the background"))
		j.goOn(b)
		how(j)
		maps.Copy(steps, j.steps)
		maps.Copy(evals, j.evals)
		return j
	}
	for range rapid.IntRange(1, 3).Draw(rt, "ends") {
		how := rapid.SampledFrom([]string{killed, stopped, until, cut}).Draw(rt, "how")
		if how == cut {
			cutAt(rt, rapid.IntRange(1, 600).Draw(rt, "before kernel"), part)
			continue
		}
		at := rapid.IntRange(1, c.schedule.Steps).Draw(rt, "behind step")
		part(nil, func(j *job) { j.trainUntil(at, how) })
	}
	got := part(nil, (*job).train).outcome()
	got.steps, got.evals = steps, evals
	if c.guard.Spike != "" { // what is told of a step that is left out later stays told
		got.steps, want.steps = nil, nil
	}
	same(rt, "broken up and resumed", got, want)
}

// cutAt is a part that is told before a kernel to leave its step.
func cutAt(rt *rapid.T, kernel int, part func(before func(), how func(*job)) *job) {
	ctx, leave := context.WithCancel(rt.Context())
	defer leave()
	part(func() {
		if kernel--; kernel == 0 {
			leave()
		}
	}, func(j *job) {
		if _, err := j.Train(ctx, ctx); err != nil {
			rt.Fatalf("train, cut short: %v", err)
		}
	})
}
