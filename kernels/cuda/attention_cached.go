package cuda

import "attune/kernels"

type attCacheArgs struct {
	K, V, Kcache, Vcache     Ptr
	Positions                Ptr
	Columns                  int64
	Tokens, Keys             int32
	Tk, Tv, Tkcache, Tvcache int32
}

// planAttentionCached writes the new rows of the caches, then attends to them as attention does.
func planAttentionCached(p *planner, kernel kernels.Kernel, in, out []View) {
	c, q, k, v, kcache, vcache, positions, o := kernel.(kernels.AttentionCached), in[0], in[1], in[2], in[3], in[4], in[5], out[0]
	launch(p, "att_cache", 256, 32, attCacheArgs{
		K: k.Ptr, V: v.Ptr, Kcache: kcache.Ptr, Vcache: vcache.Ptr, Positions: positions.Ptr,
		Columns: int64(k.Shape[1]) * int64(k.Shape[2]), Tokens: int32(k.Shape[0]), Keys: int32(kcache.Shape[0]),
		Tk: int32(k.Dtype), Tv: int32(v.Dtype), Tkcache: int32(kcache.Dtype), Tvcache: int32(vcache.Dtype),
	}, k.Shape[0])
	if !o.Wanted() {
		return
	}
	a := p.attention(q, kcache, vcache, c.Scale, c.SoftCap)
	a.O, a.To = o.Ptr, int32(o.Dtype)
	if a.Tokens <= decodeTokens {
		a.decode(p, positions, c.Window)
		return
	}
	a.spans(p, View{}, positions, c.Window, false)
	a.forward(p)
}
