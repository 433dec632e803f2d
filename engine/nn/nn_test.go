package nn

import (
	"slices"
	"strings"
	"testing"

	"attune/engine/op"

	G "gorgonia.org/gorgonia"
	"gorgonia.org/tensor"
)

// layer is a decoder layer of width 8 with two heads of four and one key/value head, written as a model would.
func layer(b *Builder, path string, x *G.Node) *G.Node {
	r := RoPE{InvFreq: []float64{1, 0.1}, Scale: 1}
	b.LayerStart()
	h := b.RMSNorm(path+".norm", x, 1e-5)
	q := b.Rotate(path, b.LinearHeads(path+".q_proj", h, 2, 4, true), r)
	k := b.Rotate(path, b.LinearHeads(path+".k_proj", h, 1, 4, false), r)
	v := b.LinearHeads(path+".v_proj", h, 1, 4, false)
	o := b.Attention(path, q, k, v, AttentionConfig{Scale: 0.5})
	return b.Add(path, x, b.Linear(path+".o_proj", o, 8, false))
}

func names[T any](list []T, f func(T) string) []string {
	var out []string
	for _, x := range list {
		out = append(out, f(x))
	}
	return out
}

func params(b *Builder) []string { return names(b.Params(), func(p Param) string { return p.Name }) }
func inputs(b *Builder) []string { return names(b.Inputs(), func(i Input) string { return i.Name }) }

func TestParamsAndInputs(t *testing.T) {
	lora := func(path string, in, out int) *LoRA {
		if in == 8 && out == 8 && strings.HasSuffix(path, "q_proj") {
			return &LoRA{Rank: 2, Scale: 1, Dropout: 0.1}
		}
		return nil
	}
	b := NewBuilder(G.NewGraph(), Options{Tokens: 6, Adapter: lora})
	x := layer(b, "layers.0", b.Embed("embed", 10, 8))
	loss, nll := b.Loss("embed.weight", x, 10, 0) // tied
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	want := []string{"embed.weight", "layers.0.norm.weight", "layers.0.q_proj.weight", "layers.0.q_proj.bias", "layers.0.q_proj.lora_A.weight",
		"layers.0.q_proj.lora_B.weight", "layers.0.k_proj.weight", "layers.0.v_proj.weight", "layers.0.o_proj.weight"}
	if got := params(b); !slices.Equal(got, want) {
		t.Errorf("weights %q\nwant %q", got, want)
	}
	if got, want := inputs(b), []string{IDs, Keys, Positions, Segments, Targets, Weights}; !slices.Equal(got, want) {
		t.Errorf("inputs %q, want %q", got, want)
	}
	if !loss.IsScalar() || !nll.Shape().Eq(tensor.Shape{6}) {
		t.Errorf("loss %v, nll %v", loss.Shape(), nll.Shape())
	}
	if got := names(b.Linears(), func(l Linear) string { return l.Path }); len(got) != 4 || b.Linears()[0].LoRA == nil || b.Linears()[1].LoRA != nil {
		t.Errorf("linears %q", got)
	}
	// only the adapter is trained, and its gradients come out in its shapes
	grads, err := op.Backward(loss, b.Trained())
	if err != nil || len(grads) != 2 || !grads[0].Shape().Eq(tensor.Shape{2, 8}) || !grads[1].Shape().Eq(tensor.Shape{8, 2}) {
		t.Errorf("gradients %v, %v", grads, err)
	}
}

func TestFullFineTuning(t *testing.T) {
	b := NewBuilder(G.NewGraph(), Options{Tokens: 4, Float: tensor.Float64, Trained: func(name string) bool { return !strings.HasSuffix(name, "norm.weight") }})
	x := layer(b, "layers.0", b.Embed("embed", 10, 8))
	loss, _ := b.Loss("embed.weight", x, 10, 0)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	grads, err := op.Backward(loss, b.Trained())
	if err != nil || len(grads) != 6 {
		t.Fatalf("%d gradients, %v; want 6: all weights but the norm", len(grads), err)
	}
	for _, i := range b.Inputs() {
		if i.Name == Keys {
			t.Error("keys without dropout")
		}
	}
	if loss.Dtype() != tensor.Float64 {
		t.Errorf("loss is %v", loss.Dtype())
	}
}

