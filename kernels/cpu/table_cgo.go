//go:build cgo

package cpu

// cTable lists the kernels with C bodies, one line an operation. A body is called like this, from a file that is built
// with cgo only:
//
//	// #include "isa.h"
//	// ATTUNE_CALL(rmsnorm)
//	import "C"
//
//	a := C.struct_rmsnorm_args{x: in[0].ptr(), dtype: C.int(in[0].Dtype), ...}
//	e.chunks(in[0].rows(), 16, func(worker, lo, hi int) { C.call_rmsnorm(e.tuned, a, C.int64_t(lo), C.int64_t(hi)) })
func cTable() map[string]entry {
	return map[string]entry{
		"accumulate":           {run: accumulate},
		"adamw":                {run: adamW},
		"add":                  {run: add},
		"attention":            {run: attention, scratch: attentionScratch},
		"attention_bwd":        {run: attentionBwd, scratch: attentionBwdScratch},
		"attention_cached":     {run: attentionCached, scratch: attentionScratch},
		"embed":                {run: pickRows},
		"embed_bwd":            {run: embedBwd},
		"linear_cross_entropy": {run: linearCrossEntropy, scratch: linearCrossEntropyScratch},
		"linear":               linearEntry(),
		"linear_bwd":           linearBwdEntry(),
		"rmsnorm":              {run: rmsNorm},
		"rmsnorm_bwd":          {run: rmsNormBwd, scratch: rmsNormBwdScratch},
		"rope":                 {run: rope},
		"rows":                 {run: pickRows},
		"scaleby":              {run: scaleBy},
		"sumsq":                {run: sumSq, scratch: sumSqScratch},
		"swiglu":               {run: swiGLU},
		"swiglu_bwd":           {run: swiGLUBwd},
		"zero":                 {run: zero},
	}
}
