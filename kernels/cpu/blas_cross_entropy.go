package cpu

import (
	"math"
	"unsafe"

	"attune/kernels"
)

// Logits are made for so many trained tokens at once, or as many as so many bytes hold.
const (
	blasLogitRows  = 256
	blasLogitBytes = 64 << 20
)

// blasLeast is the ln of the probabilities that count as 0 in the gradient: over any vocabulary they add up to far less than
// the rounding of the others' sum, and denormal products are slow.
const blasLeast = -60

// blasChunk is how many tokens' logits are made at once.
func (s *crossEntropyShape) blasChunk() int {
	return min(blasLogitRows, s.rows, max(1, blasLogitBytes/4/s.vocab))
}

func blasCrossEntropyScratch(e *Engine, k kernels.Kernel, in, out []View) int64 {
	s := newCrossEntropy(k.(kernels.LinearCrossEntropy), in, out)
	chunk := int64(s.blasChunk())
	return scratchSize(4*chunk*int64(s.vocab)) + scratchSize(8*chunk) + e.blasScratch()
}

// blasCrossEntropy is kernels.LinearCrossEntropy with products by gonum, chunk by chunk of the trained tokens.
func blasCrossEntropy(e *Engine, k kernels.Kernel, in, out []View, scratch []byte) error {
	s := newCrossEntropy(k.(kernels.LinearCrossEntropy), in, out)
	rows, err := s.trained()
	if err != nil {
		return err
	}
	chunk := s.blasChunk()
	logits := carveFloats(&scratch, chunk*s.vocab)
	losses := unsafe.Slice((*float64)(unsafe.Pointer(unsafe.SliceData(carve(&scratch, 8*int64(chunk))))), chunk)
	clear(s.dhidden.Data)
	clear(s.dweight.Data)
	clear(s.nll.Data)
	var loss float64
	for len(rows) > 0 {
		n := min(chunk, len(rows))
		s.blasTokens(e, rows[:n], logits[:n*s.vocab], losses, scratch)
		for i, t := range rows[:n] {
			loss += float64(s.weights.f32()[t]) * losses[i]
			if s.nll.wanted() {
				s.nll.f32()[t] = float32(losses[i])
			}
		}
		rows = rows[n:]
	}
	if s.loss.wanted() {
		s.loss.f32()[0] = float32(loss)
	}
	return nil
}

// blasTokens writes the losses of some tokens and adds what they give to the gradients.
func (s *crossEntropyShape) blasTokens(e *Engine, rows []int, logits []float32, losses []float64, work []byte) {
	n, bf16 := len(rows), s.bf16()
	z := View{Data: unsafe.Slice((*byte)(unsafe.Pointer(&logits[0])), 4*len(logits)), Dtype: kernels.Float32, Shape: []int{n, s.vocab}}
	hidden := blasMatrix{v: s.hidden, cols: s.dim, index: rows}
	weight := blasMatrix{v: s.weight, cols: s.dim}
	e.blasMultiply(blasProduct{m: n, n: s.vocab, bf16: bf16, c: z, terms: []blasTerm{{k: s.dim, a: hidden, b: weight, alpha: 1}}}, work)

	gradient := s.dhidden.wanted() || s.dweight.wanted()
	e.parallel(n, func(_, i int) {
		row, t := logits[i*s.vocab:(i+1)*s.vocab], rows[i]
		lse, target := s.logSumExp(row), s.targets.i32()[t]
		losses[i] = lse - float64(row[target])
		if gradient {
			s.logitGradient(row, lse, int(target), float64(s.weights.f32()[t]))
		}
	})

	hidden.byCol, weight.byCol = true, true
	if s.dweight.wanted() {
		dz := blasMatrix{v: z, cols: s.vocab, byCol: true}
		e.blasMultiply(blasProduct{
			m: s.vocab, n: s.dim, bf16: bf16, c: s.dweight, accumulate: true, terms: []blasTerm{{k: n, a: dz, b: hidden, alpha: 1}},
		}, work)
	}
	if s.dhidden.wanted() {
		dz := blasMatrix{v: z, cols: s.vocab}
		e.blasMultiply(blasProduct{
			m: n, n: s.dim, bf16: bf16, c: s.dhidden, index: rows, terms: []blasTerm{{k: s.vocab, a: dz, b: weight, alpha: 1}},
		}, work)
	}
}

// logSumExp caps the logits of a token in place and returns ln Σ exp of them.
func (s *crossEntropyShape) logSumExp(z []float32) float64 {
	if s.cap > 0 {
		for i, f := range z {
			z[i] = float32(s.cap * math.Tanh(float64(f)/s.cap))
		}
	}
	top := z[0]
	for _, f := range z {
		top = max(top, f)
	}
	var sum float64
	for _, f := range z {
		sum += math.Exp(float64(f) - float64(top))
	}
	return float64(top) + math.Log(sum)
}

// logitGradient replaces the capped logits of a token by the gradient of what is before the cap.
func (s *crossEntropyShape) logitGradient(z []float32, lse float64, target int, weight float64) {
	for i, f := range z {
		x := float64(f) - lse
		if x < blasLeast && i != target {
			z[i] = 0
			continue
		}
		d := math.Exp(x)
		if i == target {
			d--
		}
		if s.cap > 0 {
			d *= 1 - float64(f)/s.cap*float64(f)/s.cap
		}
		z[i] = float32(weight * d)
	}
}
