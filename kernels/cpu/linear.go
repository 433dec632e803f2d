//go:build cgo

package cpu

import "attune/kernels"

// linearEntry and linearBwdEntry are kernels.Linear and LinearBwd as products (gemm.go): each reads x or dy once for the
// projection and the LoRA term together, and rounds their sum once.
func linearEntry() entry {
	return entry{
		run: func(e *Engine, k kernels.Kernel, in, out []View, scratch []byte) error {
			s := newLinear(k.(kernels.Linear), in, out)
			p := s.forward(&scratch)
			if !e.fits(p) {
				return errDecline
			}
			if p.c != nil || s.rank > 0 && s.xa.wanted() {
				e.multiply(p, scratch)
			}
			return nil
		},
		scratch: func(e *Engine, k kernels.Kernel, in, out []View) int64 {
			s := newLinear(k.(kernels.Linear), in, out)
			return innerSize(s.rows, s.rank) + e.productScratch(s.forward(nil))
		},
	}
}

func linearBwdEntry() entry {
	return entry{
		run: func(e *Engine, k kernels.Kernel, in, out []View, scratch []byte) error {
			s := newLinearBwd(k.(kernels.LinearBwd), in, out)
			gb := s.innerView(&scratch)
			if !e.fits(s.backward(gb)) || !e.fits(s.weightGrad()) {
				return errDecline
			}
			if s.dx.wanted() || s.rank > 0 && s.da.wanted() {
				e.multiply(s.backward(gb), scratch)
			}
			if s.dw.wanted() {
				e.multiply(s.weightGrad(), nil)
			}
			if s.dbias.wanted() {
				e.sums(byCol(s.y, s.rows, s.o), s.rows, s.dbias)
			}
			if s.rank > 0 && s.da.wanted() {
				e.multiplyThin(s.aGrad(gb))
			}
			if s.rank > 0 && s.db.wanted() {
				e.multiplyThin(s.bGrad())
			}
			return nil
		},
		scratch: func(e *Engine, k kernels.Kernel, in, out []View) int64 {
			s := newLinearBwd(k.(kernels.LinearBwd), in, out)
			return innerSize(s.rows, s.rank) + e.productScratch(s.backward(View{}))
		},
	}
}

// forward is y, with xA in the output or, where that is not wanted, in scratch.
func (s *linearShape) forward(scratch *[]byte) *product {
	p := &product{
		m: s.rows, n: s.o, k: s.i, a: byRow(s.x, s.rows, s.i), b: byRow(s.w, s.o, s.i), bf16: s.bf16(), alpha: 1,
		bias: s.bias, c: s.y.ptr(), cDtype: s.y.Dtype, crs: s.o, ccs: 1,
	}
	if s.rank > 0 {
		xa := s.xa
		if !xa.wanted() {
			xa = s.innerView(scratch)
		}
		p.lora = &loraTerm{rank: s.rank, scale: s.scale, inner: byRow(s.a, s.rank, s.i), outer: byRow(s.b, s.o, s.rank), out: xa, drop: s.drop}
	}
	return p
}

// backward is dx = g W + Scale undrop((g B) A), with g B in gb.
func (s *linearShape) backward(gb View) *product {
	p := &product{
		m: s.rows, n: s.i, k: s.o, a: byRow(s.y, s.rows, s.o), b: byCol(s.w, s.o, s.i), bf16: s.bf16(), alpha: 1,
		c: s.dx.ptr(), cDtype: s.dx.Dtype, crs: s.i, ccs: 1,
	}
	if s.rank > 0 {
		p.lora = &loraTerm{rank: s.rank, scale: s.scale, inner: byCol(s.b, s.o, s.rank), outer: byCol(s.a, s.rank, s.i), out: gb, undrop: s.drop}
	}
	return p
}

// weightGrad is dweight = gᵀ x.
func (s *linearShape) weightGrad() *product {
	return &product{
		m: s.o, n: s.i, k: s.rows, a: byCol(s.y, s.rows, s.o), b: byCol(s.x, s.rows, s.i), bf16: s.bf16(), alpha: 1,
		c: s.dw.ptr(), cDtype: s.dw.Dtype, crs: s.i, ccs: 1,
	}
}

// aGrad is dA = Scale (g B)ᵀ drop(x).
func (s *linearShape) aGrad(gb View) *product {
	return &product{
		m: s.rank, n: s.i, k: s.rows, a: byCol(gb, s.rows, s.rank), b: byCol(s.x, s.rows, s.i), bf16: s.bf16(), drop: s.drop, alpha: s.scale,
		c: s.da.ptr(), cDtype: s.da.Dtype, crs: s.i, ccs: 1,
	}
}

// bGrad is dB = Scale gᵀ xA, computed as its transpose so that g is the operand that is read in strips.
func (s *linearShape) bGrad() *product {
	return &product{
		m: s.rank, n: s.o, k: s.rows, a: byCol(s.xa, s.rows, s.rank), b: byCol(s.y, s.rows, s.o), bf16: s.bf16(), alpha: s.scale,
		c: s.db.ptr(), cDtype: s.db.Dtype, crs: 1, ccs: s.rank,
	}
}

func innerSize(rows, rank int) int64 { return scratchSize(4 * int64(rows) * int64(rank)) }

// innerView is the inner product (T,r) in scratch; without scratch (when sizes are asked for) it has no data.
func (s *linearShape) innerView(scratch *[]byte) View {
	v := View{Dtype: kernels.Float32, Shape: []int{s.rows, s.rank}}
	if scratch != nil {
		v.Data = carve(scratch, 4*int64(s.rows)*int64(s.rank))
	}
	return v
}
