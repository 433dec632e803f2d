package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"attune/data"
	"attune/data/pack"
	"attune/engine/exec"
	"attune/engine/model"
	"attune/engine/nn"
	"attune/engine/optim"
	"attune/engine/peft"
	"attune/engine/session"
	"attune/internal/rng"
	"attune/kernels"
)

type benchOptions struct {
	shape                                    string
	tokens, examples, rows, steps, warmup, r int
	recompute, device, dtype                 string
	threads                                  int
	profile                                  bool
}

// benchReport is what bench prints. Times are wall-clock seconds, memory is in bytes.
type benchReport struct {
	Shape           string          `json:"shape"`
	Device          string          `json:"device"`
	Warning         string          `json:"warning,omitempty"` // of the device
	Dtype           string          `json:"dtype"`
	Tokens          int             `json:"tokens"` // of a row
	Examples        int             `json:"examples"`
	Rows            int             `json:"rows"`
	Rank            int             `json:"lora_r"`
	Parameters      int64           `json:"parameters"`
	Trained         int64           `json:"trained_parameters"`
	Recomputed      int             `json:"recomputed_layers"`
	Layers          int             `json:"layers"`
	Seconds         []float64       `json:"seconds"` // of every measured step
	Median          float64         `json:"median_seconds"`
	TokensPerSecond float64         `json:"tokens_per_second"` // of the median step
	TFLOPs          float64         `json:"tflops_per_second"` // by the operations' own count
	Losses          []float64       `json:"losses"`            // of all steps, warm-up included
	Planned         int64           `json:"planned_bytes"`
	Measured        int64           `json:"measured_bytes,omitempty"` // what the device has less of than before; only where it has memory of its own
	Profile         []kernelProfile `json:"profile,omitempty"`
}

// kernelProfile is all calls of a kernel in one row.
type kernelProfile struct {
	Kernel  string  `json:"kernel"`
	Calls   int     `json:"calls"`
	Seconds float64 `json:"seconds"`
	FLOP    int64   `json:"flop"`
	Bytes   int64   `json:"bytes"`
}

// benchRun is what a benchmark holds open.
type benchRun struct {
	o       benchOptions
	device  *session.Device
	session *session.Session
	opt     *optim.AdamW
	rows    []data.Batch
}

// bench trains a few steps; tell is called after each.
func bench(ctx context.Context, o benchOptions, tell func(done int)) (r benchReport, err error) {
	b := &benchRun{o: o}
	defer func() { err = errors.Join(err, b.close()) }()
	text, err := model.Shape(o.shape)
	if err != nil {
		return r, asUsage(err)
	}
	c, err := model.ParseConfig(text)
	if err != nil {
		return r, err
	}
	if b.device, err = session.OpenDevice(o.device, o.threads); err != nil {
		return r, err
	}
	dtype, err := b.device.Dtype(o.dtype)
	if err != nil {
		return r, asUsage(err)
	}
	before, err := memoryFree(b.device)
	if err != nil {
		return r, err
	}
	r = benchReport{Shape: o.shape, Device: b.device.Name(), Warning: harmless(b.device.Warning), Dtype: dtype.String(), Tokens: pack.RoundUp(o.tokens), Examples: o.examples, Rows: o.rows, Rank: o.r}
	plan, err := b.place(c, dtype, before, &r)
	if err != nil {
		return r, err
	}
	for i := range o.rows {
		b.rows = append(b.rows, randomRow(o, c.VocabSize, i))
	}
	for i := range o.warmup + o.steps {
		begin := time.Now()
		loss, err := b.step(ctx)
		if err != nil {
			return r, fmt.Errorf("step %d: %w", i+1, err)
		}
		r.Losses = append(r.Losses, loss)
		if i >= o.warmup {
			r.Seconds = append(r.Seconds, time.Since(begin).Seconds())
		}
		tell(i + 1)
	}
	sorted := slices.Sorted(slices.Values(r.Seconds))
	r.Median = sorted[len(sorted)/2]
	r.TokensPerSecond = float64(o.tokens*o.rows) / r.Median
	r.TFLOPs = float64(plan.Cost.FLOP) * float64(o.rows) / r.Median / 1e12
	if b.device.Discrete {
		after, err := b.device.MemoryFree()
		if err != nil {
			return r, err
		}
		r.Measured = before - after
	}
	if o.profile {
		r.Profile, err = b.profile(ctx)
	}
	return r, err
}

