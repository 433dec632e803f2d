package shapes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"attune/kernels"
)

const (
	f32  = kernels.Float32
	bf16 = kernels.BFloat16
)

// An operand that may be stored either way is bfloat16 here, one that is float32 always is float32.
func a(shape ...int) Operand  { return Operand{bf16, shape} }
func s(shape ...int) Operand  { return Operand{f32, shape} }
func id(shape ...int) Operand { return Operand{kernels.Int32, shape} }

type call struct {
	k       kernels.Kernel
	in, out []Operand
}

// calls has every kernel with operands that fit, all of different dimensions.
func calls() []call {
	lora := kernels.Linear{Bias: true, Rank: 2, Scale: 1, Dropout: 0.5}
	return []call{
		{kernels.Accumulate{}, []Operand{s(3, 5), a(3, 5)}, []Operand{s(3, 5)}},
		{kernels.AdamW{}, []Operand{s(7), s(7), s(7), s(7), s(4)}, []Operand{s(7), s(7), s(7)}},
		{kernels.Add{}, []Operand{a(3, 5), a(3, 5)}, []Operand{a(3, 5)}},
		{kernels.Attention{}, []Operand{a(9, 4, 3), a(9, 2, 3), a(9, 2, 3), id(9)}, []Operand{a(9, 4, 3), s(9, 4)}},
		{
			kernels.AttentionBwd{},
			[]Operand{a(9, 4, 3), a(9, 2, 3), a(9, 2, 3), id(9), a(9, 4, 3), s(9, 4), a(9, 4, 3)}, []Operand{a(9, 4, 3), a(9, 2, 3), a(9, 2, 3)},
		},
		{kernels.AttentionCached{}, []Operand{a(9, 4, 3), a(9, 2, 3), a(9, 2, 3), a(20, 2, 3), a(20, 2, 3), id(9)}, []Operand{a(9, 4, 3)}},
		{kernels.Embed{}, []Operand{a(11, 3), id(5)}, []Operand{a(5, 3)}},
		{kernels.EmbedBwd{}, []Operand{id(5), a(5, 3)}, []Operand{s(11, 3)}},
		{lora, []Operand{a(9, 3), a(5, 3), a(5), a(2, 3), a(5, 2), id(9)}, []Operand{a(9, 5), s(9, 2)}},
		{
			kernels.LinearBwd(lora),
			[]Operand{a(9, 3), a(5, 3), a(2, 3), a(5, 2), s(9, 2), id(9), a(9, 5)}, []Operand{a(9, 3), s(5, 3), s(5), s(2, 3), s(5, 2)},
		},
		{kernels.LinearCrossEntropy{}, []Operand{a(9, 3), a(11, 3), id(9), s(9)}, []Operand{s(), a(9, 3), s(11, 3), s(9)}},
		{kernels.NF4{Block: 16}, []Operand{id(5), s(3)}, []Operand{a(40)}},
		{kernels.RMSNorm{}, []Operand{a(9, 3), a(3)}, []Operand{a(9, 3), s(9)}},
		{kernels.RMSNormBwd{}, []Operand{a(9, 3), a(3), s(9), a(9, 3)}, []Operand{a(9, 3), s(3)}},
		{kernels.RoPE{InvFreq: []float64{1, 2}}, []Operand{a(9, 3, 4), id(9)}, []Operand{a(9, 3, 4)}},
		{kernels.Rows{}, []Operand{a(11, 3), id(5)}, []Operand{a(5, 3)}},
		{kernels.ScaleBy{}, []Operand{a(9, 3), s()}, []Operand{a(9, 3)}},
		{kernels.SumSq{}, []Operand{a(9, 3)}, []Operand{s()}},
		{kernels.SwiGLU{Act: "gelu"}, []Operand{a(9, 3), a(9, 3)}, []Operand{a(9, 3)}},
		{kernels.SwiGLUBwd{Act: "silu"}, []Operand{a(9, 3), a(9, 3), a(9, 3)}, []Operand{a(9, 3), a(9, 3)}},
	}
}

