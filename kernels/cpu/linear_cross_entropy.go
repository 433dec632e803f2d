//go:build cgo

package cpu

/*
#include "isa.h"
ATTUNE_CALL(gemm)
ATTUNE_CALL(logit_stats)
ATTUNE_CALL(logit_grad)
*/
import "C"

import (
	"math"
	"unsafe"

	"attune/kernels"
)

// Logits are made for chunks of trained tokens: as many as logitBytes hold, at most logitRows (a multiple of every tile's
// height, and what gemm sums at once). A wider chunk reads and packs the weight fewer times.
const (
	logitBytes = 96 << 20
	logitRows  = 504
)

// crossEntropy is one run of kernels.LinearCrossEntropy.
type crossEntropy struct {
	e *Engine
	*crossEntropyShape
	chunk, blocks int // trained tokens at once, and blocks of logits

	hidden    []byte    // (chunk, D) of the trained tokens, as stored
	logits    []float32 // (chunk, V)
	max, sum  []float32 // (chunk, blocks)
	acc       []float32 // (chunk, D), the gradient of hidden
	lse       []float32 // (chunk)
	rowWeight []float32 // (chunk)
	target    []int32   // (chunk)
}

func linearCrossEntropyScratch(e *Engine, k kernels.Kernel, in, out []View) int64 {
	s := newCrossEntropy(k.(kernels.LinearCrossEntropy), in, out)
	c := crossEntropy{e: e, crossEntropyShape: s}
	return c.plan(nil)
}

// plan cuts the buffers out of scratch, or only adds up their bytes where that is nil.
func (c *crossEntropy) plan(scratch []byte) int64 {
	kw := c.e.words(c.dim, c.bf16())
	c.chunk = min(logitRows, c.rows, max(1, logitBytes/4/c.vocab), max(1, sharedBytes/4/kw-int(c.e.tuned.tile.mr)))
	c.blocks = ceilDiv(c.vocab, C.LOGIT_BLOCK)
	var total int64
	take := func(n int) []byte {
		total += scratchSize(int64(n))
		if scratch == nil {
			return nil
		}
		return carve(&scratch, int64(n))
	}
	floats := func(n int) []float32 {
		b := take(4 * n)
		return unsafe.Slice((*float32)(addr(b)), len(b)/4)
	}
	c.hidden = take(c.chunk * c.dim * int(c.crossEntropyShape.hidden.Dtype.Size()))
	c.logits = floats(c.chunk * c.vocab)
	c.max, c.sum = floats(c.chunk*c.blocks), floats(c.chunk*c.blocks)
	c.acc = floats(c.chunk * c.dim)
	c.lse, c.rowWeight = floats(c.chunk), floats(c.chunk)
	c.target = View{Data: take(4 * c.chunk)}.i32()
	return total
}

func linearCrossEntropy(e *Engine, k kernels.Kernel, in, out []View, scratch []byte) error {
	s := newCrossEntropy(k.(kernels.LinearCrossEntropy), in, out)
	rows, err := s.trained()
	if err != nil {
		return err
	}
	if 4*e.words(s.dim, s.bf16())*int(e.tuned.tile.nr) > sharedBytes {
		return errDecline
	}
	c := crossEntropy{e: e, crossEntropyShape: s}
	c.plan(scratch)
	clear(s.dhidden.Data)
	clear(s.nll.Data)
	if s.dweight.wanted() && len(rows) == 0 {
		clear(s.dweight.Data)
	}
	var loss float64
	pieces := ceilDiv(len(rows), c.chunk)
	for i := range pieces {
		loss += c.run(rows[i*len(rows)/pieces:(i+1)*len(rows)/pieces], i > 0)
	}
	if s.loss.wanted() {
		s.loss.f32()[0] = float32(loss)
	}
	return nil
}

// run does one chunk of tokens and returns its loss; more says that dweight already holds other chunks.
func (c *crossEntropy) run(rows []int, more bool) float64 {
	size := c.dim * int(c.crossEntropyShape.hidden.Dtype.Size())
	for i, t := range rows {
		copy(c.hidden[i*size:(i+1)*size], c.crossEntropyShape.hidden.Data[t*size:])
		c.rowWeight[i], c.target[i] = c.weights.f32()[t], c.targets.i32()[t]
	}
	c.makeLogits(len(rows))
	loss := c.finish(rows)
	if !c.dhidden.wanted() && !c.dweight.wanted() {
		return loss
	}
	if c.dweight.wanted() { // read along both dimensions, so made once, in place
		c.e.chunks(len(rows), 1, func(_, lo, hi int) { c.gradient(lo, hi, 0, c.vocab, c.logits[lo*c.vocab:], c.vocab) })
		c.weightGradient(len(rows), more)
	}
	if c.dhidden.wanted() {
		c.hiddenGradient(rows)
	}
	return loss
}

func (c *crossEntropy) hiddenOperand(n int) operand {
	return operand{addr(c.hidden), c.crossEntropyShape.hidden.Dtype, c.dim, 1, n}
}

