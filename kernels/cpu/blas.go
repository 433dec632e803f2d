package cpu

import (
	"unsafe"

	"attune/kernels"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

// A blasProduct is made in tiles of at most blasTile by blasTile sums, one worker each. Both operands are packed blasDepth
// elements at a time as float32 rows that lie blasStride apart, a multiple of a cache line: gonum's dot product starts by
// going up to an aligned address, so where an operand lies would change bits. Tiles go to gonum in blocks of blasBlock by
// blasBlock, which is one block of its own, so it starts no goroutines.
const (
	blasTile   = 128
	blasBlock  = 64
	blasDepth  = 256
	blasStride = blasDepth + 16 // not a power of two, or the rows of a column would share cache sets
	blasPacked = blasTile * blasStride
	blasWork   = 4 * (2*blasPacked + blasTile*blasTile) // bytes a worker needs
)

// blasMatrix is an operand of a product as it is stored: rows of cols numbers, with dropout (survivors are not scaled).
type blasMatrix struct {
	v     View
	cols  int
	index []int // which rows of v; nil is all of them, in order
	drop  dropout
	byCol bool // sums run down the columns, not along the rows
}

// blasTerm adds alpha · a b to a product's sums; then undrop is applied to all that was added until then.
type blasTerm struct {
	k      int
	a, b   blasMatrix
	alpha  float64
	undrop dropout
}

// blasProduct is C (m,n) = Σ terms + bias, added in float32 and rounded once.
type blasProduct struct {
	m, n       int
	bf16       bool // operands are rounded to bfloat16
	terms      []blasTerm
	bias, c    View
	index      []int // which rows of c; nil is all of them, in order
	accumulate bool  // C += instead of C =; c is float32
}

func (e *Engine) blasScratch() int64 { return scratchSize(int64(e.pool.n) * blasWork) }

// blasMultiply computes p; work is of blasScratch bytes. How C is cut does not change bits: every element is the sum of the
// same pieces of k in the same order.
func (e *Engine) blasMultiply(p blasProduct, work []byte) {
	side := blasTile
	for side > 16 && ceilDiv(p.m, side)*ceilDiv(p.n, side) < 2*e.pool.n {
		side /= 2
	}
	mem := View{Data: carve(&work, int64(e.pool.n)*blasWork)}.f32()
	across := ceilDiv(p.n, side)
	e.parallel(ceilDiv(p.m, side)*across, func(worker, i int) {
		row, col := i/across*side, i%across*side
		w := mem[worker*blasWork/4 : (worker+1)*blasWork/4]
		p.tile(w, row, col, min(side, p.m-row), min(side, p.n-col))
	})
}

// tile computes C from (row, col) on, m by n of it.
func (p *blasProduct) tile(work []float32, row, col, m, n int) {
	a, b, sums := work[:blasPacked], work[blasPacked:2*blasPacked], work[2*blasPacked:]
	for r := range m {
		s := sums[r*blasTile : r*blasTile+n]
		if p.accumulate {
			copy(s, p.c.f32()[p.at(row+r, col):])
		} else {
			clear(s)
		}
	}
	for _, t := range p.terms {
		for k := 0; k < t.k; k += blasDepth {
			depth := min(blasDepth, t.k-k)
			t.a.pack(a, row, m, k, depth, p.bf16)
			t.b.pack(b, col, n, k, depth, p.bf16)
			for i := 0; i < m; i += blasBlock {
				for j := 0; j < n; j += blasBlock {
					gonum.Implementation{}.Sgemm(blas.NoTrans, blas.Trans, min(blasBlock, m-i), min(blasBlock, n-j), depth,
						float32(t.alpha), a[i*blasStride:], blasStride, b[j*blasStride:], blasStride, 1, sums[i*blasTile+j:], blasTile)
				}
			}
		}
		for r := range m {
			t.undrop.mask(sums[r*blasTile:r*blasTile+n], row+r, col, 1/(1-t.undrop.rate))
		}
	}
	for r := range m {
		p.store(sums[r*blasTile:r*blasTile+n], row+r, col)
	}
}

// store adds the bias to sums and writes them.
func (p *blasProduct) store(sums []float32, row, col int) {
	if p.bias.wanted() {
		var bias [blasTile]float32
		(&blasMatrix{v: p.bias}).read(bias[:len(sums)], 0, col, false)
		for i := range sums {
			sums[i] += bias[i]
		}
	}
	at := p.at(row, col)
	if p.c.Dtype == kernels.Float32 {
		copy(p.c.f32()[at:], sums)
		return
	}
	dst := p.c.u16()[at : at+len(sums)]
	for i, f := range sums {
		dst[i] = f32ToBF16(f)
	}
}

// at is where C's element (row, col) lies.
func (p *blasProduct) at(row, col int) int {
	if p.index != nil {
		row = p.index[row]
	}
	return row*p.n + col
}

// pack writes elements k..k+depth-1 of lanes lane..lane+lanes-1 to dst; a lane is what one sum reads.
func (m *blasMatrix) pack(dst []float32, lane, lanes, k, depth int, round bool) {
	if !m.byCol {
		for l := range lanes {
			m.read(dst[l*blasStride:l*blasStride+depth], lane+l, k, round)
		}
		return
	}
	var row [blasTile]float32
	for i := range depth {
		m.read(row[:lanes], k+i, lane, round)
		for l, f := range row[:lanes] {
			dst[l*blasStride+i] = f
		}
	}
}

// read widens numbers of a row, from col on; round first rounds float32 to bfloat16.
func (m *blasMatrix) read(dst []float32, row, col int, round bool) {
	stored := row
	if m.index != nil {
		stored = m.index[row]
	}
	at := stored*m.cols + col
	if m.v.Dtype == kernels.BFloat16 {
		for i, h := range m.v.u16()[at : at+len(dst)] {
			dst[i] = bf16ToF32(h)
		}
	} else {
		copy(dst, m.v.f32()[at:at+len(dst)])
		if round {
			for i, f := range dst {
				dst[i] = bf16ToF32(f32ToBF16(f))
			}
		}
	}
	m.drop.mask(dst, row, col, 1)
}

// mask sets the elements of a row, from col on, that dropout drops to 0 and multiplies the others by keep.
func (d dropout) mask(x []float32, row, col int, keep float64) {
	if d.rate == 0 {
		return
	}
	a, b := kernels.UniformRow(uint32(d.keys[row]), d.salt)
	for i, f := range x {
		if kernels.UniformAt(a, b, uint32(col+i)) >= float32(d.rate) {
			x[i] = f * float32(keep)
		} else {
			x[i] = 0
		}
	}
}

// blasSums adds up the columns of m, which has so many rows, in float64 and in order.
func (e *Engine) blasSums(m blasMatrix, rows int, dst []float32) {
	e.parallel(ceilDiv(m.cols, blasTile), func(_, i int) {
		var sums [blasTile]float64
		var row [blasTile]float32
		first := i * blasTile
		n := min(blasTile, m.cols-first)
		for r := range rows {
			m.read(row[:n], r, first, false)
			for j, f := range row[:n] {
				sums[j] += float64(f)
			}
		}
		for j, s := range sums[:n] {
			dst[first+j] = float32(s)
		}
	})
}

// carveFloats is carve for n float32.
func carveFloats(scratch *[]byte, n int) []float32 {
	b := carve(scratch, 4*int64(n))
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n)
}
