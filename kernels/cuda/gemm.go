package cuda

import (
	"fmt"

	"attune/kernels"
)

// PlanGemm is g by the kernels of this directory, where cuBLASLt is missing or has no algorithm for it: one launch. Every
// element of D is made by one thread or warp, in a fixed order of k, so bits depend on shapes, dtypes and values alone.
func PlanGemm(t Target, g Gemm) ([]Step, error) {
	p := planner{target: t}
	p.ownGemm(g)
	if p.err != nil {
		return nil, fmt.Errorf("matrix product: %w", p.err)
	}
	return p.steps, nil
}

// product is a Gemm's sizes: D (m,n), k products an element.
func (g *Gemm) product() (m, n, k int) {
	k = g.A.Cols
	if g.TransA {
		k = g.A.Rows
	}
	return g.D.Rows, g.D.Cols, k
}

// check refuses operands that do not fit together.
func (g *Gemm) check() error {
	m, n, k := g.product()
	for _, o := range []struct {
		name       string
		mat        Mat
		trans      bool
		rows, cols int
	}{{"A", g.A, g.TransA, m, k}, {"B", g.B, g.TransB, k, n}, {"C", g.C, false, m, n}, {"D", g.D, false, m, n}} {
		if o.name == "C" && g.Beta == 0 {
			continue
		}
		rows, cols := o.rows, o.cols
		if o.trans {
			rows, cols = cols, rows
		}
		if o.mat.Rows != rows || o.mat.Cols != cols || o.mat.LD < cols || rows <= 0 || cols <= 0 {
			return fmt.Errorf("%s is %dx%d with rows %d apart, wants %dx%d", o.name, o.mat.Rows, o.mat.Cols, o.mat.LD, rows, cols)
		}
		if d := o.mat.Dtype; d != kernels.Float32 && d != kernels.BFloat16 {
			return fmt.Errorf("%s is %v", o.name, d)
		}
	}
	switch {
	case g.A.Dtype != g.B.Dtype:
		return fmt.Errorf("A is %v and B %v", g.A.Dtype, g.B.Dtype)
	case g.Beta != 0 && g.C.Dtype != g.D.Dtype:
		return fmt.Errorf("C is %v and D %v", g.C.Dtype, g.D.Dtype)
	case g.Bias.Wanted() && g.Bias.Elems() != n:
		return fmt.Errorf("bias%v of %d columns", g.Bias.Shape, n)
	}
	return nil
}

type gemmF32Args struct {
	A, B, C, Bias, D                 Ptr
	Lda, Ldb, Ldc, Ldd               int64
	M, N, K, Ta, Tb, Dab, Dcd, Dbias int32
	Alpha, Beta                      float32
}

// fewTiles is when a product takes smaller tiles: a device has some hundred multiprocessors.
const fewTiles = 128

// ownGemm appends g by a kernel of this directory.
func (p *planner) ownGemm(g Gemm) {
	if err := g.check(); err != nil {
		p.fail("%w", err)
		return
	}
	m, n, k := g.product()
	args := gemmF32Args{
		A: g.A.Ptr, B: g.B.Ptr, C: g.C.Ptr, Bias: g.Bias.Ptr, D: g.D.Ptr,
		Lda: int64(g.A.LD), Ldb: int64(g.B.LD), Ldc: int64(g.C.LD), Ldd: int64(g.D.LD), M: int32(m), N: int32(n), K: int32(k),
		Ta: flag(g.TransA), Tb: flag(g.TransB), Dab: int32(g.A.Dtype), Dcd: int32(g.D.Dtype), Dbias: int32(g.Bias.Dtype),
		Alpha: g.Alpha, Beta: g.Beta,
	}
	name, tile := "gemm_f32_128", 128
	if blocks(m, tile)*blocks(n, tile) < fewTiles {
		name, tile = "gemm_f32_64", 64
	}
	shared := 2 * 2 * 16 * (tile + 4) * 4 // two steps of A and B, rows padded
	launch(p, name, 256, shared, args, blocks(n, tile), blocks(m, tile))
}
