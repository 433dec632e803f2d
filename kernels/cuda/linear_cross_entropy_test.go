package cuda_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"attune/engine/op/optest"
	"attune/kernels"
	"attune/kernels/cuda"
	"attune/kernels/cuda/emutest"
)

// head is a loss over tokens of which one in `every` counts.
type head struct {
	tokens, d, vocab, every int
	act, weight             kernels.Dtype
}

func (h head) operands() *operands {
	o := &operands{r: rand.New(rand.NewPCG(5, 6))}
	o.floats(h.act, 1, h.tokens, h.d)
	o.floats(h.weight, 0.5, h.vocab, h.d)
	targets, weights := make([]int32, h.tokens), &kernels.Tensor[float64]{Shape: []int{h.tokens}, F: make([]float64, h.tokens)}
	stored := emptyView(kernels.Float32, weights.Shape)
	for t := range targets {
		targets[t] = -100
		if t%h.every == h.every-1 {
			targets[t] = int32(o.r.IntN(h.vocab))
			w := float32(o.r.Float64()+0.1) / float32(h.tokens)
			weights.F[t] = float64(w)
			binary.LittleEndian.PutUint32(stored.Data[4*t:], math.Float32bits(w))
		}
	}
	o.ints(targets...)
	o.in, o.ref = append(o.in, stored), append(o.ref, weights)
	o.out = []optest.View{
		emptyView(kernels.Float32, nil), emptyView(h.act, []int{h.tokens, h.d}),
		emptyView(kernels.Float32, []int{h.vocab, h.d}), emptyView(kernels.Float32, []int{h.tokens}),
	}
	return o
}

// learnt is how many tokens count.
func (h head) learnt() int { return h.tokens / h.every }

// More tokens than one piece, a vocabulary of more than one step of a block, tokens that are not there: values, orders, each
// output left out. The caller's word of how many count changes no bit.
func TestLossInPieces(t *testing.T) {
	f32, bf16 := kernels.Float32, kernels.BFloat16
	for _, h := range []head{
		{2100, 5, 9, 1, f32, f32}, {2500, 8, 12, 1, bf16, bf16}, {2300, 3, 5, 1, bf16, f32}, {1, 1, 1, 1, f32, f32},
		{20, 16, 9001, 2, f32, f32}, {7, 24, 12289, 3, bf16, bf16}, {1500, 4, 6, 400, bf16, bf16},
	} {
		for _, k := range []kernels.LinearCrossEntropy{{}, {SoftCap: 2}} {
			t.Run(fmt.Sprintf("%+v/%g", h, k.SoftCap), func(t *testing.T) {
				target := cuda.Target{CC: 80, Lt: true}
				full := orders(t, target, k, h.act, h.operands)
				bounded := k
				for _, most := range []int{h.learnt(), min(h.tokens, h.learnt()+3)} {
					bounded.Most = most
					o := h.operands()
					if err := emutest.Open(t, target, emutest.Options{}).Run(bounded, o.in, o.out); err != nil {
						t.Fatal(err)
					}
					for i, v := range o.out {
						if !bytes.Equal(v.Data, full.out[i].Data) {
							t.Errorf("with at most %d of %d: output %d has other bits", most, h.learnt(), i)
						}
					}
				}
			})
		}
	}
}

// A bound that does not hold, and a target that is no word, must not go unseen.
func TestLossIsNaNWhereItIsWrong(t *testing.T) {
	h := head{40, 8, 11, 2, kernels.BFloat16, kernels.BFloat16}
	e := emutest.Open(t, cuda.Target{CC: 80}, emutest.Options{})
	run := func(k kernels.LinearCrossEntropy, change func(o *operands)) float64 {
		o := h.operands()
		change(o)
		if err := e.Run(k, o.in, o.out); err != nil {
			t.Fatal(err)
		}
		return viewFloats(o.out[0])[0]
	}
	if got := run(kernels.LinearCrossEntropy{Most: h.learnt() - 1}, func(*operands) {}); !math.IsNaN(got) {
		t.Errorf("the loss of %d tokens, %d said, is %g", h.learnt(), h.learnt()-1, got)
	}
	for _, target := range []int32{-1, 11, math.MaxInt32} {
		got := run(kernels.LinearCrossEntropy{}, func(o *operands) { binary.LittleEndian.PutUint32(o.in[2].Data[4*39:], uint32(target)) })
		if !math.IsNaN(got) {
			t.Errorf("the loss with target %d of 11 is %g", target, got)
		}
	}
	if got := run(kernels.LinearCrossEntropy{}, func(o *operands) { clear(o.in[3].Data) }); got != 0 {
		t.Errorf("the loss of no token is %g", got)
	}
}

// The logits of a long row and a large vocabulary are never all there: 256 MiB of them and what belongs to their tokens.
func TestLossHasNoLogitsOfAllTokens(t *testing.T) {
	view := func(d kernels.Dtype, shape ...int) cuda.View { return cuda.View{Dtype: d, Shape: shape} }
	bf16, f32 := kernels.BFloat16, kernels.Float32
	for _, size := range []struct{ tokens, vocab, d int }{{16384, 128256, 4096}, {65536, 262144, 3584}, {8192, 32000, 2048}} {
		in := []cuda.View{view(bf16, size.tokens, size.d), view(bf16, size.vocab, size.d), view(kernels.Int32, size.tokens), view(f32, size.tokens)}
		out := []cuda.View{view(f32), view(bf16, size.tokens, size.d), {}, {}}
		need := cuda.Scratch(cuda.Target{CC: 90, Lt: true, Hopper: true}, kernels.LinearCrossEntropy{}, in, out)
		if most := int64(257<<20 + 2*2*2048*size.d + 16*size.tokens); need > most {
			t.Errorf("%+v: %d MiB of working memory, at most %d", size, need>>20, most>>20)
		}
	}
}
