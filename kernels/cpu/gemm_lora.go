//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(gemm)
ATTUNE_CALL(gemm_pack)
ATTUNE_CALL(gemm_dropped)
ATTUNE_CALL(gemm_thin)
*/
import "C"

import "attune/kernels"

// inner is the state of a loraTerm during a product: Inner and Outer packed, the inner product packed for use as the left
// operand of the outer one, and, with dropout, memory for each worker to drop and pack one panel of rows in.
type inner struct {
	e           *Engine
	p           *product
	b, outer    []byte
	out         []byte
	rows, again [][]byte // (width, k) float32, and packed
}

func (e *Engine) newInner(p *product, scratch *[]byte) *inner {
	l := p.lora
	if l == nil {
		return nil
	}
	kw, rw, w, cols := e.words(p.k, p.bf16), e.words(l.rank, p.bf16), e.panelWidth(p.m), e.columns(l.rank)
	n := &inner{e: e, p: p, b: carvePanels(scratch, l.rank, cols, kw), out: carvePanels(scratch, p.m, w, rw)}
	n.outer = carvePanels(scratch, p.n, e.columns(p.n), rw)
	if l.drop.rate > 0 {
		for range e.pool.n {
			n.rows = append(n.rows, carve(scratch, 4*int64(w)*int64(p.k)))
			n.again = append(n.again, carvePanels(scratch, w, w, kw))
		}
	}
	e.packPanels(l.inner, p.k, p.bf16, cols, 0, ceilDiv(l.rank, cols), n.b)
	return n
}

func carvePanels(scratch *[]byte, lanes, width, words int) []byte {
	return carve(scratch, panelBytes(lanes, width, words)-scratchSize(0))
}

// packOuter packs the whole right operand of the outer product.
func (n *inner) packOuter() *C.uint32_t {
	cols := n.e.columns(n.p.n)
	n.e.packPanels(n.p.lora.outer, n.p.lora.rank, n.p.bf16, cols, 0, ceilDiv(n.p.n, cols), n.outer)
	return words32(n.outer)
}

// packed is the packed inner product from a panel on.
func (n *inner) packed(panel int) *C.uint32_t {
	return words32(n.out[4*panel*n.e.panelWidth(n.p.m)*n.e.words(n.p.lora.rank, n.p.bf16):])
}

// panels makes and packs the inner product of panels lo..hi-1 of A, which are packed at a.
func (n *inner) panels(worker, lo, hi int, a []byte) {
	e, p, l := n.e, n.p, n.p.lora
	w := e.panelWidth(p.m)
	args := C.struct_gemm_args{
		b: l.inner.c(), packed_b: words32(n.b), k: C.int64_t(p.k), m: C.int64_t(p.m), n: C.int64_t(l.rank), width: C.int(w),
		bf16: cbool(p.bf16), alpha: C.float(l.drop.factor()), c: l.out.ptr(), crs: C.int64_t(l.rank), ccs: 1,
		c_dtype: C.int(kernels.Float32), mem: addr(e.pack.mem[worker]),
	}
	for at := lo; at < hi; {
		end := hi
		if l.drop.rate > 0 {
			end = at + 1
			a = n.dropPanel(worker, at)
		}
		args.a, args.first_a, args.m0, args.m1 = words32(a), C.int64_t(at), C.int64_t(at), C.int64_t(end)
		C.call_gemm(e.tuned, args, 0, C.int64_t(ceilDiv(l.rank, e.columns(l.rank))))
		at = end
	}
	C.call_gemm_pack(e.tuned, C.struct_gemm_pack_args{
		src: byRow(l.out, p.m, l.rank).c(), k: C.int64_t(l.rank), width: C.int(w), bf16: cbool(p.bf16), dst: n.packed(lo),
	}, C.int64_t(lo), C.int64_t(hi))
}

// dropPanel is panel i of A packed after dropout.
func (n *inner) dropPanel(worker, i int) []byte {
	e, p := n.e, n.p
	w := e.panelWidth(p.m)
	first, rows := i*w, min(w, p.m-i*w)
	x := p.a.from(first, rows)
	C.call_gemm_dropped(e.tuned, C.struct_gemm_dropped_args{
		x: x.data, dtype: C.int(x.dtype), k: C.int64_t(p.k), drop: p.lora.drop.c(first, 1), dst: (*C.float)(addr(n.rows[worker])),
	}, 0, C.int64_t(rows))
	e.packSome(operand{addr(n.rows[worker]), kernels.Float32, p.k, 1, rows}, p.k, p.bf16, w, 0, 1, n.again[worker])
	return n.again[worker]
}

// multiplyThin computes p, the gradient of A or B: its left operand is a float32 matrix (k,m), its right one (k,n).
func (e *Engine) multiplyThin(p *product) {
	if p.m > C.THIN_RANK {
		e.multiply(p, nil)
		return
	}
	args := C.struct_gemm_thin_args{
		p: (*C.float)(p.a.data), rank: C.int64_t(p.m), x: p.b.c(), k: C.int64_t(p.k), drop: p.drop.c(0, 1), bf16: cbool(p.bf16),
		alpha: C.float(p.alpha * p.drop.factor()), c: (*C.float)(p.c), crs: C.int64_t(p.crs), ccs: C.int64_t(p.ccs),
	}
	e.parallel(ceilDiv(p.n, C.THIN_COLUMNS), func(worker, i int) {
		a := args
		a.mem = addr(e.pack.mem[worker])
		C.call_gemm_thin(e.tuned, a, C.int64_t(i), C.int64_t(i+1))
	})
}
