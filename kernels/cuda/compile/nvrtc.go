package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

// NVRTC is opened at run time, so these are declared here: its header is not needed to build this tool.
typedef struct program *program;
typedef struct {
	void *library;
	int (*version)(int *major, int *minor);
	int (*create)(program *, const char *source, const char *name, int headers, const char *const *contents, const char *const *names);
	int (*compile)(program, int n, const char *const *options);
	int (*destroy)(program *);
	int (*log_size)(program, size_t *), (*cubin_size)(program, size_t *), (*ptx_size)(program, size_t *);
	int (*log)(program, char *), (*cubin)(program, char *), (*ptx)(program, char *);
	const char *(*error_string)(int);
} nvrtc;

static const char *nvrtc_open(nvrtc *n, const char *path) {
	if (!(n->library = dlopen(path, RTLD_NOW | RTLD_LOCAL))) return dlerror();
#define FIND(field, name) if (!(*(void **)&n->field = dlsym(n->library, name))) return "no " name " in it";
	FIND(version, "nvrtcVersion")
	FIND(create, "nvrtcCreateProgram")
	FIND(compile, "nvrtcCompileProgram")
	FIND(destroy, "nvrtcDestroyProgram")
	FIND(log_size, "nvrtcGetProgramLogSize")
	FIND(log, "nvrtcGetProgramLog")
	FIND(cubin_size, "nvrtcGetCUBINSize")
	FIND(cubin, "nvrtcGetCUBIN")
	FIND(ptx_size, "nvrtcGetPTXSize")
	FIND(ptx, "nvrtcGetPTX")
	FIND(error_string, "nvrtcGetErrorString")
	return NULL;
}

static int nvrtc_version(nvrtc *n, int *major, int *minor) { return n->version(major, minor); }
static int nvrtc_create(nvrtc *n, program *p, const char *source, const char *name) { return n->create(p, source, name, 0, NULL, NULL); }
static int nvrtc_compile(nvrtc *n, program p, int count, char **options) { return n->compile(p, count, (const char *const *)options); }
static void nvrtc_destroy(nvrtc *n, program p) { n->destroy(&p); }
static const char *nvrtc_error(nvrtc *n, int code) { return n->error_string(code); }
static int nvrtc_log_size(nvrtc *n, program p, size_t *size) { return n->log_size(p, size); }
static int nvrtc_log(nvrtc *n, program p, char *b) { return n->log(p, b); }
static int nvrtc_image_size(nvrtc *n, program p, int ptx, size_t *size) { return ptx ? n->ptx_size(p, size) : n->cubin_size(p, size); }
static int nvrtc_image(nvrtc *n, program p, int ptx, char *b) { return ptx ? n->ptx(p, b) : n->cubin(p, b); }
*/
import "C"

import (
	"bytes"
	"fmt"
	"unsafe"
)

// compiler is an NVRTC library. Its methods may be called from several goroutines at a time.
type compiler struct {
	n       C.nvrtc
	version string
}

// openCompiler loads the library at path.
func openCompiler(path string) (*compiler, error) {
	c := &compiler{}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if why := C.nvrtc_open(&c.n, name); why != nil {
		return nil, fmt.Errorf("open NVRTC at %s: %s", path, C.GoString(why))
	}
	var major, minor C.int
	if r := C.nvrtc_version(&c.n, &major, &minor); r != 0 {
		return nil, fmt.Errorf("ask %s for its version: %w", path, c.failure(r))
	}
	c.version = fmt.Sprintf("%d.%d", major, minor)
	return c, nil
}

// compile makes a cubin, or PTX, of a source. The log is what the compiler said of it, error or not.
func (c *compiler) compile(name string, source []byte, options []string, ptx bool) (image []byte, log string, err error) {
	text, file := C.CString(string(source)), C.CString(name)
	defer C.free(unsafe.Pointer(text))
	defer C.free(unsafe.Pointer(file))
	list := make([]*C.char, len(options))
	for i, o := range options {
		list[i] = C.CString(o)
		defer C.free(unsafe.Pointer(list[i]))
	}
	var p C.program
	if r := C.nvrtc_create(&c.n, &p, text, file); r != 0 {
		return nil, "", c.failure(r)
	}
	defer C.nvrtc_destroy(&c.n, p)
	failed := C.nvrtc_compile(&c.n, p, C.int(len(list)), &list[0])

	said, err := c.bytes("log", func(n *C.size_t) C.int { return C.nvrtc_log_size(&c.n, p, n) }, func(b *C.char) C.int { return C.nvrtc_log(&c.n, p, b) })
	if err != nil {
		return nil, "", err
	}
	log = string(bytes.TrimRight(said, "\x00\n"))
	if failed != 0 {
		return nil, log, c.failure(failed)
	}
	kind := C.int(0)
	if ptx {
		kind = 1
	}
	image, err = c.bytes("image", func(n *C.size_t) C.int { return C.nvrtc_image_size(&c.n, p, kind, n) }, func(b *C.char) C.int { return C.nvrtc_image(&c.n, p, kind, b) })
	if ptx {
		image = bytes.TrimRight(image, "\x00")
	}
	return image, log, err
}

// bytes are what a pair of size and get gives.
func (c *compiler) bytes(what string, size func(*C.size_t) C.int, get func(*C.char) C.int) ([]byte, error) {
	var n C.size_t
	if r := size(&n); r != 0 {
		return nil, fmt.Errorf("ask for the %s: %w", what, c.failure(r))
	}
	if n == 0 {
		return nil, nil
	}
	b := make([]byte, n)
	if r := get((*C.char)(unsafe.Pointer(&b[0]))); r != 0 {
		return nil, fmt.Errorf("ask for the %s: %w", what, c.failure(r))
	}
	return b, nil
}

func (c *compiler) failure(code C.int) error {
	return fmt.Errorf("%s", C.GoString(C.nvrtc_error(&c.n, code)))
}
