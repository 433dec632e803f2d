package emutest

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// As in kernels/cuda/emu/emu_api.h.
typedef struct {
	uint64_t seed;
	int32_t async, threads, cc;
} emu_options;
typedef int (*emu_launch)(const char *, const uint32_t *, const uint32_t *, uint32_t, const void *, size_t, const emu_options *, char *, size_t);

static int call(void *f, const char *name, const uint32_t *shape, const void *args, size_t n, uint64_t seed, int async, int cc, char *err, size_t errlen) {
	emu_options o = {seed, async, 0, cc};
	return ((emu_launch)f)(name, shape, shape + 3, shape[6], args, n, &o, err, errlen);
}

// As in kernels/cuda/emu/tensormap.h.
typedef int (*emu_encode_tensor_map)(void *, uint32_t, uint32_t, uint64_t, const uint64_t *, const uint64_t *, const uint32_t *, uint32_t, char *, size_t);

static int encode(void *f, char *map, uint32_t elem, uint32_t rank, uint64_t address, const uint64_t *dims, const uint64_t *strides, const uint32_t *box, uint32_t swizzle, char *err, size_t errlen) {
	__attribute__((aligned(64))) char aligned[128];
	int rc = ((emu_encode_tensor_map)f)(aligned, elem, rank, address, dims, strides, box, swizzle, err, errlen);
	memcpy(map, aligned, sizeof aligned);
	return rc;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"unsafe"

	"attune/kernels/cuda"
)

// library is libemu.so.
type library struct{ launchFunc, encodeFunc unsafe.Pointer }

// open loads the library at path, once.
var open = func() func(path string) (*library, error) {
	var lock sync.Mutex
	loaded := map[string]*library{}
	return func(path string) (*library, error) {
		lock.Lock()
		defer lock.Unlock()
		if l := loaded[path]; l != nil {
			return l, nil
		}
		if err := look(path); err != nil {
			return nil, err
		}
		name := C.CString(path)
		defer C.free(unsafe.Pointer(name))
		handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_GLOBAL)
		if handle == nil {
			return nil, fmt.Errorf("the emulator: %s (make emu builds it)", C.GoString(C.dlerror()))
		}
		symbol := func(name string) unsafe.Pointer {
			s := C.CString(name)
			defer C.free(unsafe.Pointer(s))
			return C.dlsym(handle, s)
		}
		l := &library{symbol("emu_launch"), symbol("emu_encode_tensor_map")}
		if l.launchFunc == nil || l.encodeFunc == nil {
			return nil, fmt.Errorf("the emulator: %s is an old one (make emu)", path)
		}
		loaded[path] = l
		return l, nil
	}
}()

// look looks at the emulator's files, for go test: it keeps results for as long as the files that Go code has looked at are
// the same, and does not see those that dlopen opens.
func look(path string) error {
	kernels, err := filepath.Glob(filepath.Join(filepath.Dir(path), "kernels", "*.so"))
	if err != nil {
		return err
	}
	for _, file := range append(kernels, path) {
		if _, err := os.Stat(file); err != nil {
			return fmt.Errorf("the emulator: %w (make emu builds it)", err)
		}
	}
	return nil
}

func (l *library) launch(s *cuda.Launch, cc int, o Options) error {
	name := C.CString(s.Func)
	defer C.free(unsafe.Pointer(name))
	shape := [7]C.uint32_t{}
	for i := range 3 {
		shape[i], shape[3+i] = C.uint32_t(s.Grid[i]), C.uint32_t(s.Block[i])
	}
	shape[6] = C.uint32_t(s.Shared)
	async := 0
	if o.Async {
		async = 1
	}
	message := make([]byte, 4096)
	args := slices.Clone(s.Args)
	for _, m := range s.Maps {
		if err := l.encode(m, args[m.At:m.At+128], message); err != nil {
			return fmt.Errorf("%s: %w", s.Func, err)
		}
	}
	rc := C.call(l.launchFunc, name, &shape[0], unsafe.Pointer(unsafe.SliceData(args)), C.size_t(len(args)), C.uint64_t(o.Seed), C.int(async), C.int(cc),
		(*C.char)(unsafe.Pointer(&message[0])), C.size_t(len(message)))
	return failure(rc, message)
}

// encode writes m as a CUtensorMap of the emulator.
func (l *library) encode(m cuda.TensorMap, to, message []byte) error {
	rank := len(m.Dims)
	if len(m.Strides) != rank-1 || len(m.Box) != rank {
		return fmt.Errorf("tensor map: %d dimensions, %d strides, a box of %d", rank, len(m.Strides), len(m.Box))
	}
	strides := append(slices.Clone(m.Strides), 0) // never empty
	rc := C.encode(l.encodeFunc, (*C.char)(unsafe.Pointer(&to[0])), C.uint32_t(m.Dtype.Size()), C.uint32_t(rank), C.uint64_t(m.Ptr),
		(*C.uint64_t)(&m.Dims[0]), (*C.uint64_t)(&strides[0]), (*C.uint32_t)(&m.Box[0]), C.uint32_t(m.Swizzle), (*C.char)(unsafe.Pointer(&message[0])), C.size_t(len(message)))
	return failure(rc, message)
}

func failure(rc C.int, message []byte) error {
	if rc == 0 {
		return nil
	}
	return errors.New(C.GoString((*C.char)(unsafe.Pointer(&message[0]))))
}
