//go:build cgo

package cpu

import "attune/kernels"

// accumulate is add into the first input's own buffer.
func accumulate(e *Engine, k kernels.Kernel, in, out []View, scratch []byte) error {
	return add(e, k, in, out, scratch)
}

// zero clears a buffer of any dtype.
func zero(e *Engine, _ kernels.Kernel, in, out []View, _ []byte) error {
	data := out[0].Data
	e.chunks(len(data), 1<<17, func(_, lo, hi int) { clear(data[lo:hi]) })
	return nil
}
