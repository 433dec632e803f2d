//go:build !unix

package safetensors

import "attune/internal/disk"

// mapFile reads the first size bytes of f: where there is no mmap, a copy has to do.
func mapFile(f disk.File, size int64) ([]byte, func() error, error) { return copied(f, size) }

// release does nothing: a copy cannot be read again.
func release([]byte, int64, int64) {}
