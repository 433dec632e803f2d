package op

import (
	"fmt"

	"attune/kernels"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// Linear is a projection with what k says is added to it: x (T,...) with I values a token, weight (O,I), then bias (O)
// if k.Bias, A (r,I) and B (O,r) if k.Rank > 0, keys (T) int32 if k.Dropout > 0 -> (T,O). Side output 1 is xA. See
// kernels.Linear.
func Linear(k kernels.Linear, inputs ...*G.Node) (*G.Node, error) {
	return Apply(linear{k: k}, inputs...)
}

// LinearHeads is Linear with its output split into heads: (T,heads,O/heads). There is no reshape operation: attention's
// (T,H,Dh) is made here and read by the next Linear as it is.
func LinearHeads(k kernels.Linear, heads int, inputs ...*G.Node) (*G.Node, error) {
	if heads <= 0 {
		return nil, fmt.Errorf("linear: %d heads, wants 1 or more", heads)
	}
	return Apply(linear{k: k, heads: heads}, inputs...)
}

// Logits is Linear without anything added, its output kept in float32 whatever activations are stored as: rounding logits
// to bfloat16 would make tokens equal that are not. x (N,D), weight (V,D) -> (N,V).
func Logits(x, weight *G.Node) (*G.Node, error) { return Apply(linear{stat: true}, x, weight) }

type linear struct {
	k     kernels.Linear
	heads int  // 0 = the output is (T,O)
	stat  bool // the output is kept in float32
}

func (s linear) Kernel() kernels.Kernel { return s.k }

// names are the inputs that k's attributes ask for.
func (s linear) names() []string {
	n := []string{"x", "weight"}
	if s.k.Bias {
		n = append(n, "bias")
	}
	if s.k.Rank > 0 {
		n = append(n, "A", "B")
	}
	if s.k.Dropout > 0 {
		n = append(n, "keys")
	}
	return n
}

func (s linear) Infer(in []Ty) ([]Ty, error) {
	if err := checkLinear(s.k); err != nil {
		return nil, err
	}
	if err := arity(in, s.names()...); err != nil {
		return nil, err
	}
	x, w := in[0], in[1]
	if err := first(float("x", x, -1), float("weight", w, 2)); err != nil {
		return nil, err
	}
	tokens, i := rowsOf(x.Shape)
	o := w.Shape[0]
	if i != w.Shape[1] {
		return nil, fmt.Errorf("x has shape %v, its %d values a token must equal the weight's inputs (%d)", x.Shape, i, w.Shape[1])
	}
	next := 2
	if s.k.Bias {
		if err := shape("bias", in[next], o); err != nil {
			return nil, err
		}
		next++
	}
	if s.k.Rank > 0 {
		if err := first(shape("A", in[next], s.k.Rank, i), shape("B", in[next+1], o, s.k.Rank)); err != nil {
			return nil, err
		}
		next += 2
	}
	if s.k.Dropout > 0 {
		if err := integers("keys", in[next], tokens); err != nil {
			return nil, err
		}
	}
	y := x.shaped(tokens, o)
	if s.heads > 0 {
		if o%s.heads != 0 {
			return nil, fmt.Errorf("outputs (%d) must be divisible by heads (%d)", o, s.heads)
		}
		y = x.shaped(tokens, s.heads, o/s.heads)
	}
	y.Stat = s.stat
	return []Ty{y, x.stat(tokens, s.k.Rank)}, nil
}

func checkLinear(k kernels.Linear) error {
	switch {
	case k.Rank < 0:
		return fmt.Errorf("rank is %d, wants 0 (no LoRA) or more", k.Rank)
	case !(k.Dropout >= 0 && k.Dropout < 1):
		return fmt.Errorf("dropout is %g, wants 0 <= dropout < 1", k.Dropout)
	case k.Dropout > 0 && k.Rank == 0:
		return fmt.Errorf("dropout is %g with rank 0: only LoRA's branch has dropout", k.Dropout)
	}
	return nil
}

func (s linear) DiffWRT() []bool {
	d := make([]bool, len(s.names()))
	for i := range d {
		d[i] = i < len(d)-1 || s.k.Dropout == 0 // keys come last
	}
	return d
}

func (s linear) Grad(in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	return s.GradOf(s.DiffWRT(), in, out, grad)
}

// GradOf makes all gradients with one linear_bwd. x is read for the gradients of weight and A only; where neither is
// wanted grad stands in its place, so that x need not be kept until then. A side output that exists is computed, so there
// are none but for wanted gradients.
func (s linear) GradOf(wanted []bool, in G.Nodes, out, grad *G.Node) (G.Nodes, error) {
	next := 2
	if s.k.Bias {
		next++
	}
	x := in[0]
	if !wanted[1] && (s.k.Rank == 0 || !wanted[next]) {
		x = grad
	}
	ins := []*G.Node{x, in[1]}
	if s.k.Rank > 0 {
		ins = append(ins, in[next], in[next+1], Side(out, 1))
	}
	if s.k.Dropout > 0 {
		ins = append(ins, in[len(in)-1])
	}
	dx, err := Apply(linearBwd{k: kernels.LinearBwd(s.k), xShape: TypeOf(in[0]).Shape}, append(ins, grad)...)
	if err != nil {
		return nil, err
	}
	grads := make(G.Nodes, len(in))
	grads[0] = dx
	sides := []int{1} // of the inputs behind x, in order
	if s.k.Bias {
		sides = append(sides, 2)
	}
	if s.k.Rank > 0 {
		sides = append(sides, 3, 4)
	}
	for i, side := range sides {
		if wanted[i+1] {
			grads[i+1] = Side(dx, side)
		}
	}
	return grads, nil
}

func (s linear) Cost(in []Ty, _ []bool) Cost {
	t, i := rowsOf(in[0].Shape)
	o := in[1].Shape[0]
	return cost(s, in, 2*t*(i*o+s.k.Rank*(i+o)))
}

// linearBwd: x or, if it is not read, dy; weight; A, B, xA if Rank > 0; keys if Dropout > 0; dy
// -> dx, dweight, dbias, dA, dB.
type linearBwd struct {
	gradless
	k      kernels.LinearBwd
	xShape tensor.Shape
}

func (s linearBwd) Kernel() kernels.Kernel { return s.k }

func (s linearBwd) Infer(in []Ty) ([]Ty, error) {
	names := []string{"x", "weight"}
	if s.k.Rank > 0 {
		names = append(names, "A", "B", "xA")
	}
	if s.k.Dropout > 0 {
		names = append(names, "keys")
	}
	if err := arity(in, append(names, "dy")...); err != nil {
		return nil, err
	}
	w, dy := in[1], in[len(in)-1]
	if err := first(float("weight", w, 2), float("dy", dy, -1)); err != nil {
		return nil, err
	}
	o, i := w.Shape[0], w.Shape[1]
	tokens, n := rowsOf(dy.Shape)
	if n != o {
		return nil, fmt.Errorf("dy has shape %v, its %d values a token must equal the weight's outputs (%d)", dy.Shape, n, o)
	}
	if xt, xi := rowsOf(s.xShape); xt != tokens || xi != i {
		return nil, fmt.Errorf("x has shape %v, wants %d tokens as dy and %d values a token as the weight", s.xShape, tokens, i)
	}
	if s.k.Rank > 0 {
		err := first(shape("A", in[2], s.k.Rank, i), shape("B", in[3], o, s.k.Rank), shape("xA", in[4], tokens, s.k.Rank))
		if err != nil {
			return nil, err
		}
	}
	return []Ty{
		dy.shaped(s.xShape...), dy.stat(o, i), dy.stat(o), dy.stat(s.k.Rank, i), dy.stat(o, s.k.Rank),
	}, nil
}

func (s linearBwd) Cost(in []Ty, wanted []bool) Cost {
	t, i := rowsOf(s.xShape)
	o, r := in[1].Shape[0], s.k.Rank
	products := []int{i*o + r*i, i * o, 0, r * i, r * o} // dy·W + dyB·A, dyᵀ·x, -, dyBᵀ·x, dyᵀ·xA
	flop := 0
	for out, n := range products[:min(len(products), len(wanted))] {
		if wanted[out] {
			flop += 2 * t * n
		}
	}
	if r > 0 && (wanted[0] || wanted[3]) {
		flop += 2 * t * r * o // dyB
	}
	return cost(s, in, flop)
}

func linearExamples() Examples {
	lora := kernels.Linear{Rank: 3, Scale: 1.5}
	e := Examples{Refused: []Refusal{
		{linear{}, []Operand{floats(3, 4), floats(5, 6)}, "x has shape (3, 4), its 4 values a token must equal the weight's inputs (6)"},
		{linear{heads: 3}, []Operand{floats(3, 4), floats(5, 4)}, "outputs (5) must be divisible by heads (3)"},
		{linear{k: kernels.Linear{Bias: true}}, []Operand{floats(3, 4), floats(5, 4), floats(4)}, "bias has shape (4), wants (5)"},
		{linear{k: lora}, []Operand{floats(3, 4), floats(5, 4), stats(2, 4), stats(5, 3)}, "A has shape (2, 4), wants (3, 4)"},
		{linear{k: lora}, []Operand{floats(3, 4), floats(5, 4), stats(3, 4), stats(3, 5)}, "B has shape (3, 5), wants (5, 3)"},
		{linear{k: lora}, []Operand{floats(3, 4), floats(5, 4)}, "2 inputs, wants 4"},
		{linear{k: kernels.Linear{Dropout: 0.5}}, []Operand{floats(3, 4), floats(5, 4), ints(1, 2, 3)}, "dropout is 0.5 with rank 0"},
		{linear{k: kernels.Linear{Rank: 1, Dropout: 1}}, []Operand{floats(3, 4), floats(5, 4)}, "dropout is 1, wants 0 <= dropout < 1"},
	}}
	add := func(name string, tokens, in, out int, k kernels.Linear, heads int, change func([]Operand)) {
		ops := []Operand{floats(tokens, in), params(out, in)}
		if k.Bias {
			ops = append(ops, params(out))
		}
		if k.Rank > 0 {
			ops = append(ops, stats(k.Rank, in), stats(out, k.Rank))
		}
		if k.Dropout > 0 {
			ops = append(ops, cycle(tokens, 1<<20))
		}
		if change != nil {
			change(ops)
		}
		e.Cases = append(e.Cases, Case{name, linear{k: k, heads: heads}, ops})
	}
	all := kernels.Linear{Bias: true, Rank: 4, Scale: 0.5, Dropout: 0.3, Salt: 9}
	for _, n := range oddSizes() {
		add(fmt.Sprintf("plain %d", n), n, n+2, n, kernels.Linear{}, 0, nil)
		add(fmt.Sprintf("everything %d", n), n, n, n+1, all, 0, nil)
	}
	add("frozen", 19, 13, 11, kernels.Linear{}, 0, func(o []Operand) { o[1] = o[1].frozen() })
	add("frozen with trained bias", 19, 13, 11, kernels.Linear{Bias: true}, 0, func(o []Operand) { o[1] = o[1].frozen() })
	add("LoRA on frozen", 67, 70, 66, kernels.Linear{Rank: 16, Scale: 2}, 0, func(o []Operand) { o[1] = o[1].frozen() })
	add("frozen LoRA", 19, 13, 11, lora, 0, func(o []Operand) { o[1], o[2], o[3] = o[1].frozen(), o[2].frozen(), o[3].frozen() })
	add("rank above width", 5, 3, 2, kernels.Linear{Rank: 9, Scale: 1}, 0, nil)
	add("heads out", 5, 6, 12, lora, 3, nil)
	add("heads in", 5, 12, 6, lora, 0, func(o []Operand) { o[0] = floats(5, 3, 4) })
	add("deep", 33, 1030, 17, lora, 0, nil)
	add("long", 515, 20, 18, all, 0, nil)
	e.Cases = append(e.Cases, Case{"logits", linear{stat: true}, []Operand{floats(3, 40), params(67, 40)}})
	return e
}
