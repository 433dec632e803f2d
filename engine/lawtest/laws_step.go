package lawtest

import (
	"math"
	"slices"

	"attune/data"
	"attune/data/loader"
	"attune/data/pack"
	"attune/engine/eval"
	"attune/kernels"

	"pgregory.net/rapid"
)

// rows is any length of packed rows.
func rows(rt *rapid.T, label string) int {
	return rapid.SampledFrom([]int{64, 128, 192, most}).Draw(rt, label)
}

// packed: the gradients of a step's examples in packed rows are the sum of those of each example in a row of its own.
func packed(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	j := b.start(rt, c)
	together := j.gradients(c.pack(c.examples, rows(rt, "micro_batch_tokens")))
	var alone []data.Batch
	all := pack.TrainedWeight(c.examples)
	for _, e := range c.examples {
		one := c.pack([]data.Example{e}, most)[0]
		share := pack.TrainedWeight([]data.Example{e}) / all
		for i, w := range one.Weights {
			one.Weights[i] = float32(float64(w) * share)
		}
		alone = append(alone, one)
	}
	near(rt, "packed against one by one", rounding(c.dtype), together, j.gradients(alone))
}

// order: the order of the examples within a step changes nothing.
func order(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	other := rapid.Permutation(c.examples).Draw(rt, "order")
	j := b.start(rt, c)
	got := j.gradients(c.pack(other, rows(rt, "micro_batch_tokens")))
	near(rt, "examples in another order", rounding(c.dtype), got, j.gradients(c.pack(c.examples, most)))
}

// twice: an example is the same as two of it, each of half the weight.
func twice(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	i := rapid.IntRange(0, len(c.examples)-1).Draw(rt, "which example")
	half := c.examples[i]
	half.Weights = slices.Clone(half.Weights)
	for k := range half.Weights {
		half.Weights[k] /= 2
	}
	both := slices.Clone(c.examples)
	both[i] = half
	both = append(both, half) // of the same Ordinal: dropout falls on both alike
	j := b.start(rt, c)
	got := j.gradients(c.pack(both, rows(rt, "micro_batch_tokens")))
	near(rt, "an example as two halves", rounding(c.dtype), got, j.gradients(c.pack(c.examples, most)))
}

// evaluation: the loss of a step over all examples, without dropout, is the mean over their trained tokens that an
// evaluation of a model with dropout measures.
func evaluation(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	for _, e := range c.examples {
		for k, w := range e.Weights {
			if w != 0 {
				e.Weights[k] = 1 // an evaluation does not know weights
			}
		}
	}
	judged := b.start(rt, c)
	c.lora.Dropout = 0
	j := b.start(rt, c)
	got := j.gradients(c.pack(c.examples, rows(rt, "micro_batch_tokens"))).steps[1].Loss
	held := loader.NewHeld([]*loader.Set{loader.SetOf(c.examples)}, rows(rt, "tokens of a held-out row"), c.pad)
	want, _, err := eval.MeanLoss(rt.Context(), judged.Session, held.Batches())
	if err != nil {
		rt.Fatal(err)
	}
	if tol := rounding(c.dtype).loss; distance(got, want) > tol {
		rt.Fatalf("a step over all rows has the loss %.9g, the evaluation %.9g: off by %.2g, allowed are %.2g", got, want, distance(got, want), tol)
	}
}

// reference: a run is that of the plain loops which define the kernels.
func reference(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	c.schedule.LearningRate, c.schedule.Steps, c.schedule.Warmup = 0, 1, 0
	c.micro = rows(rt, "micro_batch_tokens")
	got := b.run(rt, c)
	c.reference = true
	tol := tolerance{loss: 1e-6, norm: 1e-5, element: 2e-4, tensor: 1e-4} // the kernels' own are 1e-5, and some twenty follow one another
	if c.dtype == kernels.BFloat16 {
		tol = tolerance{loss: 1e-2, norm: 0.1, element: math.Inf(1), tensor: 0.4} // theirs are 1e-2
	}
	near(rt, "against the reference", tol, got, b.run(rt, c))
}

// frozen: a learning rate of 0 moves no weight, and another moves every one that has a gradient.
func frozen(b *bench, rt *rapid.T) {
	c := b.draw(rt)
	j := b.start(rt, c)
	began := j.outcome()
	lr := c.schedule.LearningRate
	c.schedule.LearningRate = 0
	sameValues(rt, "at a learning rate of 0: weight", b.run(rt, c).weights, began.weights)
	c.schedule.LearningRate, c.schedule.Steps, c.schedule.Warmup = lr, 1, 0
	moved := b.run(rt, c)
	for name, sums := range moved.sums {
		for at := 0; at < len(sums.data); at += 4 {
			g, was, is := float(sums.data[at:]), float(began.weights[name].data[at:]), float(moved.weights[name].data[at:])
			if (g > 1e-6 && is >= was || g < -1e-6 && is <= was) && c.adam.WeightDecay == 0 {
				rt.Fatalf("%s, element %d: from %.9g to %.9g by a gradient of %.3g", name, at/4, was, is, g)
			}
		}
	}
}
