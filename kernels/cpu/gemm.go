//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(gemm)
ATTUNE_CALL(gemm_pack)
ATTUNE_CALL(gemm_sum)
*/
import "C"

import (
	"math"
	"unsafe"

	"attune/kernels"
)

// packABytes bounds the packed left operand: products with more rows go through it in pieces of rows.
const packABytes = 16 << 20

// packBuffers is the memory that the matrix products pack their operands into: a, the left operand, for all workers, and
// mem, the right operand and sums, for each. The pages that no product has reached cost nothing yet.
type packBuffers struct {
	a   []byte
	mem [][]byte
}

func newPackBuffers(e *Engine) packBuffers {
	if e.tuned == nil {
		return packBuffers{}
	}
	p := packBuffers{a: alignedBytes(packABytes)}
	for range e.pool.n {
		p.mem = append(p.mem, alignedBytes(int64(e.tuned.tile.memory)))
	}
	return p
}

func (p packBuffers) bytes() int64 {
	n := int64(len(p.a))
	for _, m := range p.mem {
		n += int64(len(m))
	}
	return n
}

func alignedBytes(n int64) []byte {
	s := make([]byte, scratchSize(n))
	return carve(&s, n)
}

func addr(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

// operand is a matrix that is packed: element (lane, k) is data[lane*ls + k*ks]; lanes are rows of the left operand,
// columns of the right one.
type operand struct {
	data   unsafe.Pointer
	dtype  kernels.Dtype
	ls, ks int
	lanes  int
}

// byRow takes v (rows,cols) with its rows as lanes, byCol with its columns.
func byRow(v View, rows, cols int) operand { return operand{v.ptr(), v.Dtype, cols, 1, rows} }
func byCol(v View, rows, cols int) operand { return operand{v.ptr(), v.Dtype, 1, cols, cols} }

func (o operand) c() C.struct_gemm_operand {
	return C.struct_gemm_operand{data: o.data, ls: C.int64_t(o.ls), ks: C.int64_t(o.ks), lanes: C.int64_t(o.lanes), dtype: C.int(o.dtype)}
}

// from is o without its first lanes.
func (o operand) from(lane, n int) operand {
	o.data = unsafe.Add(o.data, lane*o.ls*int(o.dtype.Size()))
	o.lanes = n
	return o
}

// c is the dropout of rows from first on, what survives being multiplied by keep.
func (d dropout) c(first int, keep float64) C.struct_gemm_drop {
	if d.rate == 0 {
		return C.struct_gemm_drop{}
	}
	return C.struct_gemm_drop{
		keys: (*C.int32_t)(unsafe.Pointer(unsafe.SliceData(d.keys[first:]))), salt: C.uint32_t(d.salt),
		threshold: C.uint32_t(math.Ceil(float64(float32(d.rate)) * (1 << 24))), keep: C.float(keep),
	}
}

// factor is what survivors are multiplied by. A sum of them is multiplied instead, so that rounding them to bfloat16
// loses nothing.
func (d dropout) factor() float64 { return 1 / (1 - d.rate) }

// product is C (m,n) = alpha * (A B + lora) + bias, where A has m lanes and B n, both of k elements.
type product struct {
	m, n, k    int
	a, b       operand
	bf16       bool // operands are rounded to bfloat16
	drop       dropout
	lora       *loraTerm
	alpha      float64
	bias       View
	c          unsafe.Pointer // nil = not wanted, only the lora's inner product is
	cDtype     kernels.Dtype
	crs, ccs   int
	accumulate bool // C += instead of C =
}

// loraTerm is scale * undrop(drop(A) Inner Outer): Inner (k,rank) and Outer (rank,n). The inner product drop(A) Inner is
// left in out (m,rank), float32, which is always there.
type loraTerm struct {
	rank         int
	scale        float64
	inner, outer operand
	out          View
	drop         dropout // of A, in the inner product
	undrop       dropout // of the outer product
}

// words is how many packed words k elements take.
func (e *Engine) words(k int, bf16 bool) int {
	if bf16 {
		return (k + int(e.tuned.tile.pair) - 1) / int(e.tuned.tile.pair)
	}
	return k
}

// panelWidth is the width of the panels of m rows: as even as the largest tile allows.
func (e *Engine) panelWidth(m int) int {
	mr := int(e.tuned.tile.mr)
	return ceilDiv(m, ceilDiv(m, mr))
}

// columns is the width of the right operand's panels.
func (e *Engine) columns(n int) int {
	if nr := int(e.tuned.tile.nr); n > nr/2 {
		return nr
	}
	return int(e.tuned.tile.nr) / 2
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// rowsAtOnce is how many rows of the left operand are packed together.
func (e *Engine) rowsAtOnce(m, k int, bf16 bool) int {
	w := e.panelWidth(m)
	return min(m, max(1, packABytes/4/(e.words(k, bf16)*w))*w)
}

// productScratch is what p needs beside the Engine's own buffers.
func (e *Engine) productScratch(p *product) int64 {
	l := p.lora
	if l == nil {
		return 0
	}
	kw, rw, w := e.words(p.k, p.bf16), e.words(l.rank, p.bf16), e.panelWidth(p.m)
	cols := e.columns(l.rank)
	n := scratchSize(4*int64(kw)*int64(ceilDiv(l.rank, cols)*cols)) + scratchSize(4*int64(rw)*int64(ceilDiv(p.m, w)*w))
	if l.drop.rate > 0 {
		n += int64(e.pool.n) * (scratchSize(4*int64(w)*int64(p.k)) + scratchSize(4*int64(w)*int64(kw)))
	}
	return n
}

// multiply computes p. Its scratch is productScratch bytes.
func (e *Engine) multiply(p *product, scratch []byte) {
	rows := e.rowsAtOnce(p.m, p.k, p.bf16)
	inner := e.newInner(p, &scratch)
	for first := 0; first < p.m; first += rows {
		n := min(rows, p.m-first)
		e.packA(p, inner, first, n)
		if p.c != nil {
			e.multiplyRows(p, inner, first, n)
		}
	}
}

// packA packs rows first..first+n-1 of A, and makes and packs their inner product while they are in cache.
func (e *Engine) packA(p *product, inner *inner, first, n int) {
	const group = 4
	w, kw := e.panelWidth(p.m), e.words(p.k, p.bf16)
	args := C.struct_gemm_pack_args{src: p.a.from(first, n).c(), k: C.int64_t(p.k), width: C.int(w), bf16: cbool(p.bf16), dst: (*C.uint32_t)(addr(e.pack.a))}
	panels := ceilDiv(n, w)
	e.parallel(ceilDiv(panels, group), func(worker, i int) {
		lo, hi := i*group, min(panels, (i+1)*group)
		C.call_gemm_pack(e.tuned, args, C.int64_t(lo), C.int64_t(hi))
		if inner != nil {
			inner.panels(worker, first, n, lo, hi, addr(e.pack.a[lo*w*kw*4:]))
		}
	})
}

// multiplyRows computes rows first..first+n-1 of C, split over rows and columns into some pieces a worker.
func (e *Engine) multiplyRows(p *product, inner *inner, first, n int) {
	tile := e.tuned.tile
	w := e.panelWidth(p.m)
	args := C.struct_gemm_args{
		a: (*C.uint32_t)(addr(e.pack.a)), b: p.b.c(), k: C.int64_t(p.k), m: C.int64_t(n), n: C.int64_t(p.n), width: C.int(w),
		bf16: cbool(p.bf16), drop: p.drop.c(0, 1), alpha: C.float(p.alpha * p.drop.factor()), bias: p.bias.ptr(), bias_dtype: C.int(p.bias.Dtype),
		c: unsafe.Add(p.c, first*p.crs*int(p.cDtype.Size())), crs: C.int64_t(p.crs), ccs: C.int64_t(p.ccs),
		c_dtype: C.int(p.cDtype), accumulate: cbool(p.accumulate),
	}
	if inner != nil {
		args.thin_a, args.thin_b, args.thin_k = inner.packed(first), p.lora.outer.c(), C.int64_t(p.lora.rank)
		args.scale, args.undrop = C.float(p.lora.scale), p.lora.undrop.c(first, p.lora.undrop.factor())
	}
	panelsM, panelsN := ceilDiv(n, w), ceilDiv(p.n, e.columns(p.n))
	pieces := 1
	if e.pool.n > 1 {
		pieces = 8 * e.pool.n
	}
	splitN := ceilDiv(panelsN, int(tile.strip)/e.columns(p.n))
	splitM := min(max(1, ceilDiv(pieces, splitN)), max(1, n/256))
	if e.words(p.k, p.bf16) > int(tile.kc) {
		splitM = max(splitM, ceilDiv(panelsM, max(1, int(tile.rows)/w)))
	}
	splitN = max(splitN, min(panelsN, ceilDiv(pieces, splitM)))
	e.parallel(splitM*splitN, func(worker, i int) {
		a := args
		im, in := i%splitM, i/splitM
		a.m0, a.m1 = C.int64_t(im*panelsM/splitM), C.int64_t((im+1)*panelsM/splitM)
		a.mem = addr(e.pack.mem[worker])
		C.call_gemm(e.tuned, a, C.int64_t(in*panelsN/splitN), C.int64_t((in+1)*panelsN/splitN))
	})
}

// sums is y[lane] = the sum of the lane's k elements.
func (e *Engine) sums(x operand, k int, y View) {
	args := C.struct_gemm_sum_args{x: x.c(), k: C.int64_t(k), y: (*C.float)(y.ptr())}
	e.chunks(x.lanes, 64, func(_, lo, hi int) { C.call_gemm_sum(e.tuned, args, C.int64_t(lo), C.int64_t(hi)) })
}

func cbool(b bool) C.int {
	if b {
		return 1
	}
	return 0
}
