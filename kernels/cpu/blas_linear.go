package cpu

import "attune/kernels"

// blasLinear and blasLinearBwd are kernels.Linear and LinearBwd as products by gonum. What survives dropout is not scaled
// while it is packed, but the sums of it are, so that rounding to bfloat16 loses nothing.

func blasLinear(e *Engine, k kernels.Kernel, in, out []View, scratch []byte) error {
	s := newLinear(k.(kernels.Linear), in, out)
	y := blasProduct{m: s.rows, n: s.o, bf16: s.bf16(), bias: s.bias, c: s.y}
	if s.rank > 0 && (s.y.wanted() || s.xa.wanted()) {
		xa := s.blasInner(&scratch)
		if s.xa.wanted() {
			xa = s.xa
		}
		e.blasMultiply(blasProduct{m: s.rows, n: s.rank, bf16: s.bf16(), c: xa, terms: []blasTerm{{
			k: s.i, a: blasMatrix{v: s.x, cols: s.i, drop: s.drop}, b: blasMatrix{v: s.a, cols: s.i}, alpha: 1 / (1 - s.drop.rate),
		}}}, scratch)
		y.terms = append(y.terms, blasTerm{
			k: s.rank, a: blasMatrix{v: xa, cols: s.rank}, b: blasMatrix{v: s.b, cols: s.rank}, alpha: s.scale,
		})
	}
	if s.y.wanted() {
		y.terms = append(y.terms, blasTerm{k: s.i, a: blasMatrix{v: s.x, cols: s.i}, b: blasMatrix{v: s.w, cols: s.i}, alpha: 1})
		e.blasMultiply(y, scratch)
	}
	return nil
}

func blasLinearScratch(e *Engine, k kernels.Kernel, in, out []View) int64 {
	s := newLinear(k.(kernels.Linear), in, out)
	return s.blasInnerSize() + e.blasScratch()
}

func blasLinearBwd(e *Engine, k kernels.Kernel, in, out []View, scratch []byte) error {
	s := newLinearBwd(k.(kernels.LinearBwd), in, out)
	bf16 := s.bf16()
	g := blasMatrix{v: s.y, cols: s.o}
	gT := blasMatrix{v: s.y, cols: s.o, byCol: true}
	dx := blasProduct{m: s.rows, n: s.i, bf16: bf16, c: s.dx}
	if s.rank > 0 && (s.dx.wanted() || s.da.wanted()) {
		gb := s.blasInner(&scratch)
		e.blasMultiply(blasProduct{m: s.rows, n: s.rank, bf16: bf16, c: gb, terms: []blasTerm{{
			k: s.o, a: g, b: blasMatrix{v: s.b, cols: s.rank, byCol: true}, alpha: 1,
		}}}, scratch)
		dx.terms = append(dx.terms, blasTerm{
			k: s.rank, a: blasMatrix{v: gb, cols: s.rank}, b: blasMatrix{v: s.a, cols: s.i, byCol: true}, alpha: s.scale, undrop: s.drop,
		})
		if s.da.wanted() {
			e.blasMultiply(blasProduct{m: s.rank, n: s.i, bf16: bf16, c: s.da, terms: []blasTerm{{
				k: s.rows, a: blasMatrix{v: gb, cols: s.rank, byCol: true}, b: blasMatrix{v: s.x, cols: s.i, byCol: true, drop: s.drop},
				alpha: s.scale / (1 - s.drop.rate),
			}}}, scratch)
		}
	}
	if s.dx.wanted() {
		dx.terms = append(dx.terms, blasTerm{k: s.o, a: g, b: blasMatrix{v: s.w, cols: s.i, byCol: true}, alpha: 1})
		e.blasMultiply(dx, scratch)
	}
	if s.dw.wanted() {
		e.blasMultiply(blasProduct{m: s.o, n: s.i, bf16: bf16, c: s.dw, terms: []blasTerm{{
			k: s.rows, a: gT, b: blasMatrix{v: s.x, cols: s.i, byCol: true}, alpha: 1,
		}}}, scratch)
	}
	if s.dbias.wanted() {
		e.blasSums(g, s.rows, s.dbias.f32())
	}
	if s.rank > 0 && s.db.wanted() {
		e.blasMultiply(blasProduct{m: s.o, n: s.rank, bf16: bf16, c: s.db, terms: []blasTerm{{
			k: s.rows, a: gT, b: blasMatrix{v: s.xa, cols: s.rank, byCol: true}, alpha: s.scale,
		}}}, scratch)
	}
	return nil
}

func blasLinearBwdScratch(e *Engine, k kernels.Kernel, in, out []View) int64 {
	s := newLinearBwd(k.(kernels.LinearBwd), in, out)
	return s.blasInnerSize() + e.blasScratch()
}

func (s *linearShape) blasInnerSize() int64 { return scratchSize(4 * int64(s.rows) * int64(s.rank)) }

// blasInner is memory for x Aᵀ or g B, (T,r) float32.
func (s *linearShape) blasInner(scratch *[]byte) View {
	return View{Data: carve(scratch, 4*int64(s.rows)*int64(s.rank)), Dtype: kernels.Float32, Shape: []int{s.rows, s.rank}}
}
