//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(gemm)
ATTUNE_CALL(gemm_pack)
ATTUNE_CALL(gemm_dropped)
*/
import "C"

import (
	"unsafe"

	"attune/kernels"
)

// inner is the state of a loraTerm during a product: Inner packed once, the inner product packed for use as the left
// operand of the outer one, and, with dropout, memory for each worker to drop and pack rows in.
type inner struct {
	e      *Engine
	p      *product
	b      []byte
	out    []byte
	rows   [][]byte // (width, k) float32
	rowsAt [][]byte // the same packed
}

func (e *Engine) newInner(p *product, scratch *[]byte) *inner {
	l := p.lora
	if l == nil {
		return nil
	}
	kw, w, cols := e.words(p.k, p.bf16), e.panelWidth(p.m), e.columns(l.rank)
	n := &inner{e: e, p: p}
	n.b = carve(scratch, 4*int64(kw)*int64(ceilDiv(l.rank, cols)*cols))
	n.out = carve(scratch, 4*int64(e.words(l.rank, p.bf16))*int64(ceilDiv(p.m, w)*w))
	if l.drop.rate > 0 {
		for range e.pool.n {
			n.rows = append(n.rows, carve(scratch, 4*int64(w)*int64(p.k)))
			n.rowsAt = append(n.rowsAt, carve(scratch, 4*int64(w)*int64(kw)))
		}
	}
	args := C.struct_gemm_pack_args{src: l.inner.c(), k: C.int64_t(p.k), width: C.int(cols), bf16: cbool(p.bf16), dst: (*C.uint32_t)(addr(n.b))}
	e.parallel(ceilDiv(l.rank, cols), func(_, i int) { C.call_gemm_pack(e.tuned, args, C.int64_t(i), C.int64_t(i+1)) })
	return n
}

// packed is the packed inner product from row first on, which begins a panel.
func (n *inner) packed(first int) *C.uint32_t {
	return (*C.uint32_t)(addr(n.out[4*first*n.e.words(n.p.lora.rank, n.p.bf16):]))
}

// panels makes the inner product of panels lo..hi-1 of the rows first..first+rows-1, whose packed A is at a.
func (n *inner) panels(worker, first, rows, lo, hi int, a unsafe.Pointer) {
	e, p, l := n.e, n.p, n.p.lora
	w := e.panelWidth(p.m)
	for lo < hi {
		end := hi
		if n.rows != nil { // through this worker's memory, which is for one panel
			end = lo + 1
			at, m := first+lo*w, min(w, rows-lo*w)
			x := p.a.from(at, m)
			dropped := C.struct_gemm_dropped_args{x: x.data, dtype: C.int(x.dtype), k: C.int64_t(p.k), drop: l.drop.c(at, 1), dst: (*C.float)(addr(n.rows[worker]))}
			C.call_gemm_dropped(e.tuned, dropped, 0, C.int64_t(m))
			src := operand{addr(n.rows[worker]), kernels.Float32, p.k, 1, m}
			a = addr(n.rowsAt[worker])
			pack := C.struct_gemm_pack_args{src: src.c(), k: C.int64_t(p.k), width: C.int(w), bf16: cbool(p.bf16), dst: (*C.uint32_t)(a)}
			C.call_gemm_pack(e.tuned, pack, 0, 1)
		}
		at, m := first+lo*w, min(end*w, rows)-lo*w
		out := byRow(l.out, p.m, l.rank).from(at, m)
		C.call_gemm(e.tuned, C.struct_gemm_args{
			a: (*C.uint32_t)(a), b: l.inner.c(), packed_b: (*C.uint32_t)(addr(n.b)), k: C.int64_t(p.k), m: C.int64_t(m), n: C.int64_t(l.rank),
			m1: C.int64_t(end - lo), width: C.int(w), bf16: cbool(p.bf16), alpha: C.float(l.drop.factor()), c: out.data, crs: C.int64_t(l.rank), ccs: 1,
			c_dtype: C.int(kernels.Float32), mem: addr(e.pack.mem[worker]),
		}, 0, C.int64_t(ceilDiv(l.rank, e.columns(l.rank))))
		pack := C.struct_gemm_pack_args{src: out.c(), k: C.int64_t(l.rank), width: C.int(w), bf16: cbool(p.bf16), dst: n.packed(at)}
		C.call_gemm_pack(e.tuned, pack, 0, C.int64_t(end-lo))
		lo = end
	}
}
