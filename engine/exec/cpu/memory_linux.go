package cpu

import (
	"os"

	"golang.org/x/sys/unix"
)

// allocate maps n zeroed bytes, in huge pages where the kernel has some.
func allocate(n int) ([]byte, func([]byte) error, error) {
	if n == 0 {
		return []byte{}, nil, nil
	}
	data, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
	if err != nil {
		return nil, nil, err
	}
	if n >= 2<<20 {
		_ = unix.Madvise(data, unix.MADV_HUGEPAGE) // a wish: kernels without huge pages refuse it and all works
	}
	return data, unix.Munmap, nil
}

// MemoryFree is the host's memory in bytes: what the system can give without swapping, or what the process's control group
// has left, if that is less.
func MemoryFree() (int64, error) { return memoryFree(os.DirFS("/")) }
