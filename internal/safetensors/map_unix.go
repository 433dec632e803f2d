//go:build unix

package safetensors

import (
	"os"

	"attune/internal/disk"

	"golang.org/x/sys/unix"
)

// mapFile maps the first size bytes of f for reading, or reads them where f is no file of the system's.
func mapFile(f disk.File, size int64) ([]byte, func() error, error) {
	file, ok := f.(*os.File)
	if !ok {
		return copied(f, size)
	}
	b, err := unix.Mmap(int(file.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, err
	}
	return b, func() error { return unix.Munmap(b) }, nil
}

// release lets the system take back the memory of whole pages within b[from:to]; what is read later comes from the
// file again. It is advice, whose refusal changes nothing.
func release(b []byte, from, to int64) {
	page := int64(os.Getpagesize())
	from, to = (from+page-1)/page*page, to/page*page
	if from < to {
		_ = unix.Madvise(b[from:to], unix.MADV_DONTNEED)
	}
}
