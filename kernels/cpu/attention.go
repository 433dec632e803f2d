//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(attention)
*/
import "C"

import (
	"cmp"
	"slices"
	"unsafe"

	"attune/kernels"
)

// width is the row length of a tile: the head size, padded.
func (s attentionShape) width() int { return (s.dh + 15) / 16 * 16 }

// queries is the number of tokens in a block of queries: about 96 rows with all heads of a group, in whole panels of 8,
// so that the packing of a block of keys is paid for by enough rows.
func (s attentionShape) queries() int {
	return min(max((96*s.kv/s.heads+7)/8*8, 8), 64)
}

// rows is the number of rows of a block of queries, over the heads of a group, in whole panels.
func (s attentionShape) rows() int { return s.heads / s.kv * s.queries() }

// forwardScratch is the float32 scratch of one worker, with room for rounding each piece up to a cache line.
func (s attentionShape) forwardScratch() int {
	return 2*s.rows()*s.width() + 8*C.ATTENTION_BLOCK + 2*C.ATTENTION_BLOCK*s.width() + 17*s.rows() + 16*8
}

// blocks cuts [lo, hi) into blocks of queries whose keys start at k0.
func (s attentionShape) blocks(blocks []C.struct_attention_block, lo, hi, k0, k1 int) []C.struct_attention_block {
	for q := lo; q < hi; q += s.queries() {
		blocks = append(blocks, C.struct_attention_block{q0: C.int32_t(q), q1: C.int32_t(min(q+s.queries(), hi)),
			k0: C.int32_t(k0), k1: C.int32_t(k1), part: C.ATTENTION_QUERIES})
	}
	return blocks
}

// longestFirst sorts blocks by their number of scores, so that the last ones to finish are short.
func longestFirst(blocks []C.struct_attention_block) {
	scores := func(b C.struct_attention_block) int64 {
		if b.part == C.ATTENTION_QUERIES {
			return int64(b.q1-b.q0) * int64(b.q1-b.k0)
		}
		return int64(b.k1-b.kb) * int64(b.q1-b.kb)
	}
	slices.SortStableFunc(blocks, func(a, b C.struct_attention_block) int { return cmp.Compare(scores(b), scores(a)) })
}

// clearRows zeroes rows [lo, hi) of the first dimension.
func clearRows(v View, lo, hi int) { clear(v.tokens(lo, hi).Data) }

// workers is the pieces of scratch that the workers have for themselves.
type workers struct {
	mem    []byte
	floats int
}

func (e *Engine) newWorkers(scratch *[]byte, floats int) workers {
	floats = (floats + 15) / 16 * 16
	return workers{mem: carve(scratch, 4*int64(floats)*int64(e.Threads())), floats: floats}
}

func (e *Engine) workersSize(floats int) int64 {
	return scratchSize(4 * int64((floats+15)/16*16) * int64(e.Threads()))
}

func (w workers) of(worker int) *C.float {
	return (*C.float)(unsafe.Pointer(&w.mem[4*worker*w.floats]))
}

func attentionScratch(e *Engine, _ kernels.Kernel, in, _ []View) int64 {
	s := newAttentionShape(in[0], in[1])
	return e.workersSize(s.forwardScratch())
}

// attention works segment by segment, a block of queries of one key/value head at a time.
func attention(e *Engine, kernel kernels.Kernel, in, out []View, scratch []byte) error {
	if !out[0].wanted() && !out[1].wanted() {
		return nil
	}
	s := newAttentionShape(in[0], in[1])
	q, k, v, segments, o, lse := in[0], in[1], in[2], in[3], out[0], out[1]
	var blocks []C.struct_attention_block
	for _, r := range runsOf(segments.i32()) {
		if r.padding {
			clearRows(o, r.lo, r.hi)
			clearRows(lse, r.lo, r.hi)
			continue
		}
		blocks = s.blocks(blocks, r.lo, r.hi, r.lo, r.hi)
	}
	longestFirst(blocks)
	a := kernel.(kernels.Attention)
	args := attentionArgs(q, k, v, o)
	args.lse = (*C.float)(lse.ptr())
	e.attend(s, args, blocks, a.Scale, a.SoftCap, a.Window, &scratch)
	return nil
}

func attentionArgs(q, k, v, o View) C.struct_attention_args {
	return C.struct_attention_args{q: q.ptr(), k: k.ptr(), v: v.ptr(), o: o.ptr(),
		dq: C.int(q.Dtype), dk: C.int(k.Dtype), dv: C.int(v.Dtype), d_o: C.int(o.Dtype)}
}

// attend runs blocks of queries times key/value heads.
func (e *Engine) attend(s attentionShape, args C.struct_attention_args, blocks []C.struct_attention_block,
	scale, softCap float64, window int, scratch *[]byte) {
	args.blocks = unsafe.SliceData(blocks)
	args.heads, args.kv, args.dh, args.window = C.int64_t(s.heads), C.int64_t(s.kv), C.int64_t(s.dh), C.int64_t(window)
	args.scale, args.soft_cap = C.float(scale), C.float(softCap)
	own := e.newWorkers(scratch, s.forwardScratch())
	e.parallel(len(blocks)*s.kv, func(worker, i int) {
		args := args
		args.scratch = own.of(worker)
		C.call_attention(e.tuned, args, C.int64_t(i), C.int64_t(i+1))
	})
}
