//go:build gpu

package cuda

import (
	"fmt"
	"math"
	"testing"

	"attune/engine/exec/exectest"
	"attune/internal/rng"
	"attune/kernels"
	"attune/kernels/cuda"
)

// matrix is rows of random values of bfloat16 on the device, its columns ld apart.
func matrix(t *testing.T, b *Backend, r *rng.Source, d kernels.Dtype, rows, cols, ld int) (cuda.Mat, []float32, *buffer) {
	t.Helper()
	v := exectest.Tensor{F: make([]float32, rows*ld)}
	for i := range v.F {
		v.F[i] = kernels.RoundBFloat16(float32(r.Norm()))
	}
	data := v.Bytes(d)
	buf, err := b.Alloc(int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = buf.Free() })
	if err := b.Upload(buf, 0, data); err != nil {
		t.Fatal(err)
	}
	m := buf.(*buffer)
	return cuda.Mat{Ptr: cuda.Ptr(m.block.ptr), Dtype: d, Rows: rows, Cols: cols, LD: ld}, v.F, m
}

// Products are what they say, by cuBLASLt (which has its matrices the other way round), where it refuses a shape, and without it: all
// transposes, rows apart from each other, a matrix added, a bias of the columns, in place or not.
func TestProducts(t *testing.T) {
	if run := again(t, "ATTUNE_EMU_LT=refuse-odd"); run != nil {
		run()
	}
	for _, path := range paths {
		b := open(t, Options{Path: path})
		r := rng.New(7)
		for i := range 64 {
			m, n, k := 1+r.Intn(40), 1+r.Intn(40), 1+r.Intn(70)
			pad := r.Intn(2) * (1 + r.Intn(9))
			in, out := kernels.Float32, kernels.Float32
			if i&1 != 0 {
				in = kernels.BFloat16
			}
			if i&2 != 0 {
				out = in
			}
			g := &cuda.Gemm{TransA: i&4 != 0, TransB: i&8 != 0, Alpha: 0.5}
			ar, ac, br, bc := m, k, k, n
			if g.TransA {
				ar, ac = ac, ar
			}
			if g.TransB {
				br, bc = bc, br
			}
			var av, bv, cv, bias []float32
			var d *buffer
			g.A, av, _ = matrix(t, b, r, in, ar, ac, ac+pad)
			g.B, bv, _ = matrix(t, b, r, in, br, bc, bc+pad)
			g.D, cv, d = matrix(t, b, r, out, m, n, n+pad)
			if i&16 != 0 {
				g.C, g.Beta = g.D, 1
				if i&32 != 0 {
					g.C, cv, _ = matrix(t, b, r, out, m, n, n+pad)
				}
			}
			if i%3 == 0 {
				var v cuda.Mat
				v, bias, _ = matrix(t, b, r, out, 1, n, n)
				g.Bias = cuda.View{Ptr: v.Ptr, Dtype: out, Shape: []int{n}}
			}
			if err := b.do(func() error { return b.gemm(g) }); err != nil {
				t.Fatalf("%s: %+v: %v", path, g, err)
			}
			data := make([]byte, d.size)
			if err := b.Download(data, d, 0); err != nil {
				t.Fatal(err)
			}
			got := exectest.Floats(data, out)
			tol := 1e-5
			if out == kernels.BFloat16 {
				tol = 1.0 / 128
			}
			for y := range m {
				for x := range n {
					sum, size := 0.0, 0.0
					for z := range k {
						a, c := av[at(g.TransA, g.A.LD, y, z)], bv[at(g.TransB, g.B.LD, z, x)]
						sum += float64(a) * float64(c)
						size += math.Abs(float64(a) * float64(c))
					}
					want := 0.5 * sum
					if g.Beta != 0 {
						want += float64(cv[y*g.D.LD+x])
					}
					if bias != nil {
						want += float64(bias[x])
					}
					if off := math.Abs(float64(got[y*g.D.LD+x]) - want); !(off <= tol*(math.Abs(want)+size/16+1)) {
						t.Fatalf("%s: %s: element %d,%d is %v, want %v", path, describe(g), y, x, got[y*g.D.LD+x], want)
					}
				}
			}
		}
	}
}

// at is where element row, col of op(M) lies.
func at(trans bool, ld, row, col int) int {
	if trans {
		row, col = col, row
	}
	return row*ld + col
}

func describe(g *cuda.Gemm) string {
	return fmt.Sprintf("A %v %v, B %v %v, D %v, beta %v, bias %v", g.A, g.TransA, g.B, g.TransB, g.D, g.Beta, g.Bias.Wanted())
}
