package cuda

import (
	"fmt"

	"attune/kernels"
)

// PlanGemm is g by the kernels of this directory, where cuBLASLt is missing or has no algorithm for it: one launch. Every
// element of D is one sum in the order of k, so its bits depend on shapes, dtypes and values alone.
func PlanGemm(t Target, g Gemm) ([]Step, error) {
	p := planner{target: t}
	p.multiply(product{Gemm: g})
	if p.err != nil {
		return nil, fmt.Errorf("matrix product: %w", p.err)
	}
	return p.steps, nil
}

// product is what the kernels of this directory can make in one launch: a Gemm and, if it is bfloat16, a second product
// op(A2) op(B2) that is added to the first within the sum, and dropout of the result before C is added.
type product struct {
	Gemm
	A2, B2 Mat
	drop   dropout
}

// size is that of D (m,n) and the number of products an element, k.
func (g *Gemm) size() (m, n, k int) {
	k = g.A.Cols
	if g.TransA {
		k = g.A.Rows
	}
	return g.D.Rows, g.D.Cols, k
}

// transposes are the letters by which the functions of products are named: t where A, then B, is transposed, otherwise n.
func (g *Gemm) transposes() string {
	return string("nt"[flag(g.TransA)]) + string("nt"[flag(g.TransB)])
}

// check refuses operands that do not fit together.
func (g *Gemm) check() error {
	m, n, k := g.size()
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
			return fmt.Errorf("%s is %v, wants float32 or bfloat16", o.name, d)
		}
	}
	switch {
	case g.A.Dtype != g.B.Dtype:
		return fmt.Errorf("operands are %v and %v, want one dtype", g.A.Dtype, g.B.Dtype)
	case g.Beta != 0 && g.C.Dtype != g.D.Dtype:
		return fmt.Errorf("addend C is %v and the result %v, want one dtype", g.C.Dtype, g.D.Dtype)
	case g.Bias.Wanted() && g.Bias.Elems() != n:
		return fmt.Errorf("bias has shape %v, wants (%d)", g.Bias.Shape, n)
	}
	return nil
}

// fewTiles is when a product takes smaller tiles: a device has about a hundred multiprocessors.
const fewTiles = 128

// multiply appends g by a kernel of this directory.
func (p *planner) multiply(g product) {
	if err := g.check(); err != nil {
		p.fail("%w", err)
		return
	}
	switch {
	case p.onHopper(g):
		p.multiplySm90(g)
	case g.A.Dtype == kernels.BFloat16:
		p.multiplyBF16(g)
	default:
		p.multiplyF32(g.Gemm)
	}
}

type gemmF32Args struct {
	A, B, C, Bias, D            Ptr
	Lda, Ldb, Ldc, Ldd          int64
	M, N, K, Ta, Tb, Dcd, Dbias int32
	Alpha, Beta                 float32
	_                           int32
}

func (p *planner) multiplyF32(g Gemm) {
	m, n, k := g.size()
	name, tile := "gemm_f32_128", 128
	if blocks(m, tile)*blocks(n, tile) < fewTiles {
		name, tile = "gemm_f32_64", 64
	}
	shared := 2 * 2 * 16 * (tile + 4) * 4 // two steps of A and of B, rows padded
	launch(p, name, 256, shared, gemmF32Args{
		A: g.A.Ptr, B: g.B.Ptr, C: g.C.Ptr, Bias: g.Bias.Ptr, D: g.D.Ptr,
		Lda: int64(g.A.LD), Ldb: int64(g.B.LD), Ldc: int64(g.C.LD), Ldd: int64(g.D.LD), M: int32(m), N: int32(n), K: int32(k),
		Ta: flag(g.TransA), Tb: flag(g.TransB), Dcd: int32(g.D.Dtype), Dbias: int32(g.Bias.Dtype), Alpha: g.Alpha, Beta: g.Beta,
	}, blocks(n, tile), blocks(m, tile))
}

type gemmBF16Args struct {
	A, B, A2, B2, C, Bias, D, Keys   Ptr
	Lda, Ldb, Lda2, Ldb2, Ldc, Ldd   int64
	M, N, K, K2, Dcd, Dbias, Dropped int32
	Alpha, Beta                      float32
	Salt                             uint32
	Rate                             float32
	_                                int32
}

func (p *planner) multiplyBF16(g product) {
	m, n, k := g.size()
	k2 := g.A2.Cols
	if g.TransA {
		k2 = g.A2.Rows
	}
	tile := 128
	if blocks(m, tile)*blocks(n, 128) < fewTiles {
		tile = 64
	}
	// Four steps of 32 k, and then the sums with rows of 132.
	shared := max(4*(tile+128)*32*2, tile*132*4)
	launch(p, fmt.Sprintf("gemm_bf16_%s_%d", g.transposes(), tile), 256, shared, gemmBF16Args{
		A: g.A.Ptr, B: g.B.Ptr, A2: g.A2.Ptr, B2: g.B2.Ptr, C: g.C.Ptr, Bias: g.Bias.Ptr, D: g.D.Ptr, Keys: g.drop.keys.Ptr,
		Lda: int64(g.A.LD), Ldb: int64(g.B.LD), Lda2: int64(g.A2.LD), Ldb2: int64(g.B2.LD), Ldc: int64(g.C.LD), Ldd: int64(g.D.LD),
		M: int32(m), N: int32(n), K: int32(k), K2: int32(k2), Dcd: int32(g.D.Dtype), Dbias: int32(g.Bias.Dtype),
		Dropped: flag(g.drop.rate > 0), Alpha: g.Alpha, Beta: g.Beta, Salt: g.drop.salt, Rate: float32(g.drop.rate),
	}, blocks(m, tile)*blocks(n, 128))
}