// changed is c with operand i, inputs first, made another.
func (c call) changed(i int, change func(*Operand)) call {
	c.in, c.out = slices.Clone(c.in), slices.Clone(c.out)
	o := &c.in[min(i, len(c.in)-1)]
	if i >= len(c.in) {
		o = &c.out[i-len(c.in)]
	}
	o.Shape = slices.Clone(o.Shape)
	change(o)
	return c
}

func (c call) check() error { return Check(c.k, c.in, c.out) }

// What fits passes, with every output left out, too; every operand is refused in turn where it is larger, of another dtype or,
// as an input, not there.
func TestCheck(t *testing.T) {
	for _, c := range calls() {
		t.Run(c.k.Name(), func(t *testing.T) {
			if err := c.check(); err != nil {
				t.Fatal(err)
			}
			if n := len(Pad(c.k, c.out[:0])); n != len(c.out) {
				t.Errorf("%d outputs, %d here", n, len(c.out))
			}
			refused := func(what string, c call) {
				t.Helper()
				if c.check() == nil {
					t.Errorf("%s: %v -> %v passes", what, c.in, c.out)
				}
			}
			for i, o := range slices.Concat(c.in, c.out) {
				dtypes := []kernels.Dtype{kernels.Int32, kernels.Float16}
				switch o.Dtype {
				case bf16:
					if err := c.changed(i, func(o *Operand) { o.Dtype = f32 }).check(); err != nil {
						t.Errorf("operand %d in float32: %v", i, err)
					}
				case f32:
					dtypes = append(dtypes, bf16)
				default:
					dtypes = []kernels.Dtype{f32, bf16}
				}
				for _, d := range dtypes {
					refused(fmt.Sprintf("operand %d in %v", i, d), c.changed(i, func(o *Operand) { o.Dtype = d }))
				}
				gone := c.changed(i, func(o *Operand) { *o = Operand{} })
				if i < len(c.in) {
					refused(fmt.Sprintf("without input %d", i), gone)
				} else if err := gone.check(); err != nil {
					t.Errorf("without output %d: %v", i-len(c.in), err)
				}
				if _, free := c.k.(kernels.SumSq); free && i == 0 {
					continue // of any shape
				}
				refused(fmt.Sprintf("operand %d larger", i), c.changed(i, func(o *Operand) {
					if o.Shape = slices.Clone(o.Shape); len(o.Shape) == 0 {
						o.Shape = []int{2}
					}
					o.Shape[len(o.Shape)-1]++
				}))
			}
			more := c
			more.in = append(slices.Clone(c.in), c.in[0])
			refused("one more input", more)
			more = c
			more.out = append(slices.Clone(c.out), c.out[0])
			refused("one more output", more)
			refused("a negative dimension", c.changed(0, func(o *Operand) { o.Shape[0] *= -1 }))
		})
	}
}

type unknown struct{ kernels.Add }

func TestCheckSaysWhatIsWrong(t *testing.T) {
	for want, c := range map[string]call{
		"unknown to package shapes": {unknown{}, nil, nil},
		`no activation "relu"`:      {kernels.SwiGLU{Act: "relu"}, []Operand{a(2), a(2)}, []Operand{a(2)}},
		"blocks of 0 numbers":       {kernels.NF4{}, []Operand{id(1), s(1)}, []Operand{a(8)}},
		"3 query heads over 2":      {kernels.Attention{}, []Operand{a(1, 3, 4), a(1, 2, 4), a(1, 2, 4), id(1)}, nil},
		"dropout is 1":              {kernels.Linear{Dropout: 1}, []Operand{a(2, 3), a(5, 3), id(2)}, []Operand{a(2, 5)}},
		"x is bfloat16[2 3], must be float32 or bfloat16 [4 3]": {kernels.Accumulate{}, []Operand{s(4, 3), a(2, 3)}, []Operand{s(4, 3)}},
	} {
		if err := c.check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
