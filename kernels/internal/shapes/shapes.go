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
	inputs, outputs, check := rule(k)
	if check == nil {
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
	check(&c)
	return c.err
}

// Pad gives out as many elements as k has outputs, zero ones behind.
func Pad[T any](k kernels.Kernel, out []T) []T {
	if _, n, _ := rule(k); len(out) < n {
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

// rule is how many inputs and outputs k takes, and how they are checked; none for a kernel that is not known.
func rule(k kernels.Kernel) (in, out int, check func(*checker)) {
	switch k := k.(type) {
	case kernels.Accumulate:
		return 2, 1, (*checker).accumulate
	case kernels.AdamW:
		return 5, 3, (*checker).adamW
	case kernels.Add:
		return 2, 1, (*checker).alike
	case kernels.Attention:
		return 4, 2, (*checker).attention
	case kernels.AttentionBwd:
		return 7, 3, (*checker).attention
	case kernels.AttentionCached:
		return 6, 1, (*checker).attentionCached
	case kernels.Embed, kernels.Rows:
		return 2, 1, (*checker).pickRows
	case kernels.EmbedBwd:
		return 2, 1, (*checker).embedBwd
	case kernels.Linear:
		return 2 + count(k.Bias) + 2*count(k.Rank > 0) + count(k.Dropout > 0), 2, func(c *checker) { c.linear(k) }
	case kernels.LinearBwd:
		return 3 + 3*count(k.Rank > 0) + count(k.Dropout > 0), 5, func(c *checker) { c.linearBwd(k) }
	case kernels.LinearCrossEntropy:
		return 4, 4, (*checker).crossEntropy
	case kernels.NF4:
		return 2, 1, func(c *checker) { c.nf4(k) }
	case kernels.RMSNorm:
		return 2, 2, (*checker).rmsNorm
	case kernels.RMSNormBwd:
		return 4, 2, (*checker).rmsNormBwd
	case kernels.RoPE:
		return 2, 1, func(c *checker) { c.rope(k) }
	case kernels.ScaleBy:
		return 2, 1, (*checker).scaleBy
	case kernels.SumSq:
		return 1, 1, (*checker).sumSq
	case kernels.SwiGLU:
		return 2, 1, func(c *checker) { c.gate(k.Act) }
	case kernels.SwiGLUBwd:
		return 3, 2, func(c *checker) { c.gate(k.Act) }
	case kernels.Zero:
		return 0, 1, func(*checker) {}
	}
	return 0, 0, nil
}

func (o Operand) floating() bool { return o.Dtype == kernels.Float32 || o.Dtype == kernels.BFloat16 }

// floating checks the shape of an operand that is stored as float32 or bfloat16. One that is not wanted passes.
func (c *checker) floating(what string, o Operand, shape ...int) {
	if o.wanted() && (!o.floating() || !slices.Equal(o.Shape, shape)) {
		c.fail("%s is %s%v, must be float32 or bfloat16 %v", what, o.Dtype, o.Shape, shape)
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
		c.fail("%s is %s%v, must be float32 or bfloat16 of %d elements", what, o.Dtype, o.Shape, n)
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
