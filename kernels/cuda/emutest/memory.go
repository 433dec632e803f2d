package emutest

import (
	"fmt"
	"syscall"
	"unsafe"

	"attune/kernels/cuda"
)

const (
	page = 4096
	// fence is what stands where a kernel may not write but no page ends: before the memory, and in the up to 255 bytes that
	// its alignment leaves behind it.
	fence = 0xa5
)

// Memory is a buffer of the device. It is followed by a page that may not be touched, as closely as its alignment allows:
// 16 bytes, or 256 where its size is a multiple of that.
type Memory struct {
	Ptr   cuda.Ptr
	Bytes []byte
	all   []byte
	first int // of Bytes in all
}

// Alloc is a new buffer of n zero bytes.
func Alloc(n int) *Memory {
	data := (n+255)/page*page + page // at least one byte before it
	all, err := syscall.Mmap(-1, 0, data+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_PRIVATE|syscall.MAP_ANON)
	if err != nil {
		panic(fmt.Sprintf("emutest: %d bytes: %v", n, err))
	}
	if err := syscall.Mprotect(all[data:], syscall.PROT_NONE); err != nil {
		panic(fmt.Sprintf("emutest: %v", err))
	}
	first := (data - n) &^ 15
	m := &Memory{Bytes: all[first : first+n : first+n], all: all, first: first}
	for _, around := range m.around() {
		for i := range around {
			around[i] = fence
		}
	}
	m.Ptr = cuda.Ptr(uintptr(unsafe.Pointer(unsafe.SliceData(all)))) + cuda.Ptr(first)
	return m
}

// around is what lies in the pages of m beside it.
func (m *Memory) around() [2][]byte {
	return [2][]byte{m.all[:m.first], m.all[m.first+len(m.Bytes) : len(m.all)-page]}
}

// Free gives the memory back and says whether something was written around it.
func (m *Memory) Free() error {
	var err error
	for n, around := range m.around() {
		for i, b := range around {
			if b != fence && err == nil {
				err = fmt.Errorf("a kernel writes at byte %d of a buffer of %d", i-m.first+n*(m.first+len(m.Bytes)), len(m.Bytes))
			}
		}
	}
	syscall.Munmap(m.all)
	m.all, m.Bytes = nil, nil
	return err
}
