package model

import (
	"fmt"
	"math"

	"attune/engine/nn"

	G "gorgonia.org/gorgonia"
)

// block is what a decoder layer has beyond the common plan.
type block struct {
	QKVBias bool // biases on q_proj, k_proj, v_proj
	OBias   bool // bias on o_proj
	MLPBias bool // biases on gate_proj, up_proj, down_proj
	QKNorm  bool // RMSNorm over each head of q and k
	Window  int  // > 0: sliding attention window
}

const (
	embedTokens = "model.embed_tokens"
	lmHead      = "lm_head"
)

// Train builds a training or evaluation step: the loss Σ weights·nll (scalar), and the nll of each token (T).
func (c *Config) Train(b *nn.Builder) (loss, nll *G.Node) {
	h := c.hidden(b)
	return b.Loss(c.Head(), h, c.VocabSize, 0)
}

// Logits builds generation with a key/value cache (nn.Options.CacheLen > 0) or a plain forward pass: the logits (N, V)
// of the positions that input nn.Rows names.
func (c *Config) Logits(b *nn.Builder) *G.Node {
	h := c.hidden(b)
	return b.Logits(c.Head(), b.Pick("model", h), c.VocabSize)
}

// Head is the name of the weight that turns hidden states into logits: the embedding's where they are tied.
func (c *Config) Head() string {
	if c.TieWordEmbeddings {
		return embedTokens + ".weight"
	}
	return lmHead + ".weight"
}

// hidden is the decoder up to the final norm: ids (T) -> (T, D).
func (c *Config) hidden(b *nn.Builder) *G.Node {
	a, err := find(c.ModelType)
	if err != nil {
		b.Fail("model", err)
		return nil
	}
	rope, err := c.rope()
	if err != nil {
		b.Fail("model", err)
		return nil
	}
	act, err := c.act()
	if err != nil {
		b.Fail("model", err)
		return nil
	}
	x := b.Embed(embedTokens, c.VocabSize, c.HiddenSize) // (T, D)
	for i := range c.NumHiddenLayers {
		b.LayerStart()
		path, l := fmt.Sprintf("model.layers.%d", i), a.block(c, i)
		h := b.RMSNorm(path+".input_layernorm", x, c.RMSNormEps) // (T, D)
		x = b.Add(path, x, c.attention(b, path+".self_attn", h, l, rope))
		h = b.RMSNorm(path+".post_attention_layernorm", x, c.RMSNormEps) // (T, D)
		x = b.Add(path, x, c.mlp(b, path+".mlp", h, l, act))
	}
	b.LayerStart()
	return b.RMSNorm("model.norm", x, c.RMSNormEps) // (T, D)
}

// attention: (T, D) -> (T, D), H query heads on KV key/value heads of size Dh.
func (c *Config) attention(b *nn.Builder, path string, x *G.Node, l block, rope nn.RoPE) *G.Node {
	dh := c.HeadDim
	q := b.LinearHeads(path+".q_proj", x, c.NumAttentionHeads, dh, l.QKVBias) // (T, H, Dh)
	k := b.LinearHeads(path+".k_proj", x, c.NumKeyValueHeads, dh, l.QKVBias)  // (T, KV, Dh)
	v := b.LinearHeads(path+".v_proj", x, c.NumKeyValueHeads, dh, l.QKVBias)  // (T, KV, Dh)
	if l.QKNorm {
		q, k = b.RMSNorm(path+".q_norm", q, c.RMSNormEps), b.RMSNorm(path+".k_norm", k, c.RMSNormEps)
	}
	q, k = b.Rotate(path, q, rope), b.Rotate(path, k, rope)
	o := b.Attention(path, q, k, v, nn.AttentionConfig{Scale: 1 / math.Sqrt(float64(dh)), Window: l.Window}) // (T, H, Dh)
	return b.Linear(path+".o_proj", o, c.HiddenSize, l.OBias)
}

// mlp: (T, D) -> (T, F) -> (T, D).
func (c *Config) mlp(b *nn.Builder, path string, x *G.Node, l block, act string) *G.Node {
	gate := b.Linear(path+".gate_proj", x, c.IntermediateSize, l.MLPBias)
	up := b.Linear(path+".up_proj", x, c.IntermediateSize, l.MLPBias)
	return b.Linear(path+".down_proj", b.SwiGLU(path, act, gate, up), c.HiddenSize, l.MLPBias)
}
