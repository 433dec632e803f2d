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

// sharedBytes bounds the operand that is packed for all workers: products go through it in pieces of rows or columns.
// localBytes bounds the rows of the left operand that one worker packs for itself, to stay in its second-level cache.
const (
	sharedBytes = 16 << 20
	localBytes  = 384 << 10
)

// packBuffers is the memory that the matrix products pack their operands into: shared for all workers, local and mem
// (right operand and sums) for each. The pages that no product has reached cost nothing yet.
type packBuffers struct {
	shared     []byte
	local, mem [][]byte
}

func newPackBuffers(e *Engine) packBuffers {
	if e.tuned == nil {
		return packBuffers{}
	}
	p := packBuffers{shared: alignedBytes(sharedBytes)}
	for range e.pool.n {
		p.local = append(p.local, alignedBytes(localBytes))
		p.mem = append(p.mem, alignedBytes(int64(e.tuned.tile.memory)))
	}
	return p
}

func (p packBuffers) bytes() int64 {
	n := int64(len(p.shared))
	for w := range p.mem {
		n += int64(len(p.local[w]) + len(p.mem[w]))
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

// from is n lanes of o, the first being lane.
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

// fits reports whether one panel of either operand fits the packing buffers: sums of up to some 100,000 elements.
func (e *Engine) fits(p *product) bool {
	return 4*e.words(p.k, p.bf16)*int(e.tuned.tile.nr) <= sharedBytes &&
		(p.lora == nil || e.words(p.lora.rank, p.bf16)*int(e.tuned.tile.nr) <= int(e.tuned.tile.thin*e.tuned.tile.strip))
}

// byRows reports how p is shared out. Either the right operand is packed for all and each worker packs the rows that it
// multiplies with it: best with many rows, as what is packed most stays in the worker's cache. Or the left operand is
// packed for all and each worker packs the columns that it takes; a right operand with dropout is packed only there.
func (e *Engine) byRows(p *product) bool {
	return p.drop.rate == 0 && p.m >= 256 && 4*p.m >= p.n && 4*e.words(p.k, p.bf16)*e.panelWidth(p.m) <= localBytes
}

// productScratch is what p needs beside the Engine's own buffers.
func (e *Engine) productScratch(p *product) int64 {
	l := p.lora
	if l == nil {
		return 0
	}
	kw, rw, w := e.words(p.k, p.bf16), e.words(l.rank, p.bf16), e.panelWidth(p.m)
	n := panelBytes(l.rank, e.columns(l.rank), kw) + panelBytes(p.m, w, rw) + panelBytes(p.n, e.columns(p.n), rw)
	if l.drop.rate > 0 {
		n += int64(e.pool.n) * (scratchSize(4*int64(w)*int64(p.k)) + panelBytes(w, w, kw))
	}
	return n
}

// panelBytes is the scratch for lanes packed in panels of width.
func panelBytes(lanes, width, words int) int64 {
	return scratchSize(4 * int64(ceilDiv(lanes, width)*width) * int64(words))
}

// multiply computes p, which must fit. Its scratch is productScratch bytes.
func (e *Engine) multiply(p *product, scratch []byte) {
	inner := e.newInner(p, &scratch)
	if e.byRows(p) {
		e.multiplyByRows(p, inner)
	} else {
		e.multiplyByColumns(p, inner)
	}
}

// args is p for the C side, less what says which part of it and where the packed operands are.
func (e *Engine) args(p *product, inner *inner) C.struct_gemm_args {
	a := C.struct_gemm_args{
		b: p.b.c(), k: C.int64_t(p.k), m: C.int64_t(p.m), n: C.int64_t(p.n), width: C.int(e.panelWidth(p.m)),
		bf16: cbool(p.bf16), drop: p.drop.c(0, 1), alpha: C.float(p.alpha * p.drop.factor()),
		bias: p.bias.ptr(), bias_dtype: C.int(p.bias.Dtype),
		c: p.c, crs: C.int64_t(p.crs), ccs: C.int64_t(p.ccs), c_dtype: C.int(p.cDtype), accumulate: cbool(p.accumulate),
	}
	if inner != nil {
		a.thin_a, a.thin_b, a.thin_k = inner.packed(0), p.lora.outer.c(), C.int64_t(p.lora.rank)
		a.scale, a.undrop = C.float(p.lora.scale), p.lora.undrop.c(0, p.lora.undrop.factor())
	}
	return a
}

// pieces is how many pieces to share out: one for a single worker, else some for each, so that none waits long.
func (e *Engine) pieces() int {
	if e.pool.n == 1 {
		return 1
	}
	return 8 * e.pool.n
}

func (e *Engine) multiplyByRows(p *product, inner *inner) {
	w, kw, cols := e.panelWidth(p.m), e.words(p.k, p.bf16), e.columns(p.n)
	panelsM, panelsN := ceilDiv(p.m, w), ceilDiv(p.n, cols)
	group := min(8, localBytes/(4*w*kw), max(1, panelsM/e.pieces()))
	args := e.args(p, inner)
	if inner != nil && p.c != nil {
		args.packed_thin_b = inner.packOuter()
	}
	atOnce := min(panelsN, sharedBytes/(4*cols*kw))
	for lo := 0; lo < panelsN; lo += atOnce {
		hi := min(panelsN, lo+atOnce)
		if p.c != nil {
			e.packPanels(p.b, p.k, p.bf16, cols, lo, hi, e.pack.shared)
		}
		e.parallel(ceilDiv(panelsM, group), func(worker, i int) {
			a := args
			m0, m1 := i*group, min(panelsM, (i+1)*group)
			local := e.pack.local[worker]
			e.packSome(p.a, p.k, p.bf16, w, m0, m1, local)
			if inner != nil && lo == 0 {
				inner.panels(worker, m0, m1, local)
			}
			if p.c == nil {
				return
			}
			a.a, a.first_a, a.m0, a.m1 = words32(local), C.int64_t(m0), C.int64_t(m0), C.int64_t(m1)
			a.packed_b, a.first_b, a.mem = words32(e.pack.shared), C.int64_t(lo), addr(e.pack.mem[worker])
			C.call_gemm(e.tuned, a, C.int64_t(lo), C.int64_t(hi))
		})
		if p.c == nil {
			return
		}
	}
}

func (e *Engine) multiplyByColumns(p *product, inner *inner) {
	w, kw := e.panelWidth(p.m), e.words(p.k, p.bf16)
	panelsM := ceilDiv(p.m, w)
	atOnce := min(panelsM, sharedBytes/(4*w*kw))
	for lo := 0; lo < panelsM; lo += atOnce {
		hi := min(panelsM, lo+atOnce)
		const group = 4
		e.parallel(ceilDiv(hi-lo, group), func(worker, i int) {
			m0, m1 := lo+i*group, min(hi, lo+(i+1)*group)
			at := e.pack.shared[4*(m0-lo)*w*kw:]
			e.packSome(p.a, p.k, p.bf16, w, m0, m1, at)
			if inner != nil {
				inner.panels(worker, m0, m1, at)
			}
		})
		if p.c == nil {
			continue
		}
		e.multiplyPacked(p, inner, lo, hi)
	}
}

// multiplyPacked computes the rows of panels lo..hi-1, which are packed for all workers, split over rows and columns.
func (e *Engine) multiplyPacked(p *product, inner *inner, lo, hi int) {
	tile := e.tuned.tile
	w, cols := e.panelWidth(p.m), e.columns(p.n)
	panelsN := ceilDiv(p.n, cols)
	args := e.args(p, inner)
	splitN := ceilDiv(panelsN, int(tile.strip)/cols)
	splitM := max(1, min(ceilDiv(e.pieces(), splitN), (hi-lo)*w/256))
	if e.words(p.k, p.bf16) > int(tile.kc) {
		splitM = max(splitM, ceilDiv(hi-lo, max(1, int(tile.rows)/w)))
	}
	splitN = max(splitN, min(panelsN, ceilDiv(e.pieces(), splitM)))
	e.parallel(splitM*splitN, func(worker, i int) {
		a := args
		im, in := i%splitM, i/splitM
		a.a, a.first_a, a.mem = words32(e.pack.shared), C.int64_t(lo), addr(e.pack.mem[worker])
		a.m0, a.m1 = C.int64_t(lo+im*(hi-lo)/splitM), C.int64_t(lo+(im+1)*(hi-lo)/splitM)
		C.call_gemm(e.tuned, a, C.int64_t(in*panelsN/splitN), C.int64_t((in+1)*panelsN/splitN))
	})
}

// packSome packs panels lo..hi-1 of o to dst, packPanels with all workers.
func (e *Engine) packSome(o operand, k int, bf16 bool, width, lo, hi int, dst []byte) {
	C.call_gemm_pack(e.tuned, C.struct_gemm_pack_args{src: o.c(), k: C.int64_t(k), width: C.int(width), bf16: cbool(bf16), dst: words32(dst)}, C.int64_t(lo), C.int64_t(hi))
}

func (e *Engine) packPanels(o operand, k int, bf16 bool, width, lo, hi int, dst []byte) {
	panel := 4 * width * e.words(k, bf16)
	e.parallel(hi-lo, func(_, i int) { e.packSome(o, k, bf16, width, lo+i, lo+i+1, dst[i*panel:]) })
}

func words32(b []byte) *C.uint32_t { return (*C.uint32_t)(addr(b)) }

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
