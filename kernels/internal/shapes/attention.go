package shapes

import "attune/kernels"

// heads are (T,H,Dh) of q and KV of k.
func (c *checker) heads(q, k Operand) (tokens, heads, kv, dh int) {
	if len(q.Shape) != 3 || len(k.Shape) != 3 {
		c.fail("q %v and k %v, must be (T,H,Dh) and (T,KV,Dh)", q.Shape, k.Shape)
		return
	}
	tokens, heads, kv, dh = q.Shape[0], q.Shape[1], k.Shape[1], q.Shape[2]
	if dh == 0 || kv == 0 || heads == 0 || heads%kv != 0 {
		c.fail("%d query heads over %d key/value heads of size %d, must be a whole number each", heads, kv, dh)
	}
	return
}

// attention is Attention, and AttentionBwd where there are its inputs.
func (c *checker) attention() {
	in, out := c.in, c.out
	tokens, heads, kv, dh := c.heads(in[0], in[1])
	c.floating("q", in[0], tokens, heads, dh)
	c.floating("k", in[1], tokens, kv, dh)
	c.floating("v", in[2], tokens, kv, dh)
	c.stored("segments", in[3], kernels.Int32, tokens)
	if len(in) == 4 {
		c.floating("o", out[0], tokens, heads, dh)
		c.stored("lse", out[1], kernels.Float32, tokens, heads)
		return
	}
	c.floating("o", in[4], tokens, heads, dh)
	c.stored("lse", in[5], kernels.Float32, tokens, heads)
	c.floating("do", in[6], tokens, heads, dh)
	c.floating("dq", out[0], tokens, heads, dh)
	c.floating("dk", out[1], tokens, kv, dh)
	c.floating("dv", out[2], tokens, kv, dh)
}

func (c *checker) attentionCached() {
	in, o := c.in, c.out[0]
	tokens, heads, kv, dh := c.heads(in[0], in[1])
	if len(in[3].Shape) != 3 {
		c.fail("kcache is %v, must be (S,KV,Dh)", in[3].Shape)
		return
	}
	size := in[3].Shape[0]
	c.floating("q", in[0], tokens, heads, dh)
	c.floating("k", in[1], tokens, kv, dh)
	c.floating("v", in[2], tokens, kv, dh)
	c.floating("kcache", in[3], size, kv, dh)
	c.floating("vcache", in[4], size, kv, dh)
	c.stored("positions", in[5], kernels.Int32, tokens)
	c.floating("o", o, tokens, heads, dh)
}
