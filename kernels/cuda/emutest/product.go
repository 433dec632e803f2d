package emutest

import (
	"encoding/binary"
	"math"

	"attune/kernels"
	"attune/kernels/cuda"
)

// product is a Gemm by plain loops, sums in float64: what cuBLASLt stands for in a plan.
func product(g *cuda.Gemm) {
	a, b := newMatrix(g.A, g.TransA), newMatrix(g.B, g.TransB)
	c, d := newMatrix(g.C, false), newMatrix(g.D, false)
	bias := matrix{}
	if g.Bias.Wanted() {
		bias = newMatrix(cuda.Mat{Ptr: g.Bias.Ptr, Dtype: g.Bias.Dtype, Rows: 1, Cols: g.Bias.Elems(), LD: g.Bias.Elems()}, false)
	}
	as, bs := a.values(), b.values()
	m, n, k := a.rows, b.cols, a.cols
	row := make([]float64, n)
	for i := range m {
		clear(row)
		for l := range k {
			x := as[i*k+l]
			for j, y := range bs[l*n : (l+1)*n] {
				row[j] += float64(x) * float64(y)
			}
		}
		for j, s := range row {
			s *= float64(g.Alpha)
			if g.Beta != 0 {
				s += float64(g.Beta) * float64(c.at(i, j))
			}
			if bias.data != nil {
				s += float64(bias.at(0, j))
			}
			d.set(i, j, float32(s))
		}
	}
}

// matrix is a Mat, or its transpose.
type matrix struct {
	data           []byte
	dtype          kernels.Dtype
	rows, cols, ld int
	trans          bool
}

func newMatrix(m cuda.Mat, trans bool) matrix {
	if m.Rows == 0 || m.Cols == 0 {
		return matrix{}
	}
	x := matrix{dtype: m.Dtype, rows: m.Rows, cols: m.Cols, ld: m.LD, trans: trans}
	x.data = bytesAt(m.Ptr, int64((m.Rows-1)*m.LD+m.Cols)*m.Dtype.Size())
	if trans {
		x.rows, x.cols = m.Cols, m.Rows
	}
	return x
}

func (x matrix) offset(i, j int) int {
	if x.trans {
		i, j = j, i
	}
	return (i*x.ld + j) * int(x.dtype.Size())
}

func (x matrix) at(i, j int) float32 {
	o := x.offset(i, j)
	if x.dtype == kernels.BFloat16 {
		return kernels.BFloat16Float(binary.LittleEndian.Uint16(x.data[o:]))
	}
	return math.Float32frombits(binary.LittleEndian.Uint32(x.data[o:]))
}

func (x matrix) set(i, j int, v float32) {
	o := x.offset(i, j)
	if x.dtype == kernels.BFloat16 {
		binary.LittleEndian.PutUint16(x.data[o:], kernels.BFloat16Bits(v))
		return
	}
	binary.LittleEndian.PutUint32(x.data[o:], math.Float32bits(v))
}

func (x matrix) values() []float32 {
	out := make([]float32, 0, x.rows*x.cols)
	for i := range x.rows {
		for j := range x.cols {
			out = append(out, x.at(i, j))
		}
	}
	return out
}
