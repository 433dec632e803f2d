package nn

import (
	"fmt"

	"attune/engine/op"
	"attune/kernels"

	G "gorgonia.org/gorgonia"
)

// done keeps an op's error under the layer's path.
func (b *Builder) done(path string, n *G.Node, err error) *G.Node {
	if err != nil {
		b.Fail(path, err)
		return nil
	}
	return n
}

// Embed looks the ids up in the weight path.weight (vocab, dim): (T) -> (T, D).
func (b *Builder) Embed(path string, vocab, dim int) *G.Node {
	w, ids := b.Param(path+".weight", vocab, dim), b.Input(IDs)
	if b.err != nil {
		return nil
	}
	n, err := op.Embed(w, ids)
	return b.done(path, n, err)
}

// RMSNorm divides by the root mean square of the last axis and scales by path.weight: (..., D) -> (..., D).
func (b *Builder) RMSNorm(path string, x *G.Node, eps float64) *G.Node {
	if b.err != nil {
		return nil
	}
	w := b.Param(path+".weight", last(x))
	if b.err != nil {
		return nil
	}
	n, err := op.RMSNorm(x, w, eps)
	return b.done(path, n, err)
}

// Linear is y = x Wᵀ + bias, with path.weight (out, in), path.bias (out) where there is one, and the adapter that
// Options.Adapter gives for path: (T, in) -> (T, out). Heads side by side, (T, H, Dh), are read as (T, H·Dh).
func (b *Builder) Linear(path string, x *G.Node, out int, bias bool) *G.Node {
	k, ins := b.linear(path, x, out, bias)
	if b.err != nil {
		return nil
	}
	n, err := op.Linear(k, ins...)
	return b.done(path, n, err)
}

// LinearHeads is Linear with its output split into heads of size dh: (T, in) -> (T, heads, dh).
func (b *Builder) LinearHeads(path string, x *G.Node, heads, dh int, bias bool) *G.Node {
	k, ins := b.linear(path, x, heads*dh, bias)
	if b.err != nil {
		return nil
	}
	n, err := op.LinearHeads(k, heads, ins...)
	return b.done(path, n, err)
}

// linear makes a linear's weights and its adapter's, and puts the operation's inputs into their order.
func (b *Builder) linear(path string, x *G.Node, out int, bias bool) (k kernels.Linear, ins []*G.Node) {
	if b.err != nil {
		return k, nil
	}
	in := x.Shape().TotalSize() / x.Shape()[0]
	l := Linear{Path: path, In: in, Out: out}
	if b.o.Adapter != nil {
		l.LoRA = b.o.Adapter(path, in, out)
	}
	b.linears = append(b.linears, l)
	k.Bias = bias
	ins = []*G.Node{x, b.Param(path+".weight", out, in)}
	if bias {
		ins = append(ins, b.Param(path+".bias", out))
	}
	if a := l.LoRA; a != nil {
		if a.Rank <= 0 || a.Dropout < 0 || a.Dropout >= 1 {
			b.Fail(path, fmt.Errorf("LoRA of rank %d, dropout %g; the rank must be positive and the dropout in [0, 1)", a.Rank, a.Dropout))
			return k, nil
		}
		k.Rank, k.Scale, k.Dropout, k.Salt = a.Rank, a.Scale, a.Dropout, a.Salt
		ins = append(ins, b.param(path+".lora_A.weight", Adapter, []int{a.Rank, in}),
			b.param(path+".lora_B.weight", Adapter, []int{out, a.Rank}))
		if a.Dropout > 0 {
			ins = append(ins, b.Input(Keys))
		}
	}
	return k, ins
}

// Add is the residual connection: x + y of the same shape.
func (b *Builder) Add(path string, x, y *G.Node) *G.Node {
	if b.err != nil {
		return nil
	}
	n, err := op.Add(x, y)
	return b.done(path, n, err)
}

// SwiGLU is act(gate)·up (Shazeer 2020, arXiv:2002.05202), act one of silu, gelu_tanh, gelu: (T, F) each -> (T, F).
func (b *Builder) SwiGLU(path, act string, gate, up *G.Node) *G.Node {
	if b.err != nil {
		return nil
	}
	n, err := op.SwiGLU(act, gate, up)
	return b.done(path, n, err)
}

// Pick takes the rows of x that Input Rows names: (T, D) -> (N, D).
func (b *Builder) Pick(path string, x *G.Node) *G.Node {
	rows := b.Input(Rows)
	if b.err != nil {
		return nil
	}
	n, err := op.Rows(x, rows)
	return b.done(path, n, err)
}

// Logits is hidden Wᵀ with the head's weight name (vocab, D), for generation: (N, D) -> (N, V), in float32.
func (b *Builder) Logits(name string, hidden *G.Node, vocab int) *G.Node {
	if b.err != nil {
		return nil
	}
	w := b.Param(name, vocab, last(hidden))
	if b.err != nil {
		return nil
	}
	n, err := op.Logits(hidden, w)
	return b.done(name, n, err)
}

// Loss is Σ weights·nll over the tokens, nll = -ln softmax(hidden Wᵀ)[target], without the (T, V) logits ever being
// stored. It returns the loss (scalar) and the nll of each token (T), 0 where the weight is 0. name is the head's
// weight (vocab, D); softCap > 0 caps the logits as Gemma 2 does.
func (b *Builder) Loss(name string, hidden *G.Node, vocab int, softCap float64) (loss, nll *G.Node) {
	if b.err != nil {
		return nil, nil
	}
	w, targets, weights := b.Param(name, vocab, last(hidden)), b.Input(Targets), b.Input(Weights)
	if b.err != nil {
		return nil, nil
	}
	loss, err := op.LinearCrossEntropy(kernels.LinearCrossEntropy{SoftCap: softCap, Most: b.o.Learnt}, hidden, w, targets, weights)
	if loss = b.done(name, loss, err); loss == nil {
		return nil, nil
	}
	return loss, op.Side(loss, 3)
}

func last(x *G.Node) int {
	s := x.Shape()
	return s[len(s)-1]
}
