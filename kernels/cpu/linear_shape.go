package cpu

import "attune/kernels"

// linearShape are the operands of kernels.Linear and LinearBwd, which shapes.Check has passed.
type linearShape struct {
	rows, i, o, rank      int // T, I, O, r
	scale                 float64
	drop                  dropout
	x, w, bias, a, b, xa  View
	y                     View // dy in LinearBwd
	dx, dw, dbias, da, db View
}

// dropout is kernels.Linear's; a rate of 0 is none.
type dropout struct {
	keys []int32 // by row
	salt uint32
	rate float64
}

// bf16 is whether products round their operands to bfloat16: they do where activations are stored so.
func (s *linearShape) bf16() bool {
	return s.y.Dtype == kernels.BFloat16 || s.x.Dtype == kernels.BFloat16
}

func newLinear(k kernels.Linear, in, out []View) *linearShape {
	s := &linearShape{rank: k.Rank, scale: k.Scale, drop: dropout{salt: k.Salt, rate: k.Dropout}}
	s.x, s.w, in = in[0], in[1], in[2:]
	if k.Bias {
		s.bias, in = in[0], in[1:]
	}
	if k.Rank > 0 {
		s.a, s.b, in = in[0], in[1], in[2:]
	}
	s.keys(in)
	s.y, s.xa = out[0], out[1]
	s.o, s.i = s.w.Shape[0], s.w.Shape[1]
	s.rows = s.x.elems() / s.i
	return s
}

func newLinearBwd(k kernels.LinearBwd, in, out []View) *linearShape {
	s := &linearShape{rank: k.Rank, scale: k.Scale, drop: dropout{salt: k.Salt, rate: k.Dropout}}
	s.y = in[len(in)-1]
	s.x, s.w, in = in[0], in[1], in[2:len(in)-1]
	if k.Rank > 0 {
		s.a, s.b, s.xa, in = in[0], in[1], in[2], in[3:]
	}
	s.keys(in)
	s.dx, s.dw, s.dbias, s.da, s.db = out[0], out[1], out[2], out[3], out[4]
	s.o, s.i = s.w.Shape[0], s.w.Shape[1]
	s.rows = s.y.elems() / s.o
	return s
}

// keys takes dropout's, which are the last of a forward's inputs, if there are any. Where sizes are asked for they have no
// contents.
func (s *linearShape) keys(in []View) {
	if s.drop.rate > 0 && in[0].wanted() {
		s.drop.keys = in[0].i32()
	}
}