// Marks are the IDs of the first node of each layer: every weight of a layer lies between its mark and the next.
func TestLayerStarts(t *testing.T) {
	b := NewBuilder(G.NewGraph(), Options{Tokens: 4})
	x := b.Embed("embed", 10, 8)
	x = layer(b, "layers.0", x)
	x = layer(b, "layers.1", x)
	b.LayerStart()
	b.Loss("head.weight", x, 10, 0)
	if err := b.Err(); err != nil {
		t.Fatal(err)
	}
	starts := b.LayerStarts()
	if len(starts) != 3 {
		t.Fatalf("%d marks", len(starts))
	}
	for _, p := range b.Params() {
		i, _ := slices.BinarySearch(starts, p.Node.ID()+1)
		want := map[string]int{"embe": 0, "laye": 1, "head": 3}[p.Name[:4]]
		if strings.HasPrefix(p.Name, "layers.1") {
			want = 2
		}
		if i != want {
			t.Errorf("%s has ID %d, in range %d of %v; want %d", p.Name, p.Node.ID(), i, starts, want)
		}
	}
}

// The first error stays, with its path, and nothing afterwards panics.
func TestStickyError(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(b *Builder)
		want string
	}{
		{"none", func(*Builder) {}, ""},
		{"heads", func(b *Builder) {
			h := b.Embed("e", 4, 12)
			b.Attention("layers.3.self_attn", b.LinearHeads("q", h, 3, 4, false), b.LinearHeads("k", h, 2, 4, false), b.LinearHeads("v", h, 2, 4, false), AttentionConfig{Scale: 1})
		}, "layers.3.self_attn: num_attention_heads (3) must be a multiple of num_key_value_heads (2)"},
		{"shared weight of two shapes", func(b *Builder) { b.Param("w", 2, 3); b.Param("w", 3, 2) }, "build w: used as [2 3] and as [3 2]"},
		{"no size", func(b *Builder) { b.Linear("layers.0.up", b.Embed("e", 4, 4), 0, false) }, "layers.0.up.weight"},
		{"frequencies", func(b *Builder) {
			b.Rotate("layers.1", b.LinearHeads("q", b.Embed("e", 4, 4), 1, 4, false), RoPE{InvFreq: []float64{1}})
		}, "build layers.1: 1 rotary frequencies for heads of size 4; 2 are needed"},
		{"activation", func(b *Builder) { x := b.Embed("e", 4, 4); b.SwiGLU("layers.2.mlp", "relu", x, x) }, "layers.2.mlp"},
		{"input", func(b *Builder) { b.Input("labels") }, "no such input"},
		{"rank", func(b *Builder) {
			b.o.Adapter = func(string, int, int) *LoRA { return &LoRA{Rank: 0} }
			b.Linear("layers.0.q", b.Embed("e", 4, 4), 4, false)
		}, "layers.0.q: LoRA of rank 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := NewBuilder(G.NewGraph(), Options{Tokens: 2})
			c.do(b)
			first := b.Err()
			if (first != nil) != (c.want != "") || first != nil && !strings.Contains(first.Error(), c.want) {
				t.Fatalf("got %v; want %q", first, c.want)
			}
			x := layer(b, "later", b.Embed("later", 3, 8))
			b.Loss("later", x, 3, 0)
			b.Logits("later", b.Pick("later", x), 3)
			if first != nil && b.Err() != first {
				t.Errorf("the error became %v", b.Err())
			}
		})
	}
	g := G.NewGraph()
	NewBuilder(g, Options{Tokens: 1}).Embed("e", 2, 2)
	for _, b := range []*Builder{NewBuilder(g, Options{Tokens: 1}), NewBuilder(G.NewGraph(), Options{}), NewBuilder(G.NewGraph(), Options{Tokens: 1, Float: tensor.Int})} {
		if b.Err() == nil {
			t.Error("accepted a used graph, no tokens or an integer graph")
		}
	}
}
