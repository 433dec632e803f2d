package cpu

import (
	"errors"

	"attune/kernels"
)

// segmentsApart runs the reference of attention, or of its gradient, for each segment of a packed row by itself and side
// by side: no token looks beyond its own, so the bits are those of the whole row.
func segmentsApart(e *Engine, k kernels.Kernel, in, out []View, _ []byte) error {
	runs := runsOf(in[3].i32())
	errs := make([]error, len(runs))
	e.parallel(len(runs), func(_, i int) {
		part := func(all []View) []View {
			some := make([]View, len(all))
			for n, v := range all {
				some[n] = v.tokens(runs[i].lo, runs[i].hi)
			}
			return some
		}
		errs[i] = runReference(k, part(in), part(out))
	})
	return errors.Join(errs...)
}

// tokens is rows lo to hi of an operand whose first dimension is the tokens.
func (v View) tokens(lo, hi int) View {
	if !v.wanted() {
		return v
	}
	row := len(v.Data) / v.Shape[0] // bytes
	return View{Dtype: v.Dtype, Shape: append([]int{hi - lo}, v.Shape[1:]...), Data: v.Data[lo*row : hi*row]}
}
