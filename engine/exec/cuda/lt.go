//go:build gpu

package cuda

// #cgo LDFLAGS: -ldl
// #include <stdlib.h>
// #include "lt.h"
import "C"

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"attune/kernels"
	"attune/kernels/cuda"

	"gorgonia.org/cu"
)

// lt makes matrix products by cuBLASLt. An algorithm is chosen once for a shape, by the library's own heuristic from what
// lt_shape holds: never by timing and never by an address, so that the same inputs give the same bits wherever they lie.
type lt struct {
	library   *C.lt_library
	plans     map[C.lt_shape]*C.lt_plan // nil: the library has no algorithm, the kernels of gemm.cu have
	workspace uint64
	bytes     int64
	version   string
}

// workspaceBytes is what NVIDIA recommends: 32 MiB from Hopper on.
func workspaceBytes(cc int) int64 {
	if cc >= 90 {
		return 32 << 20
	}
	return 8 << 20
}

// openLt takes the first of the libraries that opens.
func (b *Backend) openLt(paths []string) error {
	var why []string
	for _, path := range paths {
		l := &lt{library: (*C.lt_library)(C.calloc(1, C.sizeof_lt_library)), plans: map[C.lt_shape]*C.lt_plan{}, bytes: workspaceBytes(b.cc)}
		name := C.CString(path)
		failed := C.lt_open(l.library, name)
		C.free(unsafe.Pointer(name))
		if failed != nil {
			why = append(why, path+": "+C.GoString(failed))
			C.free(unsafe.Pointer(l.library))
			continue
		}
		b.onClose(l.close)
		memory, err := cu.MemAlloc(l.bytes)
		if err != nil {
			return b.noMemory(fmt.Sprintf("%d bytes of workspace", l.bytes), err)
		}
		b.onClose(func() error { return cu.MemFree(memory) })
		v := C.lt_version(l.library)
		l.workspace, l.version = uint64(memory), fmt.Sprintf("%d.%d", v/10000, v/100%100)
		b.lt = l
		return nil
	}
	return errors.New(strings.Join(why, "; "))
}

func (l *lt) close() error {
	for _, p := range l.plans {
		if p != nil {
			C.lt_free_plan(l.library, p)
			C.free(unsafe.Pointer(p))
		}
	}
	C.lt_close(l.library)
	C.free(unsafe.Pointer(l.library))
	return nil
}

// shapeOf is g as cuBLASLt sees it. The library's matrices are column-major, so that it is handed row-major ones
// transposed: D' = op(B)'·op(A)', with M and N, and A and B, exchanged. A bias of D's columns is one of the rows of D',
// which is what it adds.
func shapeOf(g *cuda.Gemm) C.lt_shape {
	k := g.A.Cols
	if g.TransA {
		k = g.A.Rows
	}
	s := C.lt_shape{
		m: C.uint64_t(g.D.Cols), n: C.uint64_t(g.D.Rows), k: C.uint64_t(k),
		lda: C.int64_t(g.B.LD), ldb: C.int64_t(g.A.LD), ldc: C.int64_t(g.D.LD), ldd: C.int64_t(g.D.LD),
		ta: C.LT_OP_N, tb: C.LT_OP_N, in: codeOf(g.A.Dtype), out: codeOf(g.D.Dtype), compute: C.LT_COMPUTE_32F,
	}
	if g.Beta != 0 {
		s.ldc = C.int64_t(g.C.LD)
	}
	if g.TransB {
		s.ta = C.LT_OP_T
	}
	if g.TransA {
		s.tb = C.LT_OP_T
	}
	if g.Bias.Wanted() {
		s.bias = 1
	}
	if g.A.Dtype == kernels.Float32 {
		s.compute = C.LT_COMPUTE_32F_PEDANTIC // neither TF32 nor float32 made of bfloat16
	}
	return s
}

func codeOf(d kernels.Dtype) C.int32_t {
	if d == kernels.BFloat16 {
		return C.LT_R_16BF
	}
	return C.LT_R_32F
}

// gemm queues a matrix product.
func (b *Backend) gemm(g *cuda.Gemm) error {
	if b.lt != nil {
		p, err := b.lt.plan(shapeOf(g))
		if err != nil {
			return err
		}
		if p != nil {
			return b.lt.run(b, p, g)
		}
	}
	steps, err := cuda.PlanGemm(b.target, *g)
	if err != nil {
		return err
	}
	return b.run(steps)
}

// plan is the algorithm for a shape; nil where there is none.
func (l *lt) plan(s C.lt_shape) (*C.lt_plan, error) {
	if p, ok := l.plans[s]; ok {
		return p, nil
	}
	p := (*C.lt_plan)(C.calloc(1, C.sizeof_lt_plan))
	status := C.lt_make_plan(l.library, &s, C.size_t(l.bytes), C.uint64_t(l.workspace), p)
	if status != C.LT_SUCCESS {
		C.free(unsafe.Pointer(p))
		p = nil
	}
	if status != C.LT_SUCCESS && status != C.LT_NOT_SUPPORTED && status != C.LT_INVALID_VALUE {
		return nil, fmt.Errorf("cuBLASLt %s for a product of %dx%dx%d: status %d", l.version, s.n, s.m, s.k, status)
	}
	l.plans[s] = p
	return p, nil
}

func (l *lt) run(b *Backend, p *C.lt_plan, g *cuda.Gemm) error {
	c := g.C.Ptr
	if g.Beta == 0 {
		c = g.D.Ptr // not read
	}
	status := C.lt_run(l.library, p, C.float(g.Alpha), C.uint64_t(g.B.Ptr), C.uint64_t(g.A.Ptr), C.float(g.Beta), C.uint64_t(c), C.uint64_t(g.D.Ptr),
		C.uint64_t(g.Bias.Ptr), C.uint64_t(l.workspace), C.size_t(l.bytes), unsafe.Pointer(streamOf(b.stream)))
	if status != C.LT_SUCCESS {
		return fmt.Errorf("cuBLASLt %s, a product of %d rows and %d columns: status %d", l.version, g.D.Rows, g.D.Cols, status)
	}
	return nil
}
