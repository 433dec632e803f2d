//go:build cgo

package cpu

import "attune/kernels"

// accumulate is add into the first input's own buffer.
func accumulate(e *Engine, k kernels.Kernel, in, out []View, scratch []byte) error {
	if err := operands(in, 2, out, 1); err != nil {
		return err
	}
	acc, y := in[0], out[0]
	if err := firstError(stored("acc", acc, kernels.Float32, acc.Shape...), stored("output acc", y, kernels.Float32, acc.Shape...)); err != nil {
		return err
	}
	return add(e, k, in, out, scratch)
}

// zero clears a buffer of any dtype.
func zero(e *Engine, _ kernels.Kernel, in, out []View, _ []byte) error {
	if err := operands(in, 0, out, 1); err != nil {
		return err
	}
	data := out[0].Data
	e.chunks(len(data), 1<<17, func(_, lo, hi int) { clear(data[lo:hi]) })
	return nil
}
