//go:build !linux

package cpu

import (
	"errors"
	"fmt"
	"unsafe"
)

// allocate takes n zeroed bytes from the heap, aligned to a cache line.
func allocate(n int) ([]byte, func([]byte) error, error) {
	const align = 64
	data := make([]byte, n+align)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(data))) & (align - 1))
	return data[skip : skip+n : skip+n], nil, nil
}

// MemoryFree is the host's memory. The error is errors.ErrUnsupported: callers then plan without a limit.
func MemoryFree() (int64, error) {
	return 0, fmt.Errorf("free memory on this operating system: %w; say what to recompute instead of auto", errors.ErrUnsupported)
}
