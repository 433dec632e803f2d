package emutest

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>

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
*/
import "C"

import (
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"attune/kernels/cuda"
)

// library is libemu.so.
type library struct{ emuLaunch unsafe.Pointer }

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
		name := C.CString(path)
		defer C.free(unsafe.Pointer(name))
		handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_GLOBAL)
		if handle == nil {
			return nil, fmt.Errorf("the emulator: %s (make emu builds it)", C.GoString(C.dlerror()))
		}
		symbol := C.CString("emu_launch")
		defer C.free(unsafe.Pointer(symbol))
		l := &library{emuLaunch: C.dlsym(handle, symbol)}
		if l.emuLaunch == nil {
			return nil, fmt.Errorf("the emulator: no emu_launch in %s", path)
		}
		loaded[path] = l
		return l, nil
	}
}()

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
	rc := C.call(l.emuLaunch, name, &shape[0], unsafe.Pointer(unsafe.SliceData(s.Args)), C.size_t(len(s.Args)), C.uint64_t(o.Seed), C.int(async), C.int(cc),
		(*C.char)(unsafe.Pointer(&message[0])), C.size_t(len(message)))
	if rc != 0 {
		return errors.New(C.GoString((*C.char)(unsafe.Pointer(&message[0]))))
	}
	return nil
}
