package cpu

import (
	"errors"

	"attune/kernels"
)

// entry is a tuned kernel and the scratch it needs (nil: none), run after Engine.Run has checked the operands: each by
// itself (View.check) and how they fit together (shapes.Check).
type entry struct {
	run     func(e *Engine, k kernels.Kernel, in, out []View, scratch []byte) error
	scratch func(e *Engine, k kernels.Kernel, in, out []View) int64
}

// errDecline is returned by an entry that has nothing for these shapes; the reference then runs.
var errDecline = errors.New("no tuned kernel for these shapes")

// table gives the kernels of an instruction set by kernels.Kernel.Name.
func table(isa string) map[string]entry {
	if isa == "go" {
		return goTable()
	}
	return cTable()
}

// goTable is what replaces the reference where there is no C: the operations that are matrix products, by gonum (blas.go),
// and attention, whose segments are computed side by side.
func goTable() map[string]entry {
	return map[string]entry{
		"attention":            {run: segmentsApart},
		"attention_bwd":        {run: segmentsApart},
		"linear":               {run: blasLinear, scratch: blasLinearScratch},
		"linear_bwd":           {run: blasLinearBwd, scratch: blasLinearBwdScratch},
		"linear_cross_entropy": {run: blasCrossEntropy, scratch: blasCrossEntropyScratch},
	}
}
