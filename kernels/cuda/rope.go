package cuda

import "attune/kernels"

type ropeArgs struct {
	X, Positions, Y            Ptr
	Tokens, Heads, Half, Block int32
	DX, DY                     int32
	Scale, Sign                float64
	InvFreq                    [128]float64
}

func planRoPE(p *planner, k kernels.Kernel, in, out []View) {
	r, x, positions, y := k.(kernels.RoPE), in[0], in[1], out[0]
	if !y.Wanted() {
		return
	}
	tokens, heads, half := x.Shape[0], x.Shape[1], len(r.InvFreq)
	a := ropeArgs{
		X: x.Ptr, Positions: positions.Ptr, Y: y.Ptr, Tokens: int32(tokens), Heads: int32(heads), Half: int32(half),
		DX: int32(x.Dtype), DY: int32(y.Dtype), Scale: r.Scale, Sign: 1,
	}
	if r.Inverse {
		a.Sign = -1
	}
	if copy(a.InvFreq[:], r.InvFreq) < half {
		p.fail("heads of %d; at most %d here", 2*half, 2*len(a.InvFreq))
		return
	}
	// Enough tokens that each of 128 threads turns 8 pairs twice.
	a.Block = int32(min(16, max(1, 2*128*8/max(1, heads*half))))
	launch(p, "rope", 128, 8*int(a.Block)*half, a, blocks(tokens, int(a.Block)))
}
