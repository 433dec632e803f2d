package lawtest

import (
	"slices"

	"attune/data"
	"attune/engine/model"
	"attune/engine/optim"
	"attune/engine/peft"
	"attune/engine/train"
	"attune/internal/rng"
	"attune/kernels"

	"pgregory.net/rapid"
)

// trial is one run: what is trained on what, and how. Laws change the how and compare.
type trial struct {
	model    model.NewOptions
	dtype    kernels.Dtype // computed in
	full     bool          // all weights are trained, not an adapter
	lora     peft.Config
	examples []data.Example
	perStep  int
	shuffle  bool
	seed     uint64
	schedule optim.Schedule // Steps is how many steps the run has
	adam     optim.Options
	judged   int  // steps between evaluations; 0 = none
	best     bool // ends with the best evaluated weights
	patience int  // evaluations without a better loss before the run stops; 0 = never
	guard    train.Guard

	threads   int
	micro     int // tokens of a packed row
	layers    int // recomputed
	apart     bool
	pad       int32
	reference bool   // computed by the reference in place of the bench's device
	before    func() // called before each kernel, where not nil
}

// most is how many tokens a row may be asked to hold: every trial's step fits one.
const most = 4096

// ids are fewer than every drawn model has.
const ids = 259

// draw is any trial. What it says of how to compute is the plainest: one thread, one row, everything stored.
func (b *bench) draw(rt *rapid.T) trial {
	c := trial{threads: 1, micro: most}
	c.model = b.drawModel(rt)
	c.dtype = rapid.SampledFrom(b.setup.Dtypes).Draw(rt, "dtype")
	c.full = rapid.Bool().Draw(rt, "full")
	if !c.full {
		c.lora = drawLoRA(rt)
	}
	c.examples = drawExamples(rt, 2, 9)
	c.perStep = rapid.IntRange(1, 6).Draw(rt, "examples_per_step")
	c.shuffle = rapid.Bool().Draw(rt, "shuffle")
	c.seed = rapid.Uint64Range(0, 1<<20).Draw(rt, "seed")
	c.schedule = optim.Schedule{
		Name:         rapid.SampledFrom(optim.Schedules()).Draw(rt, "lr_scheduler"),
		LearningRate: rapid.SampledFrom([]float64{1e-4, 3e-3, 3e-2}).Draw(rt, "learning_rate"),
		Steps:        rapid.IntRange(1, 6).Draw(rt, "steps"),
	}
	c.schedule.Warmup = rapid.IntRange(0, c.schedule.Steps).Draw(rt, "warmup_steps")
	c.adam = optim.Options{Beta1: 0.9, Beta2: rapid.SampledFrom([]float64{0.999, 0.95}).Draw(rt, "beta2"), Epsilon: 1e-8,
		WeightDecay: rapid.SampledFrom([]float64{0, 0.1}).Draw(rt, "weight_decay"),
		MaxGradNorm: rapid.SampledFrom([]float64{0, 1, 0.05}).Draw(rt, "max_grad_norm")}
	return c
}

// drawModel is a model of one of the types in odd sizes. Its matrices are large enough for attention and loss to depend on
// the text.
func (b *bench) drawModel(rt *rapid.T) model.NewOptions {
	o := model.NewOptions{
		ModelType:        rapid.SampledFrom(b.setup.Models).Draw(rt, "model_type"),
		HiddenSize:       rapid.SampledFrom([]int{16, 24, 32}).Draw(rt, "hidden_size"),
		IntermediateSize: rapid.SampledFrom([]int{24, 40}).Draw(rt, "intermediate_size"),
		NumHiddenLayers:  rapid.IntRange(1, 2).Draw(rt, "num_hidden_layers"),
		HeadDim:          rapid.SampledFrom([]int{8, 16}).Draw(rt, "head_dim"),
		Untied:           rapid.Bool().Draw(rt, "untied"),
		Dtype:            rapid.SampledFrom([]kernels.Dtype{kernels.Float32, kernels.BFloat16, kernels.Float16}).Draw(rt, "torch_dtype"),
		InitializerRange: 0.2,
		Seed:             rapid.Uint64Range(0, 3).Draw(rt, "model seed"),
	}
	// Types without a window go without: see bench.model.
	o.SlidingWindow = rapid.SampledFrom([]int{0, 0, 3, 17}).Draw(rt, "sliding_window")
	heads := rapid.SampledFrom([][2]int{{1, 1}, {2, 1}, {2, 2}, {3, 1}, {4, 2}}).Draw(rt, "heads")
	o.NumAttentionHeads, o.NumKeyValueHeads = heads[0], heads[1]
	return o
}

func drawLoRA(rt *rapid.T) peft.Config {
	names := []string{"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}
	c := peft.Config{
		R:         rapid.SampledFrom([]int{1, 2, 3, 8, 17}).Draw(rt, "r"),
		Alpha:     rapid.SampledFrom([]float64{1, 5, 16}).Draw(rt, "alpha"),
		Dropout:   rapid.SampledFrom([]float64{0, 0.1, 0.5}).Draw(rt, "dropout"),
		UseRSLoRA: rapid.Bool().Draw(rt, "use_rslora"),
		Targets:   peft.Targets{All: true},
		BaseModel: "base",
	}
	if !rapid.Bool().Draw(rt, "all-linear") {
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID).Draw(rt, "target_modules")
		slices.Sort(some) // as peft.ParseTargets does
		c.Targets = peft.Targets{Names: some}
	}
	return c
}

// drawExamples are rows of random ids, each with a trained token at least.
func drawExamples(rt *rapid.T, least, most int) []data.Example {
	lengths := rapid.SliceOfN(rapid.OneOf(rapid.IntRange(2, 20), rapid.IntRange(21, 90)), least, most).Draw(rt, "lengths of rows")
	weights := []float32{1}
	if rapid.Bool().Draw(rt, "weights") {
		weights = []float32{0, 0, 1, 1, 0.5, 3}
	}
	r := rng.New(rapid.Uint64Range(0, 1<<20).Draw(rt, "ids of rows"))
	examples := make([]data.Example, len(lengths))
	for i, n := range lengths {
		e := data.Example{IDs: make([]int32, n), Weights: make([]float32, n), Ordinal: i}
		for k := range e.IDs {
			e.IDs[k], e.Weights[k] = int32(r.Intn(ids)), weights[r.Intn(len(weights))]
		}
		e.Weights[n-1] = 1
		examples[i] = e
	}
	return examples
}
