// Package optim turns gradients into new parameters: AdamW with clipping of the gradient's norm, and the schedules of
// the learning rate. All arithmetic on parameters is a backend's; only the norms of the tensors come back.
package optim

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"attune/engine/exec"
	"attune/kernels"
)

// ErrNonFinite marks the error of a step whose loss or gradient holds a NaN or an infinity. Nothing was changed by it.
var ErrNonFinite = errors.New("not a finite number")

// Options are AdamW's, under the names of torch.optim.AdamW and of the run file.
type Options struct {
	Beta1, Beta2, Epsilon float64
	// WeightDecay is applied to matrices (two dimensions or more) and not to vectors: norms and biases.
	WeightDecay float64
	// MaxGradNorm scales the gradient down to this 2-norm, taken over all parameters together, where it is longer. 0
	// is off.
	MaxGradNorm float64
}

// Validate says what is wrong with the options, or nil.
func (o Options) Validate() error {
	switch {
	case !(o.Beta1 >= 0 && o.Beta1 < 1) || !(o.Beta2 >= 0 && o.Beta2 < 1):
		return fmt.Errorf("adamw: betas %g and %g; both must be in [0, 1)", o.Beta1, o.Beta2)
	case !(o.Epsilon >= 0) || math.IsInf(o.Epsilon, 0):
		return fmt.Errorf("adamw: epsilon %g; it must be a number from 0 up", o.Epsilon)
	case !(o.WeightDecay >= 0) || math.IsInf(o.WeightDecay, 0):
		return fmt.Errorf("adamw: weight decay %g; it must be a number from 0 up", o.WeightDecay)
	case !(o.MaxGradNorm >= 0) || math.IsInf(o.MaxGradNorm, 0):
		return fmt.Errorf("adamw: max_grad_norm %g; it must be a number from 0 (off) up", o.MaxGradNorm)
	}
	return nil
}

// Param is one trained tensor: float32, changed in place.
type Param struct {
	Name  string
	Value exec.Operand
}

// AdamW holds, for every parameter, its gradient (exec.Accumulation adds to it) and the two moments. The update is
// torch.optim.AdamW's (Loshchilov and Hutter 2019, arXiv:1711.05101).
type AdamW struct {
	backend exec.Backend
	o       Options
	params  []Param
	index   map[string]int
	updates int

	grads, exp, expSq exec.Buffer // every parameter's tensor at offset at[i] of each
	at                []int64
	sums              exec.Buffer // squared norms, one float32 every exec.Align bytes
	hyper             exec.Buffer // (4) float32, see kernels.AdamW
	scratch           exec.Buffer // the most any launch needs; nil for none

	norms, changes []exec.Launch // of every parameter, independent of each other, made once
}

// NewAdamW allocates gradients and moments, all zero: three times the parameters' bytes.
func NewAdamW(b exec.Backend, params []Param, o Options) (*AdamW, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	if len(params) == 0 {
		return nil, errors.New("adamw: no parameters to train")
	}
	a := &AdamW{backend: b, o: o, params: append([]Param(nil), params...), index: map[string]int{}}
	var shapes [][]int
	for i, p := range params {
		if _, ok := a.index[p.Name]; ok {
			return nil, fmt.Errorf("adamw: two parameters named %s", p.Name)
		}
		if p.Value.Dtype != kernels.Float32 {
			return nil, fmt.Errorf("adamw: %s is %v; trained parameters are kept in float32", p.Name, p.Value.Dtype)
		}
		a.index[p.Name] = i
		shapes = append(shapes, p.Value.Shape)
	}
	var sizes [6]int64
	a.at, sizes = layOut(b.Scratch, shapes)
	for i, buf := range []*exec.Buffer{&a.grads, &a.exp, &a.expSq, &a.sums, &a.hyper, &a.scratch} {
		if sizes[i] == 0 {
			continue
		}
		var err error
		if *buf, err = b.Alloc(sizes[i]); err != nil {
			return nil, errors.Join(fmt.Errorf("adamw: allocate the state: %w", err), a.Close())
		}
	}
	for i := range params {
		a.norms, a.changes = append(a.norms, a.scratched(a.sumSq(i))), append(a.changes, a.scratched(a.update(i)))
	}
	return a, nil
}

// scratchOf is exec.Backend.Scratch.
type scratchOf func(k kernels.Kernel, in, out []exec.Type) int64

// Sizes are the bytes of each buffer that NewAdamW allocates for parameters of these shapes.
func Sizes(scratch scratchOf, shapes [][]int) []int64 {
	_, sizes := layOut(scratch, shapes)
	return slices.DeleteFunc(sizes[:], func(n int64) bool { return n == 0 })
}

