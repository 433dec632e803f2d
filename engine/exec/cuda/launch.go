//go:build gpu

package cuda

// #include "launch.h"
import "C"

import (
	"fmt"
	"unsafe"

	"attune/kernels"
	"attune/kernels/cuda"

	"gorgonia.org/cu"
)

// result is a driver's code as the errors of cu are: its type has no name outside of it.
func result(code C.CUresult) error {
	if code == C.CUDA_SUCCESS {
		return nil
	}
	return as(cu.Success, code)
}

func as[T ~int](_ T, code C.CUresult) T { return T(code) }

// cu's handles are structs of one pointer, which it keeps to itself.
const _ = -(unsafe.Sizeof(cu.Function{}) ^ unsafe.Sizeof(C.CUfunction(nil)))

func handleOf(f cu.Function) C.CUfunction { return *(*C.CUfunction)(unsafe.Pointer(&f)) }

func streamOf(s cu.Stream) C.CUstream { return C.CUstream(unsafe.Pointer(s.C())) }

// hostAlloc makes page-locked memory, which every context of the process may copy from and to.
func hostAlloc(n int) ([]byte, error) {
	var p unsafe.Pointer
	if err := result(C.cuMemHostAlloc(&p, C.size_t(n), C.CU_MEMHOSTALLOC_PORTABLE)); err != nil {
		return nil, err
	}
	return unsafe.Slice((*byte)(p), n), nil
}

// sharedByDefault is the dynamic shared memory that a function may have without being allowed more.
const sharedByDefault = 48 << 10

// launch queues one kernel.
func (b *Backend) launch(l *cuda.Launch) error {
	f, ok := b.functions[l.Func]
	if !ok {
		return fmt.Errorf("%s: no such kernel among those for %s: build attune-cuda again with make cuda", l.Func, b.arch)
	}
	if l.Shared > f.shared {
		if err := result(C.cuFuncSetAttribute(handleOf(f.Function), C.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, C.int(l.Shared))); err != nil {
			return fmt.Errorf("%s: %d bytes of shared memory: %w", l.Func, l.Shared, err)
		}
		f.shared = l.Shared
	}
	for _, m := range l.Maps {
		if err := b.encode(l.Args, m); err != nil {
			return fmt.Errorf("%s: a map of %v%v: %w", l.Func, m.Dtype, m.Dims, err)
		}
	}
	err := result(C.attune_launch(handleOf(f.Function), (*C.uint)(&l.Grid[0]), (*C.uint)(&l.Block[0]), C.uint(l.Shared), streamOf(b.stream),
		unsafe.Pointer(unsafe.SliceData(l.Args))))
	if err != nil {
		return fmt.Errorf("%s over %v blocks of %v threads: %w", l.Func, l.Grid, l.Block, err)
	}
	return nil
}

// encode writes a tensor map where the arguments have room for it.
func (b *Backend) encode(args []byte, m cuda.TensorMap) error {
	rank := len(m.Dims)
	if m.At < 0 || m.At+C.sizeof_CUtensorMap > len(args) || len(m.Strides) != rank-1 || len(m.Box) != rank {
		return fmt.Errorf("%d strides and a box of %d at byte %d of %d", len(m.Strides), len(m.Box), m.At, len(args))
	}
	if b.mapper == nil {
		if err := result(C.attune_tensor_maps(&b.mapper)); err != nil {
			return err
		}
	}
	dtype := C.int(4)
	if m.Dtype == kernels.BFloat16 {
		dtype = 2
	}
	strides := append(append([]uint64(nil), m.Strides...), 0) // rank 1 has none, C takes an address
	return result(C.attune_tensor_map(b.mapper, unsafe.Pointer(&args[m.At]), dtype, C.uint64_t(m.Ptr), C.uint(rank),
		(*C.uint64_t)(&m.Dims[0]), (*C.uint64_t)(&strides[0]), (*C.uint32_t)(&m.Box[0]), C.int(m.Swizzle)))
}
