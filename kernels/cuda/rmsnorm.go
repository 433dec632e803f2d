package cuda

import "attune/kernels"

type rmsnormArgs struct {
	X, Weight, Y, Rstd   Ptr
	Rows                 int64
	D, Lanes, DX, DW, DY int32
	Eps                  float32
}

type rmsnormBwdArgs struct {
	X, Weight, Rstd, DY, Out    Ptr
	Rows                        int64
	D, Lanes, DX, DW, DDY, DOut int32
}

type rmsnormDweightArgs struct {
	X, Rstd, DY, Y Ptr
	Rows           int64
	D, DX, DDY, _  int32
}

// rowThreads is how many threads share a row of d columns, 8 columns each at a time, and the end of the function's name:
// how often they take 8 columns at most, or that they read the row again.
func rowThreads(d int) (lanes int, suffix string) {
	switch {
	case d <= 256:
		lanes = 8
		for 8*lanes < d {
			lanes *= 2
		}
		return lanes, "_1"
	case d <= 1024:
		return 32, "_4"
	case d <= 4096:
		return 256, "_2"
	case d <= 8192:
		return 256, "_4"
	}
	return 256, "_long"
}

func planRMSNorm(p *planner, k kernels.Kernel, in, out []View) {
	x, w, y, rstd := in[0], in[1], out[0], out[1]
	if !y.Wanted() && !rstd.Wanted() {
		return
	}
	d := w.Elems()
	rows := x.Elems() / d
	lanes, suffix := rowThreads(d)
	launch(p, "rmsnorm"+suffix, 256, 32, rmsnormArgs{
		X: x.Ptr, Weight: w.Ptr, Y: y.Ptr, Rstd: rstd.Ptr, Rows: int64(rows), D: int32(d), Lanes: int32(lanes),
		DX: int32(x.Dtype), DW: int32(w.Dtype), DY: int32(y.Dtype), Eps: float32(k.(kernels.RMSNorm).Eps),
	}, blocks(rows*lanes, 256))
}

func planRMSNormBwd(p *planner, _ kernels.Kernel, in, out []View) {
	x, w, rstd, dy, dx, dw := in[0], in[1], in[2], in[3], out[0], out[1]
	d := w.Elems()
	rows := x.Elems() / d
	if dx.Wanted() {
		lanes, suffix := rowThreads(d)
		launch(p, "rmsnorm_bwd"+suffix, 256, 32, rmsnormBwdArgs{
			X: x.Ptr, Weight: w.Ptr, Rstd: rstd.Ptr, DY: dy.Ptr, Out: dx.Ptr, Rows: int64(rows), D: int32(d), Lanes: int32(lanes),
			DX: int32(x.Dtype), DW: int32(w.Dtype), DDY: int32(dy.Dtype), DOut: int32(dx.Dtype),
		}, blocks(rows*lanes, 256))
	}
	if dw.Wanted() {
		const rowsABlock = 32 // DWEIGHT_ROWS
		pieces := blocks(rows, rowsABlock)
		sums := p.scratch(kernels.Float32, pieces, d)
		threads := min(256, 32*blocks(d, 8*32))
		launch(p, "rmsnorm_dweight", threads, 0, rmsnormDweightArgs{
			X: x.Ptr, Rstd: rstd.Ptr, DY: dy.Ptr, Y: sums.Ptr, Rows: int64(rows), D: int32(d), DX: int32(x.Dtype), DDY: int32(dy.Dtype),
		}, blocks(d, 8*threads), pieces)
		p.colsum(sums, pieces, d, dw)
	}
}