// layOut gives the offset of every parameter in a buffer of the state, and the sizes of gradients, both moments, sums, hyper
// and scratch.
func layOut(scratch scratchOf, shapes [][]int) (at []int64, sizes [6]int64) {
	var size, most int64
	sum, hyper := exec.Type{Dtype: kernels.Float32, Shape: []int{}}, exec.Type{Dtype: kernels.Float32, Shape: []int{4}}
	for _, shape := range shapes {
		t := exec.Type{Dtype: kernels.Float32, Shape: shape}
		at = append(at, size)
		size += (t.Bytes() + exec.Align - 1) / exec.Align * exec.Align
		most = max(most, scratch(kernels.SumSq{}, []exec.Type{t}, []exec.Type{sum}),
			scratch(kernels.AdamW{}, []exec.Type{t, t, t, t, hyper}, []exec.Type{t, t, t}))
	}
	most = max(most, scratch(kernels.Zero{}, nil, []exec.Type{{Dtype: kernels.Float32, Shape: []int{int(size / 4)}}}))
	return at, [6]int64{size, size, size, int64(len(shapes)) * exec.Align, 4 * kernels.Float32.Size(), most}
}

// tensor is parameter i's place in one of the state's buffers.
func (a *AdamW) tensor(buf exec.Buffer, i int) exec.Operand {
	return exec.Operand{Buf: buf, Off: a.at[i], Dtype: kernels.Float32, Shape: a.params[i].Value.Shape}
}

// sumSq sums the squares of gradient i.
func (a *AdamW) sumSq(i int) exec.Launch {
	sum := exec.Operand{Buf: a.sums, Off: int64(i) * exec.Align, Dtype: kernels.Float32, Shape: []int{}}
	return exec.Launch{Kernel: kernels.SumSq{}, In: []exec.Operand{a.tensor(a.grads, i)}, Out: []exec.Operand{sum}}
}

// update is the step of parameter i.
func (a *AdamW) update(i int) exec.Launch {
	k := kernels.AdamW{Beta1: a.o.Beta1, Beta2: a.o.Beta2, Eps: a.o.Epsilon}
	p := a.params[i].Value
	if len(p.Shape) >= 2 {
		k.WeightDecay = a.o.WeightDecay
	}
	m, v, h := a.tensor(a.exp, i), a.tensor(a.expSq, i), exec.Operand{Buf: a.hyper, Dtype: kernels.Float32, Shape: []int{4}}
	return exec.Launch{Kernel: k, In: []exec.Operand{p, a.tensor(a.grads, i), m, v, h}, Out: []exec.Operand{p, m, v}}
}

// scratched is a launch with working memory, one region for all.
func (a *AdamW) scratched(l exec.Launch) exec.Launch {
	if a.scratch != nil {
		l.Scratch = exec.Region{Buf: a.scratch, Len: a.scratch.Bytes()}
	}
	return l
}

// Grad is where the gradient of a parameter is summed: what an exec.Accumulation is bound to.
func (a *AdamW) Grad(name string) (exec.Operand, error) {
	i, ok := a.index[name]
	if !ok {
		return exec.Operand{}, fmt.Errorf("adamw: no parameter %s", name)
	}
	return a.tensor(a.grads, i), nil
}

// ZeroGrad sets all gradients to zero, before the first micro-batch of a step.
func (a *AdamW) ZeroGrad() error {
	all := exec.Operand{Buf: a.grads, Dtype: kernels.Float32, Shape: []int{int(a.grads.Bytes() / 4)}}
	if err := a.backend.Launch(a.scratched(exec.Launch{Kernel: kernels.Zero{}, Out: []exec.Operand{all}})); err != nil {
		return fmt.Errorf("zero the gradients: %w", err)
	}
	return nil
}

// Update changes all parameters by their gradients at learning rate lr; n is what Norm says of them. Clipping is
// torch.nn.utils.clip_grad_norm_'s: the gradient is multiplied by max_norm/(norm + 1e-6) where that is below 1. A norm
// that is not finite is an error that is ErrNonFinite, and nothing is changed. The update is queued, not waited for.
func (a *AdamW) Update(lr float64, n Norm) error {
	t := float64(a.updates + 1)
	if !n.Finite() {
		return fmt.Errorf("update %d: the gradient's norm is %g: %w; lower train.learning_rate", a.updates+1, n.Global, ErrNonFinite)
	}
	scale := 1.0
	if a.o.MaxGradNorm > 0 {
		scale = min(1, a.o.MaxGradNorm/(n.Global+1e-6))
	}
	var hyper []byte
	for _, h := range []float64{lr, 1 - math.Pow(a.o.Beta1, t), 1 - math.Pow(a.o.Beta2, t), scale} {
		hyper = binary.LittleEndian.AppendUint32(hyper, math.Float32bits(float32(h)))
	}
	if err := a.backend.Upload(a.hyper, 0, hyper); err != nil {
		return fmt.Errorf("update %d: %w", a.updates+1, err)
	}
	if err := exec.LaunchAll(a.backend, a.changes); err != nil {
		return fmt.Errorf("update %d: %w", a.updates+1, err)
	}
	a.updates++
	return nil
}

// Updates is how often the parameters were changed: the t of AdamW's bias correction.
func (a *AdamW) Updates() int { return a.updates }

func (a *AdamW) buffers() []exec.Buffer {
	var bs []exec.Buffer
	for _, b := range []exec.Buffer{a.grads, a.exp, a.expSq, a.sums, a.hyper, a.scratch} {
		if b != nil {
			bs = append(bs, b)
		}
	}
	return bs
}

// Close frees the gradients and moments; the parameters are their owner's.
func (a *AdamW) Close() error {
	var err error
	for _, b := range a.buffers() {
		err = errors.Join(err, b.Free())
	}
	return err
}
