// Package shapes checks that a kernel's operands fit together, for all backends: they refuse the same with the same words.
// Contents are not looked at.
package shapes

import (
	"errors"
	"fmt"
	"slices"

	"attune/kernels"
)

// Operand is how one input or output lies in memory: dense, row-major. The zero Operand is an output that is not wanted.
type Operand struct {
	Dtype kernels.Dtype
	Shape []int
}

// Elems is the number of elements.
func (o Operand) Elems() int {
	n := 1
	for _, d := range o.Shape {
		n *= d
	}
	return n
}

func (o Operand) wanted() bool { return o.Dtype != 0 }

// cols is the last dimension and rows the product of the others; a scalar is one row of one.
func (o Operand) cols() int {
	if len(o.Shape) == 0 {
		return 1
	}
	return o.Shape[len(o.Shape)-1]
}

func (o Operand) rows() int {
	if c := o.cols(); c > 0 {
		return o.Elems() / c
	}
	return 0
}

// Check says what is wrong with the operands of k, or nil: how many there are, one that is missing, a dtype that is not
// what the kernel documents (floating-point ones are float32 or bfloat16), shapes that do not belong together. Outputs that
// are missing at the end are not wanted.
func Check(k kernels.Kernel, in, out []Operand) error {
	inputs, outputs := number(k)
	if outputs == 0 {
		return errors.New("operands unknown to package shapes")
	}
	if len(in) != inputs || len(out) > outputs {
		return fmt.Errorf("%d inputs and %d outputs, takes %d and %d", len(in), len(out), inputs, outputs)
	}
	c := checker{in: in, out: Pad(k, out)}
	for i, o := range in {
		if !o.wanted() {
			return fmt.Errorf("input %d is not there", i)
		}
	}
	for _, o := range slices.Concat(in, out) {
		if slices.ContainsFunc(o.Shape, func(d int) bool { return d < 0 }) {
			return fmt.Errorf("negative dimension in %v", o.Shape)
		}
	}
	c.check(k)
	return c.err
}

// Pad gives out as many elements as k has outputs, zero ones behind.
func Pad[T any](k kernels.Kernel, out []T) []T {
	if _, n := number(k); len(out) < n {
		return append(slices.Clone(out), make([]T, n-len(out))...)
	}
	return out
}

// checker keeps the first complaint.
type checker struct {
	in, out []Operand
	err     error
}

func (c *checker) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
}

// number is how many inputs and outputs k takes; none for a kernel that is not known.
func number(k kernels.Kernel) (in, out int) {
	switch k := k.(type) {
	case kernels.Accumulate, kernels.Add, kernels.Embed, kernels.EmbedBwd, kernels.NF4, kernels.Rows, kernels.RoPE, kernels.ScaleBy, kernels.SwiGLU:
		return 2, 1
	case kernels.AdamW:
		return 5, 3
	case kernels.Attention:
		return 4, 2
	case kernels.AttentionBwd:
		return 7, 3
	case kernels.AttentionCached:
		return 6, 1
	case kernels.Linear:
		return 2 + count(k.Bias) + 2*count(k.Rank > 0) + count(k.Dropout > 0), 2
	case kernels.LinearBwd:
		return 3 + 3*count(k.Rank > 0) + count(k.Dropout > 0), 5
	case kernels.LinearCrossEntropy:
		return 4, 4
	case kernels.RMSNorm:
		return 2, 2
	case kernels.RMSNormBwd:
		return 4, 2
	case kernels.SumSq:
		return 1, 1
	case kernels.SwiGLUBwd:
		return 3, 2
	case kernels.Zero:
		return 0, 1
	}
	return 0, 0
}

func (c *checker) check(k kernels.Kernel) {
	in, out := c.in, c.out
	switch k := k.(type) {
	case kernels.Accumulate:
		c.stored("acc", in[0], kernels.Float32, in[0].Shape...)
		c.stored("output acc", out[0], kernels.Float32, in[0].Shape...)
		c.floating("x", in[1], in[0].Shape...)
	case kernels.Add:
		c.alike()
	case kernels.AdamW:
		c.adamW()
	case kernels.Attention, kernels.AttentionBwd:
		c.attention()
	case kernels.AttentionCached:
		c.attentionCached()
	case kernels.Embed, kernels.Rows:
		c.pickRows()
	case kernels.EmbedBwd:
		c.embedBwd()
	case kernels.Linear:
		c.linear(k)
	case kernels.LinearBwd:
		c.linearBwd(k)
	case kernels.LinearCrossEntropy:
		c.crossEntropy()
	case kernels.NF4:
		c.nf4(k)
	case kernels.RMSNorm:
		c.rmsNorm()
	case kernels.RMSNormBwd:
		c.rmsNormBwd()
	case kernels.RoPE:
		c.rope(k)
	case kernels.ScaleBy:
		c.floating("x", in[0], in[0].Shape...)
		c.stored("s", in[1], kernels.Float32)
		c.floating("y", out[0], in[0].Shape...)
	case kernels.SumSq:
		c.floating("x", in[0], in[0].Shape...)
		c.stored("s", out[0], kernels.Float32)
	case kernels.SwiGLU:
		c.activation(k.Act)
		c.alike()
	case kernels.SwiGLUBwd:
		c.activation(k.Act)
		c.alike()
	}
}

func (o Operand) floating() bool { return o.Dtype == kernels.Float32 || o.Dtype == kernels.BFloat16 }

// floating checks the shape of an operand that is stored as float32 or bfloat16. One that is not wanted passes.
func (c *checker) floating(what string, o Operand, shape ...int) {
	if o.wanted() && (!o.floating() || !slices.Equal(o.Shape, shape)) {
		c.fail("%s is %s%v, must be floating-point %v", what, o.Dtype, o.Shape, shape)
	}
}

// stored checks the shape of an operand that has one dtype always. One that is not wanted passes.
func (c *checker) stored(what string, o Operand, d kernels.Dtype, shape ...int) {
	if o.wanted() && (o.Dtype != d || !slices.Equal(o.Shape, shape)) {
		c.fail("%s is %s%v, must be %s%v", what, o.Dtype, o.Shape, d, shape)
	}
}

// elems checks how many elements a floating-point operand has, whatever its dimensions. One that is not wanted passes.
func (c *checker) elems(what string, o Operand, n int) {
	if o.wanted() && (!o.floating() || o.Elems() != n) {
		c.fail("%s is %s%v, must be floating-point of %d elements", what, o.Dtype, o.Shape, n)
	}
}

func (c *checker) float32(what string, os ...Operand) {
	for _, o := range os {
		if o.wanted() && o.Dtype != kernels.Float32 {
			c.fail("%s is %s, must be float32", what, o.Dtype)
		}
	}
}

// alike checks that all operands are floating-point and of the first one's shape.
func (c *checker) alike() {
	for i, o := range slices.Concat(c.in, c.out) {
		c.floating(fmt.Sprintf("operand %d", i), o, c.in[0].Shape...)
	}
}

func (c *checker) activation(act string) {
	if !slices.Contains(kernels.Activations(), act) {
		c.fail("no activation %q, there are %v", act, kernels.Activations())
	}
}

// rowsOf is how many rows of cols elements o has, at least one.
func (c *checker) rowsOf(what string, o Operand, cols int) int {
	n := o.Elems()
	if cols <= 0 || n == 0 || n%cols != 0 {
		c.fail("%s%v has no rows of %d", what, o.Shape, cols)
		return 1
	}
	c.elems(what, o, n)
	return n / cols
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}
