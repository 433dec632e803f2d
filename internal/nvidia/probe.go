package nvidia

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stddef.h>

// The driver's functions as cuda.h has them: declared here, as its header is not there on most machines.
typedef struct {
	int (*init)(unsigned);
	int (*version)(int *);
	int (*count)(int *);
	int (*get)(int *device, int ordinal);
	int (*name)(char *, int, int device);
	int (*attribute)(int *, int attribute, int device);
	int (*memory)(size_t *, int device);
	int (*error)(int code, const char **);
} driver;

// driver_open keeps the library open for good: the driver does not take being unloaded.
static const char *driver_open(driver *d) {
	void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!library) return dlerror();
#define FIND(field, symbol) if (!(*(void **)&d->field = dlsym(library, symbol))) return "no " symbol " in libcuda.so.1";
	FIND(init, "cuInit")
	FIND(version, "cuDriverGetVersion")
	FIND(count, "cuDeviceGetCount")
	FIND(get, "cuDeviceGet")
	FIND(name, "cuDeviceGetName")
	FIND(attribute, "cuDeviceGetAttribute")
	FIND(memory, "cuDeviceTotalMem_v2")
	FIND(error, "cuGetErrorString")
	return NULL;
}

static int driver_init(driver *d) { return d->init(0); }
static int driver_version(driver *d, int *v) { return d->version(v); }
static int driver_count(driver *d, int *n) { return d->count(n); }
static const char *driver_error(driver *d, int code) { const char *s = NULL; d->error(code, &s); return s; }

// driver_gpu asks for one GPU: attributes 75 and 76 are the major and minor compute capability.
static int driver_gpu(driver *d, int ordinal, char *name, int n, int *major, int *minor, size_t *memory) {
	int device, code;
	(code = d->get(&device, ordinal)) || (code = d->name(name, n, device)) || (code = d->attribute(major, 75, device)) ||
		(code = d->attribute(minor, 76, device)) || (code = d->memory(memory, device));
	return code;
}
*/
import "C"

import (
	"fmt"
	"runtime"
)

// noDevice is CUDA_ERROR_NO_DEVICE.
const noDevice = 100

// Probe asks the driver. What it finds out before an error is in the Driver all the same.
func Probe() (Driver, error) {
	runtime.LockOSThread() // to which dlerror's text belongs
	defer runtime.UnlockOSThread()
	found := Driver{Release: release()}
	var d C.driver
	if why := C.driver_open(&d); why != nil {
		return found, fmt.Errorf("%w: %s", ErrNoDriver, C.GoString(why))
	}
	failure := func(what string, code C.int) error {
		text := "no more is known"
		if s := C.driver_error(&d, code); s != nil {
			text = C.GoString(s)
		}
		return fmt.Errorf("%w to %s: %s (error %d)%s", ErrDriver, what, text, code, visible())
	}
	var version, n C.int
	if code := C.driver_version(&d, &version); code == 0 { // which an old driver tells though it cannot start
		found.CUDA = Version(version)
	}
	switch code := C.driver_init(&d); code {
	case 0:
	case noDevice:
		return found, fmt.Errorf("%w%s", ErrNoGPU, visible())
	default:
		return found, failure("start", code)
	}
	if code := C.driver_count(&d, &n); code != 0 {
		return found, failure("count the GPUs", code)
	}
	if n == 0 {
		return found, fmt.Errorf("%w%s", ErrNoGPU, visible())
	}
	for i := range n {
		var name [256]C.char
		var major, minor C.int
		var memory C.size_t
		if code := C.driver_gpu(&d, i, &name[0], C.int(len(name)), &major, &minor, &memory); code != 0 {
			return found, failure(fmt.Sprintf("tell of GPU %d", i), code)
		}
		name[len(name)-1] = 0
		found.GPUs = append(found.GPUs, GPU{C.GoString(&name[0]), int(10*major + minor), int64(memory)})
	}
	return found, nil
}
