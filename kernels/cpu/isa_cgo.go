//go:build cgo

package cpu

/*
#cgo CFLAGS: -std=gnu11 -O3 -fopenmp-simd -Wall
#cgo LDFLAGS: -lm
#include "isa.h"
*/
import "C"

// tuned is the table of C functions of one instruction set, nil for "go".
type tuned = *C.struct_attune_isa

// compiledISAs lists what the C compiler made, best first; on other processors than x86-64 only the portable one.
func compiledISAs() []string {
	var out []string
	for _, isa := range []string{"avx512bf16", "avx512", "avx2", "portable"} {
		if newTuned(isa) != nil {
			out = append(out, isa)
		}
	}
	return out
}

func newTuned(isa string) tuned {
	switch isa {
	case "avx512bf16":
		return C.attune_isa_avx512bf16()
	case "avx512":
		return C.attune_isa_avx512()
	case "avx2":
		return C.attune_isa_avx2()
	case "portable":
		return C.attune_isa_portable()
	}
	return nil
}