// place puts random weights and the optimizer's state on the device and takes the memory of the plan.
func (b *benchRun) place(c *model.Config, dtype kernels.Dtype, free int64, r *benchReport) (session.Plan, error) {
	o := session.Options{Device: b.device, Dtype: dtype}
	var err error
	if o.Model, err = model.Random(c, dtype, 1); err != nil {
		return session.Plan{}, err
	}
	if b.o.r > 0 {
		targets, err := peft.ParseTargets([]string{"all-linear"})
		if err != nil {
			return session.Plan{}, err
		}
		linears, err := c.Linears()
		if err != nil {
			return session.Plan{}, err
		}
		lora := peft.Config{R: b.o.r, Alpha: float64(2 * b.o.r), Targets: targets}
		if o.Adapter, err = lora.Adapter(linears); err != nil {
			return session.Plan{}, asUsage(err)
		}
	} else {
		o.Trained = func(string) bool { return true }
	}
	switch b.o.recompute {
	case "auto":
		o.Auto = true
	case "full":
		o.Layers = math.MaxInt
	}
	if b.session, err = session.New(o); err != nil {
		return session.Plan{}, err
	}
	var shapes [][]int
	for _, p := range b.session.Params() {
		n := elements(p)
		r.Parameters += n
		if p.Trained {
			r.Trained += n
			shapes = append(shapes, p.Shape)
		}
	}
	fixed := slices.Concat(b.session.Buffers(), optim.Sizes(b.device.Scratch, shapes))
	taken := b.device.Takes(fixed) + b.device.Resident
	if taken > free {
		return session.Plan{}, fmt.Errorf("%w: weights, gradients and optimizer take %s%s, %s; take a smaller --shape", exec.ErrMemory,
			mib(taken), ofKernels(b.device), areFree(b.device, free))
	}
	b.session.SetLimit(free - taken)
	plan, err := b.session.Plan(r.Tokens, 0)
	if errors.Is(err, exec.ErrMemory) {
		err = fmt.Errorf("%w: lower --tokens", err)
	}
	if err != nil {
		return plan, err
	}
	r.Planned = b.device.Takes(slices.Concat(fixed, plan.Buffers())) + b.device.Resident + plan.Recordings
	r.Recomputed, r.Layers = plan.Recomputed, plan.Layers
	if r.Planned > free {
		return plan, fmt.Errorf("%w: the benchmark takes %s, %s; lower --tokens, or take --recompute full", exec.ErrMemory, mib(r.Planned), areFree(b.device, free))
	}
	if err := b.session.Place(); err != nil {
		return plan, err
	}
	// Both matrices of an adapter are random: zeros would be faster to multiply.
	err = b.session.LoadAdapter(func(p nn.Param) ([]byte, error) {
		v, random := make([]float32, elements(p)), rng.New(1, rng.Hash(p.Name))
		for i := range v {
			v[i] = float32(0.01 * random.Norm())
		}
		return session.Float32Bytes(v), nil
	})
	if err != nil {
		return plan, err
	}
	var params []optim.Param
	for _, p := range b.session.Params() {
		if p.Trained {
			params = append(params, optim.Param{Name: p.Name, Value: b.session.Value(p.Name)})
		}
	}
	if b.opt, err = optim.NewAdamW(b.device, params, optim.Options{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, MaxGradNorm: 1}); err != nil {
		return plan, err
	}
	if err := b.session.BindGradients(b.opt.Grad); err != nil {
		return plan, err
	}
	return plan, b.session.Reserve(plan)
}

// step is an optimizer step as engine/train takes it.
func (b *benchRun) step(ctx context.Context) (loss float64, err error) {
	if err := b.opt.ZeroGrad(); err != nil {
		return 0, err
	}
	for _, row := range b.rows {
		if err := b.session.Queue(ctx, row); err != nil {
			return 0, err
		}
	}
	norm, err := b.opt.Norm()
	if err != nil {
		return 0, err
	}
	losses, err := b.session.Losses()
	if err != nil {
		return 0, err
	}
	for _, l := range losses {
		loss += l
	}
	return loss, b.opt.Update(1e-4, norm)
}

func (b *benchRun) profile(ctx context.Context) ([]kernelProfile, error) {
	byName := map[string]*kernelProfile{}
	if err := b.session.Profile(ctx, b.rows[0], func(w exec.Work, d time.Duration) {
		k := byName[w.Kernel.Name()]
		if k == nil {
			k = &kernelProfile{Kernel: w.Kernel.Name()}
			byName[k.Kernel] = k
		}
		k.Calls, k.Seconds, k.FLOP, k.Bytes = k.Calls+1, k.Seconds+d.Seconds(), k.FLOP+w.FLOP, k.Bytes+w.Bytes
	}); err != nil {
		return nil, err
	}
	var ks []kernelProfile
	for _, k := range byName {
		ks = append(ks, *k)
	}
	slices.SortFunc(ks, func(a, b kernelProfile) int {
		return cmp.Or(cmp.Compare(b.Seconds, a.Seconds), cmp.Compare(a.Kernel, b.Kernel))
	})
	return ks, nil
}

// randomRow is a packed row without padding but for what rounds it up, in which every token but the last of an example is
// learnt from.
func randomRow(o benchOptions, vocabulary, i int) data.Batch {
	n := pack.RoundUp(o.tokens)
	b := data.Batch{Tokens: n, IDs: make([]int32, n), Positions: make([]int32, n), Segments: make([]int32, n), Targets: make([]int32, n),
		Weights: make([]float32, n), Keys: make([]int32, n), Real: o.tokens}
	random, each := rng.New(1, uint64(i)), o.tokens/o.examples
	for t := range n {
		if t >= o.tokens {
			b.Segments[t] = -1
			continue
		}
		b.IDs[t], b.Positions[t], b.Segments[t], b.Keys[t] = int32(random.Intn(vocabulary)), int32(t%each), int32(t/each), int32(random.Uint64())
		if t%each > 0 {
			b.Targets[t-1], b.Weights[t-1] = b.IDs[t], 1/float32(o.rows*(o.tokens-o.examples))
			b.Trained++
		}
	}
	return b
}

func (b *benchRun) close() error {
	var errs []error
	if b.opt != nil {
		errs = append(errs, b.opt.Close())
	}
	if b.session != nil {
		errs = append(errs, b.session.Close())
	}
	if b.device != nil {
		errs = append(errs, b.device.Close())
	}
	return errors.Join(errs...)
}
