package cuda

import "attune/kernels"

// elementsABlock is how many elements a block of 256 threads takes in the element-wise kernels: 8 a thread.
const elementsABlock = 2048

type addArgs struct {
	A, B, Y    Ptr
	N          int64
	DA, DB, DY int32
	_          int32
}

// planAdd is add and accumulate.
func planAdd(p *planner, _ kernels.Kernel, in, out []View) {
	a, b, y := in[0], in[1], out[0]
	if y.Wanted() {
		launch(p, "add", 256, 0, addArgs{
			A: a.Ptr, B: b.Ptr, Y: y.Ptr, N: int64(y.Elems()), DA: int32(a.Dtype), DB: int32(b.Dtype), DY: int32(y.Dtype),
		}, blocks(y.Elems(), elementsABlock))
	}
}

func planZero(p *planner, _ kernels.Kernel, _, out []View) {
	if out[0].Wanted() {
		p.zero(out[0])
	}
}
