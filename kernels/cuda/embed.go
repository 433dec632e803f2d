package cuda

import "attune/kernels"

type embedBwdArgs struct {
	IDs, DY, DWeight Ptr
	Vocab            int64
	Tokens, D, DDY   int32
	_                int32
}

func planEmbedBwd(p *planner, _ kernels.Kernel, in, out []View) {
	ids, dy, dw := in[0], in[1], out[0]
	if !dw.Wanted() {
		return
	}
	tokens, d := dy.Shape[0], dy.Shape[1]
	p.zero(dw)
	launch(p, "embed_bwd", 256, 32, embedBwdArgs{
		IDs: ids.Ptr, DY: dy.Ptr, DWeight: dw.Ptr, Vocab: int64(dw.Shape[0]), Tokens: int32(tokens), D: int32(d), DDY: int32(dy.Dtype),
	}, tokens, blocks(d, elementsABlock))
}
