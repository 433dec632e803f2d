package nvidia

/*
#cgo LDFLAGS: -ldl
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

typedef struct {
	void *library;
	const char *error, *path;
	size_t version;
} opened;

static opened library_open(const char *name) {
	opened o = {0};
	if (!(o.library = dlopen(name, RTLD_LAZY | RTLD_LOCAL))) {
		o.error = dlerror();
		return o;
	}
	size_t (*version)(void);
	*(void **)&version = dlsym(o.library, "cublasLtGetVersion");
	if (!version) {
		o.error = "no cublasLtGetVersion in it";
		return o;
	}
	o.version = version();
	Dl_info info;
	if (dladdr(*(void **)&version, &info)) o.path = info.dli_fname;
	return o;
}

static void library_close(opened o) { if (o.library) dlclose(o.library); }
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"unsafe"
)

// Inspect opens one of CublasLt's names for its path and version.
func Inspect(name string) (Library, error) {
	runtime.LockOSThread() // to which dlerror's text belongs
	defer runtime.UnlockOSThread()
	c := C.CString(name)
	defer C.free(unsafe.Pointer(c))
	o := C.library_open(c)
	defer C.library_close(o)
	if o.error != nil {
		return Library{}, errors.New(C.GoString(o.error))
	}
	l := Library{Path: name, Version: dotted(int(o.version))}
	if o.path != nil {
		l.Path = C.GoString(o.path)
	}
	return l, nil
}

// dotted is a version as cuBLAS numbers them: 10000 major + 100 minor + patch from version 12 on.
func dotted(v int) string { return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100) }