// makeLogits computes the logits of n tokens block by block, each with its maxima and sums while it is in cache.
func (c *crossEntropy) makeLogits(n int) {
	e, bf16 := c.e, c.bf16()
	p := &product{
		m: n, n: c.vocab, k: c.dim, a: c.hiddenOperand(n), b: byRow(c.weight, c.vocab, c.dim), bf16: bf16, alpha: 1,
		c: unsafe.Pointer(&c.logits[0]), cDtype: kernels.Float32, crs: c.vocab, ccs: 1,
	}
	w, cols := e.panelWidth(n), e.columns(c.vocab)
	panels := ceilDiv(n, w)
	e.packPanels(p.a, p.k, bf16, w, 0, panels, e.pack.shared)
	args := e.args(p, nil)
	args.a, args.m1 = words32(e.pack.shared), C.int64_t(panels)
	stats := C.struct_logit_stats_args{
		z: (*C.float)(p.c), max: (*C.float)(&c.max[0]), sum: (*C.float)(&c.sum[0]), vocab: C.int64_t(c.vocab),
		blocks: C.int64_t(c.blocks), cap: C.float(c.cap),
	}
	e.parallel(c.blocks, func(worker, i int) {
		a, s := args, stats
		a.mem = addr(e.pack.mem[worker])
		first := i * C.LOGIT_BLOCK
		last := min(c.vocab, first+C.LOGIT_BLOCK)
		C.call_gemm(e.tuned, a, C.int64_t(first/cols), C.int64_t(ceilDiv(last, cols)))
		s.first, s.n, s.block = C.int64_t(first), C.int64_t(last-first), C.int64_t(i)
		C.call_logit_stats(e.tuned, s, 0, C.int64_t(n))
	})
}

// finish joins the blocks' statistics, in order and in float64, and returns the sum of the tokens' losses.
func (c *crossEntropy) finish(rows []int) float64 {
	var loss float64
	for i, t := range rows {
		m, s := c.max[i*c.blocks:(i+1)*c.blocks], c.sum[i*c.blocks:(i+1)*c.blocks]
		top := math.Inf(-1)
		for _, v := range m {
			top = max(top, float64(v))
		}
		var total float64
		for b, v := range m {
			total += float64(s[b]) * math.Exp(float64(v)-top)
		}
		lse := top + math.Log(total)
		nll := lse - float64(c.logits[i*c.vocab+int(c.target[i])])
		c.lse[i] = float32(lse)
		if c.nll.wanted() {
			c.nll.f32()[t] = float32(nll)
		}
		loss += float64(c.rowWeight[i]) * nll
	}
	return loss
}

// gradient writes the gradient of the logits of tokens lo..hi-1, columns first..first+n-1, to dst (hi-lo, ld).
func (c *crossEntropy) gradient(lo, hi, first, n int, dst []float32, ld int) {
	C.call_logit_grad(c.e.tuned, C.struct_logit_grad_args{
		z: (*C.float)(&c.logits[0]), lse: (*C.float)(&c.lse[0]), weight: (*C.float)(&c.rowWeight[0]),
		target: (*C.int32_t)(&c.target[0]), dst: (*C.float)(&dst[0]), vocab: C.int64_t(c.vocab), first: C.int64_t(first),
		n: C.int64_t(n), ld: C.int64_t(ld), cap: C.float(c.cap),
	}, C.int64_t(lo), C.int64_t(hi))
}

// hiddenGradient is dhidden = dz W, in pieces of the vocabulary that are summed in order.
func (c *crossEntropy) hiddenGradient(rows []int) {
	e, bf16, n := c.e, c.bf16(), len(rows)
	per := 1
	if bf16 {
		per = int(e.tuned.tile.pair)
	}
	w := e.panelWidth(n)
	group := max(1, localBytes/(4*w*int(e.tuned.tile.kc)))
	step := int(e.tuned.tile.kc) * per
	panels := ceilDiv(n, w)
	for v0 := 0; v0 < c.vocab; v0 += step {
		k := min(step, c.vocab-v0)
		kw := e.words(k, bf16)
		e.parallel(ceilDiv(panels, group), func(worker, i int) {
			m0, m1 := i*group, min(panels, (i+1)*group)
			for m := m0; m < m1; m++ {
				lo, hi := m*w, min(n, (m+1)*w)
				src := operand{unsafe.Pointer(&c.logits[lo*c.vocab+v0]), kernels.Float32, c.vocab, 1, hi - lo}
				if !c.dweight.wanted() {
					dz := View{Data: e.pack.mem[worker]}.f32()[:w*k]
					c.gradient(lo, hi, v0, k, dz, k)
					src = operand{unsafe.Pointer(&dz[0]), kernels.Float32, k, 1, hi - lo}
				}
				e.packSome(src, k, bf16, w, 0, 1, e.pack.shared[4*m*w*kw:])
			}
		})
		b := byCol(c.weight, c.vocab, c.dim)
		b.data = unsafe.Add(b.data, v0*c.dim*int(b.dtype.Size()))
		p := &product{
			m: n, n: c.dim, k: k, b: b, bf16: bf16, alpha: 1,
			c: unsafe.Pointer(&c.acc[0]), cDtype: kernels.Float32, crs: c.dim, ccs: 1, accumulate: v0 > 0,
		}
		e.multiplyPacked(p, nil, 0, panels)
	}
	e.chunks(n, 16, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			acc, t := c.acc[i*c.dim:(i+1)*c.dim], rows[i]
			if c.dhidden.Dtype == kernels.Float32 {
				copy(c.dhidden.f32()[t*c.dim:], acc)
				continue
			}
			dst := c.dhidden.u16()[t*c.dim:]
			for j, f := range acc {
				dst[j] = f32ToBF16(f)
			}
		}
	})
}

// weightGradient is dweight (+)= dzᵀ hidden of n tokens, dz being in place of the logits.
func (c *crossEntropy) weightGradient(n int, more bool) {
	h := c.hiddenOperand(n)
	h.ls, h.ks, h.lanes = 1, c.dim, c.dim
	c.e.multiply(&product{
		m: c.vocab, n: c.dim, k: n, a: operand{unsafe.Pointer(&c.logits[0]), kernels.Float32, 1, c.vocab, c.vocab}, b: h,
		bf16: c.bf16(), alpha: 1, c: c.dweight.ptr(), cDtype: kernels.Float32, crs: c.dim, ccs: 1, accumulate: more,
	}, nil)
}
