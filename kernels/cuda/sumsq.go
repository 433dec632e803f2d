package cuda

import "attune/kernels"

// sumSqArgs are one tensor; or, where All is not 0, Count of them, each with the number of its first block.
type sumSqArgs struct {
	X, Partial, S Ptr
	N, First      int64
	All           Ptr
	Count, DX     int32
}

// newSumSqArgs takes scratch for a sum a block.
func newSumSqArgs(p *planner, x, s View) sumSqArgs {
	n := x.Elems()
	partial := p.scratch(kernels.Float64, blocks(n, blockElems))
	return sumSqArgs{X: x.Ptr, Partial: partial.Ptr, S: s.Ptr, N: int64(n), DX: int32(x.Dtype)}
}

func planSumSq(p *planner, _ kernels.Kernel, in, out []View) {
	if out[0].Wanted() {
		launchSumSq(p, newSumSqArgs(p, in[0], out[0]), blocks(in[0].Elems(), blockElems))
	}
}

func launchSumSq(p *planner, a sumSqArgs, n int) {
	launch(p, "sumsq", 256, 64, a, n)
	launch(p, "sumsq_finish", 256, 64, a, max(1, int(a.Count)))
}
