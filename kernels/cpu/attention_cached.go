//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(cache_rows)
*/
import "C"

import "attune/kernels"

// attentionCached writes the new keys and values, then attends as attention does, each query up to its position.
func attentionCached(e *Engine, kernel kernels.Kernel, in, out []View, scratch []byte) error {
	q, k, v, kcache, vcache, positions, o := in[0], in[1], in[2], in[3], in[4], in[5], out[0]
	s, size := newAttentionShape(q, k), kcache.Shape[0]
	if err := within("positions", positions.i32(), -1, size); err != nil {
		return err
	}
	e.cacheRows(k, positions, kcache)
	e.cacheRows(v, positions, vcache)
	if !o.wanted() {
		return nil
	}
	a := kernel.(kernels.AttentionCached)
	args := attentionArgs(q, kcache, vcache, o)
	args.positions = (*C.int32_t)(positions.ptr())
	e.attend(s, args, s.blocks(nil, 0, s.tokens, 0, size), a.Scale, a.SoftCap, a.Window, &scratch)
	return nil
}

// cacheRows writes row t of x to row positions[t] of cache, in order.
func (e *Engine) cacheRows(x, positions, cache View) {
	args := C.struct_cache_rows_args{x: x.ptr(), index: (*C.int32_t)(positions.ptr()), y: cache.ptr(),
		cols: C.int64_t(x.Shape[1] * x.Shape[2]), dx: C.int(x.Dtype), dy: C.int(cache.Dtype)}
	C.call_cache_rows(e.tuned, args, 0, C.int64_t(x.Shape[0]))
}
