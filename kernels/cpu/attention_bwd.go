//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(attention_delta)
ATTUNE_CALL(attention_bwd)
*/
import "C"

import (
	"unsafe"

	"attune/kernels"
)

// whole is the longest segment that one work item takes as a whole, making dq, dk and dv in one pass over the scores:
// as long as its dq, in float32 for all heads of the group, stays in a second-level cache.
func (s attentionShape) whole() int {
	fits := (1 << 17) / (s.heads / s.kv * s.width())
	return min(max(fits/C.ATTENTION_BLOCK, 1), 8) * C.ATTENTION_BLOCK
}

func (s attentionShape) backwardScratch() int {
	tile, w := C.ATTENTION_BLOCK*s.width(), s.width()
	longest := (min(s.tokens, s.whole()) + C.ATTENTION_BLOCK - 1) / C.ATTENTION_BLOCK * C.ATTENTION_BLOCK
	dkv := 7*tile + 2*C.ATTENTION_BLOCK*C.ATTENTION_BLOCK + s.heads/s.kv*longest*w
	dq := 3*s.rows()*w + 2*8*C.ATTENTION_BLOCK + 3*tile
	return max(dkv, dq) + 16*10
}

func attentionBwdScratch(e *Engine, _ kernels.Kernel, in, _ []View) int64 {
	s := newAttentionShape(in[0], in[1])
	return scratchSize(4*int64(s.tokens)*int64(s.heads)) + e.workersSize(s.backwardScratch())
}

// attentionBwd takes short segments whole; long ones by blocks of keys for dk and dv and by blocks of queries for dq.
func attentionBwd(e *Engine, kernel kernels.Kernel, in, out []View, scratch []byte) error {
	if !out[0].wanted() && !out[1].wanted() && !out[2].wanted() {
		return nil
	}
	s := newAttentionShape(in[0], in[1])
	q, k, v, segments, o, lse, do := in[0], in[1], in[2], in[3], in[4], in[5], in[6]
	dq, dk, dv := out[0], out[1], out[2]
	var blocks []C.struct_attention_block
	for _, r := range runsOf(segments.i32()) {
		switch {
		case r.padding:
			for _, v := range out {
				clearRows(v, r.lo, r.hi)
			}
		case r.hi-r.lo <= s.whole():
			blocks = append(blocks, keyBlock(r, r.lo, r.hi, C.ATTENTION_WHOLE))
		default:
			if dq.wanted() {
				blocks = s.blocks(blocks, r.lo, r.hi, r.lo, r.hi)
			}
			for lo := r.lo; lo < r.hi && (dk.wanted() || dv.wanted()); lo += C.ATTENTION_BLOCK {
				blocks = append(blocks, keyBlock(r, lo, min(lo+C.ATTENTION_BLOCK, r.hi), C.ATTENTION_KEYS))
			}
		}
	}
	longestFirst(blocks)

	delta := (*C.float)(unsafe.Pointer(unsafe.SliceData(carve(&scratch, 4*int64(s.tokens)*int64(s.heads)))))
	sums := C.struct_attention_delta_args{o: o.ptr(), dout: do.ptr(), delta: delta, dh: C.int64_t(s.dh),
		d_o: C.int(o.Dtype), ddout: C.int(do.Dtype)}
	e.chunks(s.tokens*s.heads, 256, func(_, lo, hi int) {
		C.call_attention_delta(e.tuned, sums, C.int64_t(lo), C.int64_t(hi))
	})

	a := kernel.(kernels.AttentionBwd)
	args := C.struct_attention_bwd_args{q: q.ptr(), k: k.ptr(), v: v.ptr(), lse: (*C.float)(lse.ptr()), delta: delta,
		dout: do.ptr(), out_q: dq.ptr(), out_k: dk.ptr(), out_v: dv.ptr(),
		heads: C.int64_t(s.heads), kv: C.int64_t(s.kv), dh: C.int64_t(s.dh), window: C.int64_t(a.Window),
		scale: C.float(a.Scale), soft_cap: C.float(a.SoftCap),
		dq: C.int(q.Dtype), dk: C.int(k.Dtype), dv: C.int(v.Dtype), ddout: C.int(do.Dtype),
		dout_q: C.int(dq.Dtype), dout_k: C.int(dk.Dtype), dout_v: C.int(dv.Dtype)}
	own := e.newWorkers(&scratch, s.backwardScratch())
	args.blocks = unsafe.SliceData(blocks)
	e.parallel(len(blocks)*s.kv, func(worker, i int) {
		args := args
		args.scratch = own.of(worker)
		C.call_attention_bwd(e.tuned, args, C.int64_t(i), C.int64_t(i+1))
	})
	return nil
}

// keyBlock is keys [lo, hi) of a run with all queries that may see them.
func keyBlock(r run, lo, hi int, part C.int32_t) C.struct_attention_block {
	return C.struct_attention_block{q0: C.int32_t(r.lo), q1: C.int32_t(r.hi), k0: C.int32_t(r.lo), kb: C.int32_t(lo),
		k1: C.int32_t(hi), part: part}
}
